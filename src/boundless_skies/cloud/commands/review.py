"""``boundless cloud review``: what the nodes disagree about."""

from pathlib import Path

import click

from boundless_skies.cloud.commands.context import (
    data_option,
    json_option,
    local_operator,
    run,
    say,
)
from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.times import calendar_text, counted
from boundless_skies.cloud.handlers.operator_entries import describe_case, describe_queue
from boundless_skies.cloud.services.reviews import QUEUE_MAX, QUEUE_PAGE, Case


@click.group("review")
def review_group() -> None:
    """Judge the points about which the nodes disagree. Nothing is ever deleted."""


@review_group.command("list")
@click.option("--after", "after_id", type=int, default=0, help="Only those after this number.")
@click.option(
    "--limit",
    type=click.IntRange(1, QUEUE_MAX),
    default=QUEUE_PAGE,
    show_default=True,
    help="How many.",
)
@data_option
@json_option
@click.pass_obj
def list_disputed(
    config: CloudConfig, after_id: int, limit: int, data_dir: Path | None, as_json: bool
) -> None:
    """List the disputed points that nobody has judged yet."""
    queue = run(
        config,
        data_dir,
        lambda cloud: cloud.services.reviews.queue(local_operator(), after_id, limit),
    )
    lines = [f"{counted(queue.waiting, 'point')} waiting.", *map(_line, queue.cases)]
    say(as_json, describe_queue(queue), "\n".join(lines))


@review_group.command("accept")
@click.argument("number", type=int)
@click.option("--reason", default="", help="Why; may be left out.")
@data_option
@json_option
@click.pass_obj
def accept_point(
    config: CloudConfig, number: int, reason: str, data_dir: Path | None, as_json: bool
) -> None:
    """Keep the point NUMBER in the light curve, though others disagree."""
    _judge(config, data_dir, as_json, number, {"verdict": "accept", "reason": reason})


@review_group.command("reject")
@click.argument("number", type=int)
@click.option("--reason", required=True, help="Why, for its owner and for later.")
@data_option
@json_option
@click.pass_obj
def reject_point(
    config: CloudConfig, number: int, reason: str, data_dir: Path | None, as_json: bool
) -> None:
    """Take the point NUMBER out of the light curve; it is kept, and may be accepted later."""
    _judge(config, data_dir, as_json, number, {"verdict": "reject", "reason": reason})


def _judge(
    config: CloudConfig, data_dir: Path | None, as_json: bool, number: int, body: dict[str, str]
) -> None:
    case = run(
        config,
        data_dir,
        lambda cloud: cloud.services.reviews.judge(local_operator(), number, body),
    )
    sentence = f"{case.point.target_name}, point {number}, is {case.point.review}."
    say(as_json, describe_case(case), sentence)


def _line(case: Case) -> str:
    point = case.point
    return (
        f"{point.id:>8}  {point.target_name} {point.filter}  {point.magnitude:.3f} ± "
        f"{point.uncertainty:.3f}  {calendar_text(point.bjd)} TDB  {point.node_id}  "
        f"({counted(len(case.around), 'point')} around it)"
    )

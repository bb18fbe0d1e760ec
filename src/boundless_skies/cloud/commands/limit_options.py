"""The options of a server that bound what nodes may send, and how often."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from boundless_skies.cloud.domain.rates import Rates

F = TypeVar("F", bound=Callable[..., Any])

MIB, GIB = 1 << 20, 1 << 30
_RATES = Rates()


def limit_options(command: F) -> F:
    """Give a command the options; `read_limits` reads what they were set to."""
    for option in reversed(
        (
            click.option(
                "--registrations-per-hour",
                type=click.FloatRange(0),
                default=_RATES.registrations_per_hour,
                show_default=True,
                help="From one address; 0 for no limit.",
            ),
            click.option(
                "--failed-logins-per-minute",
                type=click.FloatRange(0),
                default=_RATES.failed_logins_per_minute,
                show_default=True,
                help="From one address, of nodes and operators; 0 for no limit.",
            ),
            click.option(
                "--node-calls-per-minute",
                type=click.FloatRange(0),
                default=_RATES.node_calls_per_minute,
                show_default=True,
                help="Of one node; 0 for no limit.",
            ),
            click.option(
                "--image-max-mib",
                type=click.FloatRange(0, min_open=True),
                default=200.0,
                show_default=True,
                help="How large one image may be.",
            ),
            click.option(
                "--image-quota-gib",
                type=click.FloatRange(0, min_open=True),
                help="How much one node's images may take.  [default: no limit]",
            ),
            click.option(
                "--keep-images-days",
                type=click.FloatRange(0, min_open=True),
                help="How long images and thumbnails are kept.  [default: for good]",
            ),
        )
    ):
        command = option(command)
    return command


def read_limits(options: dict[str, Any]) -> dict[str, Any]:
    """Return what the options say, in the words of the config."""
    quota_gib = options["image_quota_gib"]
    return {
        "rates": Rates(
            registrations_per_hour=options["registrations_per_hour"],
            failed_logins_per_minute=options["failed_logins_per_minute"],
            node_calls_per_minute=options["node_calls_per_minute"],
        ),
        "image_max_bytes": int(options["image_max_mib"] * MIB),
        "image_quota_bytes": None if quota_gib is None else int(quota_gib * GIB),
        "keep_images_days": options["keep_images_days"],
    }

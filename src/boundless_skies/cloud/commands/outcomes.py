"""What became of plans and interrupts, in lines for a terminal."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from boundless_skies.cloud.domain.outcomes import HeardEvent, InterruptReport, PlanReport
from boundless_skies.cloud.domain.times import ago, counted

_NAME_CHARS = 24


def report_lines(report: PlanReport, now: datetime) -> Iterator[str]:
    """Tell of a plan as a whole, then of each of its items."""
    yield f"    the plan      {_latest(report.told, now)}"
    if report.items:
        told = [f"{count} {state}" for state, count in report.counts.items()]
        untold = [f"{report.untold} not told"] if report.untold else []
        yield f"    {counted(len(report.items), 'item'):<13} {', '.join(told + untold)}"
    for one in report.items:
        item_id, name = one.item.get("item_id", ""), str(one.item["target"])[:_NAME_CHARS]
        yield f"      {item_id:<11} {name:<{_NAME_CHARS}} {_latest(one.told, now)}"


def interrupt_lines(reports: Iterable[InterruptReport], now: datetime) -> Iterator[str]:
    """Tell of each interrupt at one node."""
    for one in reports:
        name = one.interrupt.name[:_NAME_CHARS]
        acked = "acknowledged" if one.acked else "not acknowledged"
        label = f"interrupt {one.interrupt.id}"
        yield f"  {label:<13} {name:<{_NAME_CHARS}} {acked}, {_latest(one.told, now)}"


def _latest(event: HeardEvent | None, now: datetime) -> str:
    if event is None:
        return "not told"
    reason = f": {event.reason}" if event.reason else ""
    return f"{event.state} {ago(event.at, now)}{reason}"

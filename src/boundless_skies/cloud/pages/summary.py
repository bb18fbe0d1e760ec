"""What a page shows, said in a sentence: for those who do not see the picture, and those who do."""

from datetime import datetime, timedelta
from statistics import median

from boundless_skies.cloud.domain.names import format_sexagesimal
from boundless_skies.cloud.domain.times import ago, calendar_text, counted, julian_date, span_text
from boundless_skies.cloud.domain.validation import Status
from boundless_skies.cloud.services.curves import History, LightCurve
from boundless_skies.cloud.services.network import NetworkView
from boundless_skies.cloud.services.targets import Found

AND_MORE_AFTER = 4


def describe_network(view: NetworkView) -> str:
    """Return the state of the network in a sentence or two."""
    if not view.nodes_in_all:
        return "No telescope has joined yet."
    every = f"{view.online} of {counted(view.nodes_in_all, 'node')} {_is(view.online)} online."
    if view.nodes_in_all == 1:
        every = f"One node, {'online' if view.online else 'offline'}."
    if not view.measurements:
        return f"{every} No measurement has come in yet."
    came = counted(view.measurements_24h, "measurement")
    if view.measurements_24h == view.measurements:
        return f"{every} {came} came in during the last 24 hours."
    if not view.measurements_24h:
        return (
            f"{every} Nothing came in during the last 24 hours; "
            f"{counted(view.measurements, 'measurement')} in all."
        )
    return f"{every} {came} came in during the last 24 hours, {view.measurements:,} in all."


def describe_curve(curve: LightCurve, now: datetime) -> str:
    """Return what a light curve shows, in sentences."""
    points = curve.points
    bands = sorted({point.filter for point in points})
    nodes = sorted({point.node_id for point in points})
    newest = points[-1]
    then = now - timedelta(days=julian_date(now) - newest.bjd)
    count = f"{counted(len(points), 'point')} in {_join(bands)} by {_join(nodes)}"
    span = _describe_span(points[0].bjd, newest.bjd)
    last = f"The newest is {newest.magnitude:.3f} ± {newest.uncertainty:.3f}, {ago(then, now)}."
    return f"{count}, {span}. {_describe_magnitudes(curve)} {last}"


def describe_point(history: History, now: datetime) -> str:
    """Return what a measurement is, in a sentence."""
    point = history.point
    then = now - timedelta(days=julian_date(now) - point.bjd)
    when = _unbroken(calendar_text(point.bjd))
    return (
        f"{history.target} in {point.filter}, seen by {point.node_id} on {when} TDB, "
        f"{ago(then, now)}."
    )


def describe_validation(history: History) -> str:
    """Return how the network sees a measurement, in a sentence."""
    nodes = len({witness.node_id for witness in history.witnesses})
    window = span_text(history.window_d)
    if not nodes:
        return f"No other node has looked at the star within {window} of it, in this filter."
    others = counted(nodes, "other node")
    if history.point.validation == Status.CONSISTENT:
        return f"Within the errors, it agrees with what {others} saw within {window} of it."
    if history.point.validation == Status.OUTLIER:
        return (
            f"It differs from what {others} saw within {window} of it by more than the errors "
            "allow. Which of them is wrong, an astronomer has to say."
        )
    return f"It was not compared with {others} within {window} of it, or not yet."


def describe_found(found: Found) -> str:
    """Return what a search found, in a sentence."""
    count = counted(len(found.candidates), "target")
    if found.place is not None:
        where = format_sexagesimal(found.place.ra_deg, found.place.dec_deg)
        if not found.candidates:
            return f"No target within {found.radius_arcmin:g}′ of {where}."
        return f"{count} within {found.radius_arcmin:g}′ of {where}."
    if not found.candidates:
        return f"No target is called “{found.text}”, and none is called anything like it."
    if found.is_guess:
        return f"No target is called “{found.text}”. Did you mean one of these?"
    return f"{count} with “{found.text}” in a name."


def _describe_magnitudes(curve: LightCurve) -> str:
    magnitudes = [point.magnitude for point in curve.points]
    typical = median(point.uncertainty for point in curve.points)
    if len(magnitudes) == 1:
        return "More points will make a curve of it."
    return (
        f"Brightest {min(magnitudes):.3f}, faintest {max(magnitudes):.3f} mag; "
        f"typical uncertainty {typical:.3f}."
    )


def _describe_span(first_bjd: float, last_bjd: float) -> str:
    if first_bjd == last_bjd:
        return f"taken {_unbroken(calendar_text(first_bjd))} TDB"
    first, last = (_unbroken(calendar_text(bjd)) for bjd in (first_bjd, last_bjd))
    span = span_text(last_bjd - first_bjd)
    if first[:10] == last[:10]:
        return f"on {first[:10]} from {first[11:]} to {last[11:]} TDB, {span}"
    return f"from {first} to {last} TDB, {span}"


def _unbroken(date: str) -> str:
    """Return a date that no line is broken in: with hyphens that do not allow it."""
    return date.replace("-", "\N{NON-BREAKING HYPHEN}")


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _join(names: list[str]) -> str:
    if len(names) > AND_MORE_AFTER:
        return f"{', '.join(names[:AND_MORE_AFTER])} and {len(names) - AND_MORE_AFTER} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))

"""A night as a report to the AAVSO."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boundless_skies.node.night.files import replace_file
from boundless_skies.node.night.result import LightCurve, check_name
from boundless_skies.reports import aavso
from boundless_skies.wire.messages import QualityFlag
from boundless_skies.wire.quality_reasons import reasons_of

# Of a star that is not seen, this is no fault of the frame.
_NOT_SEEN = "very low SNR"


@dataclass(frozen=True, kw_only=True)
class ReportCount:
    """What a report holds.

    Attributes
    ----------
    reported : int
        Observations in it.
    left_out : int
        Points of poor quality, which are not in it.
    """

    reported: int
    left_out: int


def write_report(curves: Sequence[LightCurve], observer_code: str, path: Path) -> ReportCount:
    """Write light curves in the AAVSO's Extended File Format.

    Parameters
    ----------
    curves : sequence of LightCurve
        Their poor points are left out.
    observer_code : str
        The code that the AAVSO gave the observer.
    path : Path
        Where to; written only where there is something to report.

    Returns
    -------
    ReportCount
        How many went in, and how many did not.

    Raises
    ------
    AavsoError
        If a name or the observer code does not fit into the format.
    OSError
        If it cannot be written.
    """
    chosen = [(_star(curve), [_seen(point) for point in _worthy(curve)]) for curve in curves]
    reported = sum(len(observations) for _, observations in chosen)
    if reported:
        text = aavso.report(observer_code, [row for row in chosen if row[1]])
        replace_file(path, text.encode("ascii"))
    total = sum(len(curve.points) for curve in curves)
    return ReportCount(reported=reported, left_out=total - reported)


def _star(curve: LightCurve) -> aavso.Star:
    target = curve.target
    return aavso.Star(name=target.name, ra_deg=target.ra_deg, dec_deg=target.dec_deg)


def _worthy(curve: LightCurve) -> list[dict[str, Any]]:
    return [point for point in curve.points if _is_worthy(point)]


def _is_worthy(point: dict[str, Any]) -> bool:
    """Say whether a point may be sent: a limit too, if nothing is wrong but that none was seen."""
    if point["quality_flag"] != QualityFlag.POOR:
        return True
    reasons = reasons_of(point.get("quality_bits", 0))
    poor = [reason.name for reason in reasons if reason.flag is QualityFlag.POOR]
    return bool(point.get("is_limit")) and poor == [_NOT_SEEN]


def _seen(point: dict[str, Any]) -> aavso.Observation:
    return aavso.Observation(
        bjd=point["bjd"],
        magnitude=point["magnitude"],
        uncertainty=point["uncertainty"],
        filter=point["filter"],
        is_limit=bool(point.get("is_limit")),
        airmass=point.get("airmass"),
        check_star=check_name(point) or None,
        check_star_mag=point.get("check_star_mag"),
        chart=point.get("chart"),
        notes=(
            f"{point['comparison_stars']} comparison stars",
            f"zero point scatter {point['zp_scatter']:.3f}",
            *([str(point["catalogue"])] if point.get("catalogue") else []),
        ),
    )

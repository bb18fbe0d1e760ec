"""What a night gave: its points, what was skipped, and how far the points can be trusted."""

import datetime as dt
import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from boundless_skies.node.night.run import MeasuredFrame, SkippedFrame
from boundless_skies.node.photometry.settings import Target
from boundless_skies.wire.quality_reasons import reasons_of

_MAD_TO_SIGMA = 1.4826
_LEAST_POINTS = 3


@dataclass(frozen=True, kw_only=True)
class NightPoint:
    """A point, and what belongs to it beyond the wire.

    Attributes
    ----------
    values : dict
        The measurement with the keys of the wire.
    target : Target
        What was measured.
    middle_utc : datetime
        The middle of the exposure.
    """

    values: dict[str, Any]
    target: Target
    middle_utc: dt.datetime


@dataclass(frozen=True, kw_only=True)
class LightCurve:
    """The points of one target in one filter.

    Attributes
    ----------
    target : Target
        The star.
    filter : str
        The band, as the AAVSO abbreviates it.
    points : list of dict
        The measurements in the order of time; at least one.
    middles_utc : list of datetime
        The middle of each one's exposure.
    """

    target: Target
    filter: str
    points: list[dict[str, Any]]
    middles_utc: list[dt.datetime]


@dataclass
class NightResult:
    """The frames of a night, one after the other.

    Attributes
    ----------
    taken : list of NightPoint
        What was measured, in the order in which it came.
    skipped : list of SkippedFrame
        What gave no point.
    best : dict of str to MeasuredFrame
        For each target, the frame with the least uncertainty that shows it, if one does.
    frames : int
        How many frames went into all that.
    """

    taken: list[NightPoint] = field(default_factory=list)
    skipped: list[SkippedFrame] = field(default_factory=list)
    best: dict[str, MeasuredFrame] = field(default_factory=dict)
    frames: int = 0

    @property
    def points(self) -> list[dict[str, Any]]:
        """The measurements with the keys of the wire."""
        return [point.values for point in self.taken]

    def add(self, frame: MeasuredFrame | SkippedFrame) -> None:
        """Take in one more frame; of all pixels only those of the best frames are kept."""
        self.frames += frame.frames
        if isinstance(frame, SkippedFrame):
            self.skipped.append(frame)
            return
        found = frame.found
        self.taken.append(
            NightPoint(
                values=found.to_dict(),
                target=found.target,
                middle_utc=frame.middle_utc,
            )
        )
        best = self.best.get(found.target.name)
        if best is None or _doubt(frame) < _doubt(best):
            self.best[found.target.name] = frame

    def curves(self) -> list[LightCurve]:
        """Return the points by target and filter, the longest light curve first."""
        by_curve: dict[tuple[str, str], list[NightPoint]] = {}
        for point in self.taken:
            key = (point.target.name, point.values["filter"])
            by_curve.setdefault(key, []).append(point)
        return sorted(map(_light_curve, by_curve.values()), key=_length, reverse=True)


def _light_curve(points: list[NightPoint]) -> LightCurve:
    points = sorted(points, key=lambda point: float(point.values["bjd"]))
    return LightCurve(
        target=points[0].target,
        filter=points[0].values["filter"],
        points=[point.values for point in points],
        middles_utc=[point.middle_utc for point in points],
    )


def _length(curve: LightCurve) -> int:
    return len(curve.points)


def _doubt(frame: MeasuredFrame) -> tuple[bool, float]:
    """Order frames by how well the target shows in them: a limit comes after all points."""
    return frame.found.is_limit, frame.found.measurement.uncertainty


@dataclass(frozen=True, kw_only=True)
class CurveSummary:
    """A light curve in a few numbers.

    Attributes
    ----------
    target, filter : str
        Whose, and in which band.
    points, limits : int
        How many points in all, and how many of them are limits.
    hours : float
        From the first to the last.
    brightest, faintest : float
        Magnitudes; NaN where there are only limits.
    scatter_mag : float or None
        Standard deviation of a point as it shows from each point to the next, so that slow
        changes of the star do not count; None below three points.
    stated_mag : float
        Median of the stated uncertainties; of limits where there are no others.
    comparison_stars : tuple of int
        Fewest and most.
    quality : dict of str to int
        Points by quality.
    reasons : dict of str to int
        Points by the reasons for less than good quality, the most frequent first.
    check_star : str or None
        Its name.
    check_scatter_mag : float or None
        Standard deviation of its magnitude from each point to the next.
    """

    target: str
    filter: str
    points: int
    limits: int
    hours: float
    brightest: float
    faintest: float
    scatter_mag: float | None
    stated_mag: float
    comparison_stars: tuple[int, int]
    quality: dict[str, int]
    reasons: dict[str, int]
    check_star: str | None
    check_scatter_mag: float | None


def seen(curve: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the points of a light curve that are no limits."""
    return [point for point in curve if not point.get("is_limit")]


def check_name(point: Mapping[str, Any]) -> str:
    """Return the name of a point's check star; empty where it has none."""
    star = point.get("check_star")
    return str(star.get("name") or "") if isinstance(star, Mapping) else str(star or "")


def reason_names(point: Mapping[str, Any]) -> list[str]:
    """Return the names of a point's reasons for less than good quality."""
    return [reason.name for reason in reasons_of(point.get("quality_bits", 0))]


def summarise(curve: list[dict[str, Any]]) -> CurveSummary:
    """Sum a light curve up.

    Parameters
    ----------
    curve : list of dict
        At least one measurement, of one target and filter, in the order of time.

    Returns
    -------
    CurveSummary
        Its numbers.
    """
    real = seen(curve)
    magnitudes = [point["magnitude"] for point in real]
    stars = [point["comparison_stars"] for point in curve]
    check = [point["check_star_mag"] for point in curve if point.get("check_star_mag") is not None]
    return CurveSummary(
        target=curve[0]["target_name"],
        filter=curve[0]["filter"],
        points=len(curve),
        limits=len(curve) - len(real),
        hours=24.0 * (curve[-1]["bjd"] - curve[0]["bjd"]),
        brightest=min(magnitudes, default=float("nan")),
        faintest=max(magnitudes, default=float("nan")),
        scatter_mag=scatter(magnitudes),
        stated_mag=statistics.median(point["uncertainty"] for point in real or curve),
        comparison_stars=(min(stars), max(stars)),
        quality=dict(Counter(str(point["quality_flag"]) for point in curve)),
        reasons=dict(
            Counter(name for point in curve for name in reason_names(point)).most_common()
        ),
        check_star=next(filter(None, map(check_name, curve)), None),
        check_scatter_mag=scatter(check),
    )


def scatter(values: list[float]) -> float | None:
    """Return the standard deviation of values about what changes slowly in them.

    Parameters
    ----------
    values : list of float
        In the order of time.

    Returns
    -------
    float or None
        From the median of the steps between neighbours, which is robust against outliers
        (von Neumann 1941 with the median absolute deviation); None below three values.
    """
    if len(values) < _LEAST_POINTS:
        return None
    steps = [abs(after - before) for before, after in pairwise(values)]
    return _MAD_TO_SIGMA * statistics.median(steps) / 2**0.5

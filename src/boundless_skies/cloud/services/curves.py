"""Light curves in every form, and where each of their points comes from."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Connection

from boundless_skies.cloud.domain.curves import CurveForm, Folding, Selection, base_name
from boundless_skies.cloud.domain.errors import InvalidInput, UnknownObject
from boundless_skies.cloud.domain.exports import (
    ExportPoint,
    ExportTarget,
    to_aavso,
    to_csv,
    to_votable,
)
from boundless_skies.cloud.domain.measurements import Point
from boundless_skies.cloud.domain.names import format_sexagesimal
from boundless_skies.cloud.domain.phase import Elements, read_elements
from boundless_skies.cloud.domain.provenance import Provenance, Star, read_provenance
from boundless_skies.cloud.domain.reviews import Verdict
from boundless_skies.cloud.domain.times import Clock, iso, julian_date
from boundless_skies.cloud.domain.validation import Review, window_for
from boundless_skies.cloud.services.target_names import resolve_or_same
from boundless_skies.cloud.storage import curves, images, measurements, reviews, settling, targets
from boundless_skies.cloud.storage.curves import WholePoint
from boundless_skies.cloud.storage.database import Database
from boundless_skies.cloud.storage.images import StoredImage
from boundless_skies.cloud.storage.targets import Target

PAGE_POINTS = 5_000
"""How many points are read at a time for a file, so that other calls come in between."""
POINTS_MAX = curves.POINTS_MAX
NUMBER_MAX = 2**63 - 1
REASONS_MAX_CHARS = 1_000
"""What a file tells of one point's quality; a node's own reasons might fill it otherwise."""


@dataclass(frozen=True, kw_only=True)
class LightCurve:
    """A target's points, the newest revision of each, by time.

    ``names`` are all of the target's; ``elements`` is what the points are folded on.
    """

    target: str
    points: list[Point]
    known: Target
    names: list[str]
    elements: Elements | None = None


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One revision of a point, for the list of all of them."""

    id: int
    revision: int
    magnitude: float
    uncertainty: float
    received_at: datetime
    software: str | None
    is_newest: bool


@dataclass(frozen=True, kw_only=True)
class Witness:
    """A point of another node near in time, which takes part in the validation."""

    id: int
    node_id: str
    bjd: float
    magnitude: float
    uncertainty: float
    validation: str


@dataclass(frozen=True, kw_only=True)
class History:
    """A measurement with all that the public may know of how it came about.

    ``fwhm`` is in pixels, ``window_d`` is how far apart (days) its witnesses may be.
    """

    target: str
    point: Point
    fwhm: float | None
    received_at: datetime
    sent_by: str | None
    provenance: Provenance
    verdict: Verdict | None
    revisions: list[Revision]
    window_d: float
    witnesses: list[Witness]
    frame: StoredImage | None


class CurveService:
    """Gives light curves, and the history of their points.

    Parameters
    ----------
    database : Database
        Where measurements are kept.
    clock : Clock
        The present instant.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def light_curve(
        self,
        name: str,
        wanted: Selection = Selection(),  # noqa: B008 - it is frozen
        folding: Folding = Folding(),  # noqa: B008 - it is frozen
    ) -> LightCurve:
        """Return a target's light curve; empty where nothing is held about it.

        Parameters
        ----------
        name : str
            Any name of the target.
        wanted : Selection
            Which points.
        folding : Folding
            Whether to fold, and on what.

        Returns
        -------
        LightCurve
            At most 100,000 points, the newest.

        Raises
        ------
        InvalidInput
            If it is to be folded, and no period is known.
        """
        job = partial(_read_curve, name=name, wanted=self._since(wanted))
        curve = await self._database.read(job)
        return replace(curve, elements=_elements(curve.known, folding)) if folding.wanted else curve

    async def export(
        self, name: str, wanted: Selection, form: CurveForm, observer_code: str = ""
    ) -> bytes:
        """Return a target's light curve as a file.

        The AAVSO's form leaves out what an operator has rejected in any case.

        Raises
        ------
        InvalidInput
            If the AAVSO's form cannot be had: the target's position or the
            observer's code is missing.
        """
        if form is CurveForm.AAVSO:
            wanted = replace(wanted, with_rejected=False)
        wanted = self._since(wanted)
        head = partial(_read_target, name=name)
        known = await self._database.read(head)
        points = await self._read_export(known.name, wanted)
        # Loading astropy and writing a large file take long, and other calls go on meanwhile.
        return await asyncio.to_thread(_write, known, points, form, observer_code)

    async def history(self, number: int) -> History:
        """Return a measurement and how it came about.

        Raises
        ------
        UnknownObject
            If there is none of this number.
        """
        if not 0 < number <= NUMBER_MAX:
            raise _unknown(number)
        return await self._database.read(partial(_read_history, number=number))

    def _since(self, wanted: Selection) -> Selection:
        if wanted.days is None:
            return wanted
        since = julian_date(self._clock()) - wanted.days
        return replace(wanted, from_bjd=max(since, wanted.from_bjd or since))

    async def _read_export(self, target_name: str, wanted: Selection) -> list[ExportPoint]:
        points: list[ExportPoint] = []
        before: Point | None = None
        while len(points) < POINTS_MAX:
            job = partial(
                curves.read_whole_points,
                target_name=target_name,
                wanted=wanted,
                before=before,
                limit=min(PAGE_POINTS, POINTS_MAX - len(points)),
            )
            page = await self._database.read(job)
            points += await asyncio.to_thread(_to_exports, page)
            if len(page) < PAGE_POINTS:
                break
            before = page[-1].point
        points.reverse()
        return points


def encode_curve(curve: LightCurve) -> bytes:
    """Return a light curve as JSON; large ones take long enough to be made in a thread."""
    points: Any = curve.points
    if curve.elements is not None:
        phases = curve.elements.phases(point.bjd for point in curve.points)
        points = [
            {**msgspec.to_builtins(point), "phase": phase}
            for point, phase in zip(curve.points, phases, strict=True)
        ]
    reply = {"target": curve.target, "n": len(curve.points), **describe_target(curve)}
    if curve.elements is not None:
        reply["folded_on"] = msgspec.to_builtins(curve.elements)
    return msgspec.json.encode(reply | {"points": points})


def describe_target(curve: LightCurve) -> dict[str, Any]:
    """Return what is known of a light curve's target, as JSON has it."""
    return {"names": curve.names, **describe_known(curve.known)}


def describe_known(known: Target) -> dict[str, Any]:
    """Return what is known of a target beyond its name, as JSON has it."""
    return {
        "ra_deg": known.ra_deg,
        "dec_deg": known.dec_deg,
        "position": sexagesimal(known),
        "kind": known.kind,
        "period_d": known.period_d,
        "epoch_bjd": known.epoch_bjd,
    }


def sexagesimal(known: Target) -> str | None:
    """Return a target's position in hours and degrees, None where it is not known."""
    if known.ra_deg is None or known.dec_deg is None:
        return None
    return format_sexagesimal(known.ra_deg, known.dec_deg)


def describe_history(history: History) -> dict[str, Any]:
    """Return a measurement's history as JSON has it."""
    told = history.provenance
    return {
        "target": history.target,
        **msgspec.to_builtins(history.point),
        "fwhm": history.fwhm,
        "received_at": iso(history.received_at),
        "sent_by": history.sent_by,
        "provenance": msgspec.to_builtins(told),
        "frame": _describe_frame(history),
        "verdict": _describe_verdict(history.verdict),
        "revisions": [
            {**msgspec.to_builtins(one), "received_at": iso(one.received_at)}
            for one in history.revisions
        ],
        "window_d": history.window_d,
        "witnesses": msgspec.to_builtins(history.witnesses),
    }


def thumbnail_path(sha256: str) -> str:
    """Return the path under which an image's thumbnail is handed out."""
    return f"/api/v1/images/{sha256}/thumbnail.png"


def _describe_frame(history: History) -> dict[str, Any] | None:
    if history.frame is None:
        return None
    return {
        "name": history.frame.original_name,
        "sha256": history.frame.sha256,
        "thumbnail": thumbnail_path(history.frame.sha256),
        "sentence": history.frame.sentence,
    }


def _describe_verdict(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    return {"verdict": verdict.verdict, "reason": verdict.reason, "at": iso(verdict.at)}


def _elements(known: Target, folding: Folding) -> Elements:
    elements = folding.elements or own_elements(known)
    if elements is None:
        raise InvalidInput(
            f"No period of {known.name} is known, so it cannot be folded. "
            "Give one with ?period_d= (days), and ?epoch_bjd= for phase 0."
        )
    return elements


def own_elements(known: Target) -> Elements | None:
    """Return what a target's points are folded on unless asked otherwise; None without a period."""
    return read_elements(known.epoch_bjd if known.period_d else None, known.period_d)


def _read_target(connection: Connection, *, name: str) -> Target:
    kept = resolve_or_same(connection, name)
    return targets.find(connection, kept) or Target(name=kept)


def _read_curve(connection: Connection, *, name: str, wanted: Selection) -> LightCurve:
    known = _read_target(connection, name=name)
    return LightCurve(
        target=known.name,
        points=curves.read_points(connection, known.name, wanted),
        known=known,
        names=targets.list_names(connection, known.name),
    )


def _to_exports(page: Sequence[WholePoint]) -> list[ExportPoint]:
    return [_to_export(whole) for whole in page]


def _to_export(whole: WholePoint) -> ExportPoint:
    told, point = read_provenance(whole.payload), whole.point
    only = told.comparison_stars[0] if len(told.comparison_stars) == 1 else None
    check = told.check_star
    return ExportPoint(
        bjd=point.bjd,
        magnitude=point.magnitude,
        uncertainty=point.uncertainty,
        filter=point.filter,
        node_id=point.node_id,
        quality_flag=point.quality_flag,
        airmass=point.airmass,
        snr=point.snr,
        revision=point.revision,
        validation=point.validation,
        review=point.review,
        comparison_stars=told.comparison_count,
        comparison_name=_name(only),
        comparison_mag=only.measured_mag if only else None,
        check_star=_name(check),
        check_star_mag=check.measured_mag if check else None,
        chart=told.chart,
        quality_bits=told.quality_bits,
        quality_reasons=_sentences(told) or None,
    )


def _sentences(told: Provenance) -> str:
    sentences = "; ".join(remark.sentence for remark in told.quality_reasons)
    return sentences[:REASONS_MAX_CHARS]


def _name(star: Star | None) -> str | None:
    return star.name if star else None


def _write(
    known: Target, points: Sequence[ExportPoint], form: CurveForm, observer_code: str
) -> bytes:
    target = ExportTarget(name=known.name, ra_deg=known.ra_deg, dec_deg=known.dec_deg)
    if form is CurveForm.VOTABLE:
        return to_votable(target, points)
    if form is CurveForm.AAVSO:
        return to_aavso(target, points, observer_code).encode("ascii")
    return to_csv(points).encode()


def _read_history(connection: Connection, *, number: int) -> History:
    row = measurements.find(connection, number)
    if row is None:
        raise _unknown(number)
    known = targets.find(connection, row.target_name) or Target(name=row.target_name)
    window_d = window_for(known.period_d)
    told = read_provenance(row.payload)
    frame_name = base_name(told.fits_file or "")
    return History(
        target=row.target_name,
        point=measurements.to_point(row),
        fwhm=row.fwhm_px,
        received_at=row.received_at,
        sent_by=row.software,
        provenance=replace(told, fits_file=frame_name or None),
        verdict=next(iter(reviews.list_verdicts(connection, number)), None),
        revisions=_read_revisions(connection, row),
        window_d=window_d,
        witnesses=_read_witnesses(connection, row, window_d),
        frame=_find_frame(connection, row.node_id, frame_name),
    )


def _read_revisions(connection: Connection, row: Any) -> list[Revision]:
    return [
        Revision(
            id=one.id,
            revision=one.revision,
            magnitude=one.magnitude,
            uncertainty=one.uncertainty,
            received_at=one.received_at,
            software=one.software,
            is_newest=one.is_newest,
        )
        for one in measurements.list_revisions(connection, row)
    ]


def _read_witnesses(connection: Connection, row: Any, window_d: float) -> list[Witness]:
    low, high = row.bjd_tdb - window_d, row.bjd_tdb + window_d
    held = settling.read_between(connection, row.target_name, row.filter, low, high)
    return [
        Witness(
            id=one.id,
            node_id=one.node_id,
            bjd=one.bjd,
            magnitude=one.magnitude,
            uncertainty=one.uncertainty,
            validation=status or "single",
        )
        for one, status in held
        if one.node_id != row.node_id and one.review != Review.REJECTED
    ]


def _find_frame(connection: Connection, node_id: str, name: str) -> StoredImage | None:
    image = images.find_by_name(connection, node_id, name) if name else None
    return None if image is None or image.expired_at is not None else image


def _unknown(number: int) -> UnknownObject:
    return UnknownObject(f"There is no measurement {number}.")

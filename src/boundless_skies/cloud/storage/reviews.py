"""Queries about disputed points, and what astronomers decided about them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, true, update

from boundless_skies.cloud.domain.operators import Operator
from boundless_skies.cloud.domain.reviews import NewVerdict, Verdict
from boundless_skies.cloud.domain.validation import Review
from boundless_skies.cloud.schema.tables import measurements, reviews

_c = measurements.c
# As the index of disputed points has it.
_WAITING = (_c.validation == "outlier", _c.review.is_(None), _c.is_newest == true())
_POINT = (
    _c.id,
    _c.target_name,
    _c.filter,
    _c.node_id,
    _c.bjd_tdb.label("bjd"),
    _c.magnitude,
    _c.uncertainty,
    _c.quality_flag,
    _c.airmass,
    _c.snr,
    _c.fits_file,
    _c.received_at,
    _c.revision,
    _c.is_newest,
    _c.validation,
    _c.review,
)


@dataclass(frozen=True, kw_only=True)
class ReviewedPoint:
    """A measurement as whoever judges it needs it: BJD_TDB in days, the rest in mag."""

    id: int
    target_name: str
    filter: str
    node_id: str
    bjd: float
    magnitude: float
    uncertainty: float
    quality_flag: str | None
    airmass: float | None
    snr: float | None
    fits_file: str
    received_at: datetime
    revision: int
    is_newest: bool
    validation: str | None
    review: str | None


def count_waiting(connection: Connection) -> int:
    """Return how many disputed points nobody has judged."""
    return connection.scalar(select(func.count()).select_from(measurements).where(*_WAITING)) or 0


def list_waiting(connection: Connection, after_id: int, limit: int) -> list[ReviewedPoint]:
    """Return disputed points that nobody has judged, by number: those after one."""
    query = select(*_POINT).where(*_WAITING, _c.id > after_id).order_by(_c.id).limit(limit)
    return [ReviewedPoint(**row) for row in connection.execute(query).mappings()]


def find(connection: Connection, number: int) -> ReviewedPoint | None:
    """Return a measurement by its number."""
    row = connection.execute(select(*_POINT).where(_c.id == number)).mappings().first()
    return None if row is None else ReviewedPoint(**row)


def list_verdicts(connection: Connection, number: int) -> list[Verdict]:
    """Return every verdict on a measurement, the newest first."""
    r = reviews.c
    query = (
        select(r.verdict, r.reason, r.operator, r.at)
        .where(r.measurement_id == number)
        .order_by(r.id.desc())
    )
    return [
        Verdict(verdict=Review(row.verdict), reason=row.reason, operator=row.operator, at=row.at)
        for row in connection.execute(query)
    ]


def add(
    connection: Connection,
    point: ReviewedPoint,
    new: NewVerdict,
    operator: Operator,
    now: datetime,
) -> None:
    """Keep a verdict, and mark the point with it."""
    said = {"verdict": str(new.verdict), "reason": new.reason, "operator": operator.name}
    connection.execute(insert(reviews).values(measurement_id=point.id, at=now, **said))
    connection.execute(
        update(measurements)
        # The time leads PostgreSQL to the partition.
        .where(_c.id == point.id, _c.bjd_tdb == point.bjd)
        .values(review=str(new.verdict))
    )

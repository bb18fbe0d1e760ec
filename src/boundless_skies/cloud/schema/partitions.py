"""How ``measurements`` is cut by month of observation on PostgreSQL.

The months of 2010 to 2049 get a partition each when their first point comes;
points outside of that span, archives and wrong clocks, share one. The bounds are
fixed, so that no peer can make the cloud cut more than 480 pieces.
"""

from datetime import UTC, datetime
from functools import lru_cache

from boundless_skies.cloud.domain.times import UNIX_EPOCH_JD

FIRST_YEAR, LAST_YEAR = 2010, 2049
MONTHS_PER_YEAR = 12
REST = "measurements_rest"
SECONDS_PER_DAY = 86_400.0


def month_of(bjd_tdb: float) -> tuple[int, int] | None:
    """Return year and month of an observation; None outside of the years with months of their own.

    Parameters
    ----------
    bjd_tdb : float
        BJD_TDB (days).
    """
    if not _month_start(FIRST_YEAR, 1) <= bjd_tdb < _month_start(LAST_YEAR + 1, 1):
        return None
    seconds = (bjd_tdb - UNIX_EPOCH_JD) * SECONDS_PER_DAY
    instant = datetime.fromtimestamp(seconds, UTC)
    year, month = instant.year, instant.month
    if bjd_tdb >= _month_start(*_following(year, month)):  # rounded to the microsecond
        return _following(year, month)
    return year, month


def partition_name(year: int, month: int) -> str:
    """Return the name of a month's partition."""
    return f"measurements_{year:04d}_{month:02d}"


def create_statement(year: int, month: int) -> str:
    """Return the SQL that makes a month's partition where it is missing."""
    low, high = _month_start(year, month), _month_start(*_following(year, month))
    return (
        f"CREATE TABLE IF NOT EXISTS {partition_name(year, month)} PARTITION OF measurements "
        f"FOR VALUES FROM ({low!r}) TO ({high!r})"
    )


def _following(year: int, month: int) -> tuple[int, int]:
    return (year + 1, 1) if month == MONTHS_PER_YEAR else (year, month + 1)


@lru_cache(maxsize=1_024)
def _month_start(year: int, month: int) -> float:
    return UNIX_EPOCH_JD + datetime(year, month, 1, tzinfo=UTC).timestamp() / SECONDS_PER_DAY

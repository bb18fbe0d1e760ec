"""The computer's own time zone, with its clock changes of all years."""

import os
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_LOCAL_TIME = Path("/etc/localtime")


def local_zone() -> tzinfo:
    """Return the zone that ``TZ`` names, or else the system's.

    Returns
    -------
    tzinfo
        Where neither can be read, the present offset from UTC.
    """
    name = os.environ.get("TZ", "").removeprefix(":")
    with suppress(ZoneInfoNotFoundError, ValueError, OSError):
        if name and not name.startswith("/"):
            return ZoneInfo(name)
        if not name and _LOCAL_TIME.exists():
            with _LOCAL_TIME.open("rb") as file:
                return ZoneInfo.from_file(file, key="local")
    local = datetime.now(UTC).astimezone().utcoffset()
    return timezone(local if local is not None else timedelta(seconds=-time.timezone))

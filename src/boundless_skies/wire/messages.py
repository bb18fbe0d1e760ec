"""The shapes of the wire as dataclasses.

Fields carry the names of the wire; where a name there hides its unit, the
docstring says it. Unknown keys of a measurement are legal on the wire and kept
by the cloud, so a cloud reads measurements as dicts and these classes are what
our own node writes.
"""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class QualityFlag(StrEnum):
    """How far a measurement can be trusted."""

    GOOD = "good"
    ACCEPTABLE = "acceptable"
    POOR = "poor"


class ItemState(StrEnum):
    """What became of a plan, an item of it, or an interrupt."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EXPIRED = "expired"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    PREEMPTED = "preempted"


@dataclass(kw_only=True)
class Registration:
    """What a node says of itself to get an identity.

    Angles are in degrees (north and east positive), ``elevation`` in metres.
    """

    node_id: str = ""
    owner_name: str = ""
    latitude: float = 0.0
    longitude: float = 0.0
    elevation: float = 0.0
    telescope_model: str = "ZWO Seestar S50"
    filters: str = "CV"
    utc_offset_hours: float = 0.0


@dataclass(kw_only=True)
class PlanItem:
    """One line of a plan, in the node-schedule-runner format.

    ``ra`` is in decimal hours, ``dec`` in degrees, ``expDur`` in seconds,
    ``startTime`` is "HH:MM" in the node's local time; ``start_utc`` and
    ``end_utc`` are ISO 8601 with Z and are what our runner goes by.
    """

    target: str
    ra: float
    dec: float
    expDur: float = 10.0  # noqa: N815 - the wire's name
    expCount: int = 1  # noqa: N815 - the wire's name
    binning: int = 1
    startTime: str = ""  # noqa: N815 - the wire's name
    item_id: str | None = None
    start_utc: str | None = None
    end_utc: str | None = None
    filter: str | None = None
    score: float | None = None
    notes: str | None = None


@dataclass(kw_only=True)
class Plan:
    """A night's plan for one node; ``night`` is the date of its evening (YYYY-MM-DD)."""

    plan_id: str
    node_id: str
    night: str
    generated_at: str
    items: list[PlanItem] = field(default_factory=list)


@dataclass(kw_only=True)
class Interrupt:
    """A request to leave the plan for a target; ``ra`` repeats ``ra_deg`` in hours."""

    id: int
    name: str
    reason: str
    ra_deg: float
    dec_deg: float
    ra: float
    dec: float
    mag: float | None
    created_at: str
    expires_at: str | None
    acked: bool = False


@dataclass(kw_only=True)
class Measurement:
    """One point on a light curve.

    ``bjd`` is BJD_TDB of mid-exposure (days); magnitudes and their
    uncertainties are in mag; ``fwhm`` is in pixels.
    """

    target_name: str
    bjd: float
    magnitude: float
    uncertainty: float
    filter: str
    airmass: float | None
    fwhm: float | None
    snr: float | None
    comparison_stars: int
    quality_flag: QualityFlag
    node_id: str
    zero_point: float
    zp_scatter: float
    fits_file: str

    def to_dict(self) -> dict[str, Any]:
        """Return the measurement as the dict that goes over the wire."""
        return asdict(self) | {"quality_flag": str(self.quality_flag)}

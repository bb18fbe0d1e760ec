"""What is kept of plans: their items as they were read, and how far each has come."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from boundless_skies.node.schedule.states import Command, PlanState, Step, WorkKind
from boundless_skies.wire import ItemState


@dataclass(frozen=True, kw_only=True)
class PlannedItem:
    """An item of a plan, or an interrupt, that this node can make sense of.

    Attributes
    ----------
    item_id : str
        The cloud's name for it, or one made from its content and place; never empty.
        Of an interrupt, the cloud's id.
    target : str
        Name of the object.
    ra_deg, dec_deg : float
        Position, ICRS (J2000), degrees.
    exposure_s : float
        Length of each exposure, seconds.
    count : int
        How many exposures.
    binning : int
        Camera pixels to a side of a binned one.
    filter : str or None
        The filter's name; None for whichever is in.
    start_utc, end_utc : datetime or None
        Between which instants it is to be observed, aware; None where nothing says so.
    notes : str
        The planner's words to the owner.
    remark : str
        What this node had to settle in reading it, a sentence; mostly empty.
    raw : Mapping
        The item as it came.
    """

    item_id: str
    target: str
    ra_deg: float
    dec_deg: float
    exposure_s: float
    count: int
    binning: int = 1
    filter: str | None = None
    start_utc: datetime | None = None
    end_utc: datetime | None = None
    notes: str = ""
    remark: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RefusedItem:
    """An item of a plan, or an interrupt, that cannot be meant as it stands.

    Attributes
    ----------
    item_id : str
        The cloud's name for it, or one made from its content and place; never empty.
    target : str
        Name of the object; empty where it has none.
    reason : str
        What is wrong, one sentence.
    """

    item_id: str
    target: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Work:
    """An item of a plan or an interrupt, and how far it has come.

    Attributes
    ----------
    id : int
        Its number in the store.
    kind : WorkKind
        Item or interrupt.
    plan_id : str
        The plan it belongs to; empty for an interrupt.
    item_id : str
        The cloud's name for it; of an interrupt, the interrupt's id.
    target : str
        Name of the object.
    ra_deg, dec_deg : float
        Position, ICRS (J2000), degrees.
    exposure_s : float
        Length of each exposure, seconds.
    count : int
        How many exposures.
    binning : int
        Camera pixels to a side of a binned one.
    filter : str or None
        The filter's name; None for whichever is in.
    start_utc, end_utc : datetime or None
        Between which instants it is to be observed, aware.
    notes, remark : str
        The planner's words, and this node's on reading the item.
    step : Step
        Where it stands.
    reason : str
        Why it stands there, a sentence; may be empty.
    taken : int
        How many exposure numbers are used, lost ones included; the next one is one more.
    position : int
        Its place in the order of its plan, from 0.
    changed_at : datetime
        When it came to its present step, aware.
    raw : Mapping
        The item as it came.
    """

    id: int
    kind: WorkKind
    plan_id: str
    item_id: str
    target: str
    ra_deg: float
    dec_deg: float
    exposure_s: float
    count: int
    binning: int
    filter: str | None
    start_utc: datetime | None
    end_utc: datetime | None
    notes: str
    remark: str
    step: Step
    reason: str
    taken: int
    position: int
    changed_at: datetime
    raw: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class PlanRecord:
    """A plan as it is kept.

    Attributes
    ----------
    plan_id : str
        The cloud's name for it.
    night : str
        The date of its evening, YYYY-MM-DD; empty where the cloud named none.
    received_at : datetime
        When it came, aware.
    state : PlanState
        What has become of it.
    reason : str
        Why, a sentence; may be empty.
    expires_at : datetime or None
        When it ceases to wait for the owner, aware; None for never.
    items : tuple of Work
        In their order.
    refused : tuple of RefusedItem
        What could not be read, in the order given.
    """

    plan_id: str
    night: str
    received_at: datetime
    state: PlanState
    reason: str
    expires_at: datetime | None
    items: tuple[Work, ...]
    refused: tuple[RefusedItem, ...]


class ExposureState(StrEnum):
    """What has become of an exposure."""

    BEGUN = "begun"
    SAVED = "saved"
    LOST = "lost"


@dataclass(frozen=True, kw_only=True)
class ExposureRecord:
    """One exposure of a piece of work.

    Attributes
    ----------
    work_id : int
        The work's number in the store.
    number : int
        Which exposure of it, from 1.
    path : str
        Where its file stands, or is to stand.
    state : ExposureState
        What has become of it.
    at : datetime
        When its state last changed, aware.
    """

    work_id: int
    number: int
    path: str
    state: ExposureState
    at: datetime


@dataclass(frozen=True, kw_only=True)
class AskedCommand:
    """A command of the owner that is not yet carried out.

    Attributes
    ----------
    id : int
        Its number in the store.
    command : Command
        What is asked.
    work_id : int or None
        Which work it is about; None for the telescope, or whatever runs.
    at : datetime
        When it was asked, aware.
    """

    id: int
    command: Command
    work_id: int | None
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Latch:
    """The safety latch: while it is set, nothing moves until the owner clears it.

    Attributes
    ----------
    reason : str
        Why it was set first, a sentence.
    at : datetime
        When, aware.
    """

    reason: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class ScheduleEvent:
    """Something the cloud is to be told; ``event_id`` stays the same when it is told again.

    Attributes
    ----------
    event_id : str
        A UUID.
    plan_id : str or None
        The plan; None for an interrupt.
    item_id : str or None
        The item; None for the plan as a whole, and for an interrupt.
    interrupt_id : str or None
        The cloud's id of the interrupt; None for a plan.
    state : ItemState
        What has become of it.
    reason : str
        Why, a sentence; may be empty.
    at : datetime
        When, aware.
    """

    event_id: str
    plan_id: str | None
    item_id: str | None
    interrupt_id: str | None
    state: ItemState
    reason: str
    at: datetime

"""The accounts: what each station planned, exposed and measured, against what the cloud holds."""

import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from astropy.io import fits

from boundless_skies.demo.books import take_books
from boundless_skies.node.schedule.states import wire_state
from boundless_skies.node.schedule.work import ExposureRecord, ExposureState, Work
from boundless_skies.node.storage.ledger import FILE_NAME as LEDGER_NAME
from boundless_skies.node.storage.ledger import Ledger
from boundless_skies.node.storage.schedule import FILE_NAME as SCHEDULE_NAME
from boundless_skies.node.storage.schedule import ScheduleStore
from boundless_skies.simulation.operating import OperatorDesk
from boundless_skies.simulation.scenario import DATA_NAME, FRAMES_NAME

INTERRUPTS_MAX = 1_000

_ROUNDING_S = 1e-3


@dataclass(frozen=True, kw_only=True)
class Account:
    """What became of a station's plans, or of those of all of them.

    Attributes
    ----------
    planned : int
        Exposures that its plans, and the interrupts that it took on, asked for.
    exposed : int
        Exposures whose file was completely on disk.
    cut_off : int
        Exposures that a fault or a kill ended under way; they are told as such, and not taken
        again.
    not_begun : int
        Exposures that weather, faults and dawn left no time for; each told with its reason.
    measured : int
        Frames that became a measurement.
    unmeasured : int
        Frames that the photometry refused, each with its reason (clouds, no stars).
    delivered : int
        Measurements on the cloud's light curves with the same values.
    lost : int
        What is nowhere accounted for: frames without a file, frames neither measured nor
        refused, measurements that the cloud does not hold.
    duplicated : int
        Rows that the cloud holds beyond one for each delivered measurement, frames that were
        measured twice, frames of nothing that was begun, and frames whose light was gathered
        while the same camera gathered that of another.
    untold : int
        Items and interrupts of which the cloud believes something else than the node.
    """

    planned: int = 0
    exposed: int = 0
    cut_off: int = 0
    not_begun: int = 0
    measured: int = 0
    unmeasured: int = 0
    delivered: int = 0
    lost: int = 0
    duplicated: int = 0
    untold: int = 0

    def __add__(self, other: "Account") -> "Account":
        """Return both in one."""
        return Account(
            **{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)}
        )

    @property
    def balance(self) -> bool:
        """Whether each exposure is accounted for, once, and the cloud knows it."""
        whole = self.planned == self.exposed + self.cut_off + self.not_begun
        return whole and not (self.lost or self.duplicated or self.untold)

    def to_dict(self) -> dict[str, int]:
        """Return it as JSON has it."""
        return asdict(self)


@dataclass(frozen=True)
class CloudsWord:
    """What the cloud says of all nodes, read once.

    Attributes
    ----------
    points : mapping
        The points of all light curves by node, then by target.
    rows : mapping
        How many measurements it holds of each node, every revision counted.
    interrupts : mapping
        The state that each node told last, by the interrupt's id, then by node.
    """

    points: Mapping[str, Mapping[str, Sequence[dict[str, Any]]]]
    rows: Mapping[str, int]
    interrupts: Mapping[str, Mapping[str, str]]

    def all_points(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give each point with its target."""
        for curves in self.points.values():
            for target, points in curves.items():
                for point in points:
                    yield target, point


def hear_cloud(desk: OperatorDesk) -> CloudsWord:
    """Read what the cloud holds.

    Parameters
    ----------
    desk : OperatorDesk
        The operator's way in.

    Returns
    -------
    CloudsWord
        As its public and operator calls tell it.
    """
    points: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for target in desk.targets():
        for point in desk.light_curve(target):
            points.setdefault(point["node_id"], {}).setdefault(target, []).append(point)
    return CloudsWord(
        points=points,
        rows={node["node_id"]: node["measurements"] for node in desk.nodes()},
        interrupts={
            str(one["id"]): {node: told["state"] for node, told in one["told_by"].items()}
            for one in desk.interrupts()
        },
    )


def take_account(
    folder: Path, node_id: str, plan_ids: Sequence[str], word: CloudsWord, desk: OperatorDesk
) -> Account:
    """Hold a station's own records against the cloud's.

    Parameters
    ----------
    folder : Path
        The station's folder; its process is not running.
    node_id : str
        What the cloud calls it.
    plan_ids : sequence of str
        The plans that were published for it.
    word : CloudsWord
        What the cloud says of all nodes.
    desk : OperatorDesk
        The operator's way in, for what became of the plans.

    Returns
    -------
    Account
        Of that station.
    """
    data, frames = folder / DATA_NAME, folder / FRAMES_NAME
    reports = [desk.plan(plan_id) for plan_id in plan_ids]
    with (
        contextlib.closing(ScheduleStore(data / SCHEDULE_NAME, mends=False)) as store,
        contextlib.closing(Ledger(data / LEDGER_NAME)) as ledger,
    ):
        works = [work for plan_id in plan_ids for work in store.all_work(plan_id)]
        asked = [work for work in store.interrupts(INTERRUPTS_MAX) if work.count]
        records = [record for work in (*works, *asked) for record in store.exposures(work.id)]
        handed = ledger.handed()
        refused = [frame.path for frame, _ in ledger.refused()]
    return (
        _of_works([*works, *asked], records)
        + _of_frames(records, frames, handed, refused)
        + _of_cloud(handed, node_id, word)
        + Account(
            planned=_asked_by_plans(reports) + sum(work.count for work in asked),
            untold=_untold_items(reports, works) + _untold_interrupts(asked, node_id, word),
        )
    )


def _asked_by_plans(reports: Sequence[Mapping[str, Any]]) -> int:
    """Return how many exposures the plans ask for as the cloud has them."""
    return sum(item["expCount"] for report in reports for item in report["plan"]["items"])


def _of_works(works: Sequence[Work], records: Sequence[ExposureRecord]) -> Account:
    states = Counter(record.state for record in records)
    return Account(
        exposed=states[ExposureState.SAVED],
        cut_off=states[ExposureState.LOST] + states[ExposureState.BEGUN],
        not_begun=sum(work.count for work in works) - len(records),
    )


def _of_frames(
    records: Sequence[ExposureRecord],
    folder: Path,
    handed: Sequence[dict[str, Any]],
    refused: Sequence[str],
) -> Account:
    there = {path.name for path in folder.glob("*.fits")}
    saved = {Path(one.path).name for one in records if one.state is ExposureState.SAVED}
    measured = Counter(Path(entry["fits_file"]).name for entry in handed)
    done = measured + Counter(Path(path).name for path in refused)
    return Account(
        measured=len(handed),
        unmeasured=len(refused),
        lost=len(saved - there) + len((saved | there) - done.keys()),
        duplicated=done.total() - len(done) + len(there - saved) + _overlapping(folder),
    )


def _overlapping(folder: Path) -> int:
    """Count frames that began before another one of the same camera was over."""
    spans = sorted(_span_s(path) for path in folder.glob("*.fits"))
    return sum(1 for (_, over_s), (begun_s, _) in pairwise(spans) if begun_s < over_s - _ROUNDING_S)


def _span_s(path: Path) -> tuple[float, float]:
    header = fits.getheader(path)
    begun_s = dt.datetime.fromisoformat(header["DATE-OBS"]).replace(tzinfo=dt.UTC).timestamp()
    return begun_s, begun_s + float(header["EXPTIME"])


def _of_cloud(handed: Sequence[dict[str, Any]], node_id: str, word: CloudsWord) -> Account:
    points = {name: list(found) for name, found in word.points.get(node_id, {}).items()}
    books = take_books(handed, points, word.rows.get(node_id, 0))
    return Account(delivered=books.delivered, lost=books.lost, duplicated=books.duplicated)


def _untold_items(reports: Sequence[Mapping[str, Any]], works: Sequence[Work]) -> int:
    """Count the items whose last state, as the cloud has it, is another than the node's."""
    true = {(work.plan_id, work.item_id): wire_state(work.step) for work in works}
    told = {
        (report["plan"]["plan_id"], one["item_id"]): (one["told"] or {}).get("state")
        for report in reports
        for one in report["items"]
    }
    return sum(1 for key in told.keys() | true.keys() if told.get(key) != true.get(key))


def _untold_interrupts(asked: Sequence[Work], node_id: str, word: CloudsWord) -> int:
    return sum(
        1
        for work in asked
        if word.interrupts.get(work.item_id, {}).get(node_id) != wire_state(work.step)
    )

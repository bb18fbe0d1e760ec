"""The accounts of a simulated network: nothing that goes wrong may go unseen."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from boundless_skies.node.schedule.states import PlanState, Step
from boundless_skies.node.schedule.work import PlannedItem
from boundless_skies.node.storage.ledger import FILE_NAME as LEDGER_NAME
from boundless_skies.node.storage.ledger import FrameFile, Ledger
from boundless_skies.node.storage.schedule import FILE_NAME as SCHEDULE_NAME
from boundless_skies.node.storage.schedule import ScheduleStore
from boundless_skies.simulation.accounts import Account, CloudsWord, take_account
from boundless_skies.simulation.scenario import DATA_NAME, FRAMES_NAME

NOW = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)
PLAN_ID, NODE_ID = "plan-1", "station-001"


@dataclass
class Station:
    """A station's folder, and a cloud that agrees with it until a test makes it differ."""

    folder: Path
    rows: int = 0
    points: list[dict[str, Any]] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)
    planned: int = 3

    @property
    def store_path(self) -> Path:
        """The schedule."""
        return self.folder / DATA_NAME / SCHEDULE_NAME

    def frame(self, number: int) -> Path:
        """Name the file of an exposure."""
        return self.folder / FRAMES_NAME / f"star_{number:05d}.fits"

    def plan(self, plan_id: str) -> dict[str, Any]:
        """Be the operator's desk."""
        item = {"item_id": "item-1", "expCount": self.planned}
        state = self.told.get("item-1")
        return {
            "plan": {"plan_id": plan_id, "items": [item]},
            "items": [{"item_id": "item-1", "told": state and {"state": state}}],
        }

    def account(self) -> Account:
        """Take its account."""
        word = CloudsWord({NODE_ID: {"Star": self.points}}, {NODE_ID: self.rows}, {})
        return take_account(self.folder, NODE_ID, [PLAN_ID], word, self)  # type: ignore[arg-type]


def expose(path: Path, minute: int) -> None:
    """Write a frame of 20 s that was begun so many minutes after eight."""
    header = fits.Header([("DATE-OBS", f"2026-11-24T20:{minute:02d}:00"), ("EXPTIME", 20.0)])
    fits.PrimaryHDU(np.zeros((2, 2), np.uint16), header).writeto(path, overwrite=True)


def measurement(path: Path, number: int) -> dict[str, Any]:
    """Return what the node measured in a frame."""
    return {
        "target_name": "Star",
        "bjd": 2461000.0 + number,
        "filter": "CV",
        "magnitude": 9.0,
        "uncertainty": 0.01,
        "fits_file": str(path),
    }


@pytest.fixture
def station(tmp_path: Path) -> Station:
    """Make a station of three exposures: two measured, one lost under way; all told."""
    made = Station(tmp_path)
    (tmp_path / DATA_NAME).mkdir()
    (tmp_path / FRAMES_NAME).mkdir()
    store = ScheduleStore(made.store_path, lambda: NOW)
    item = PlannedItem(
        item_id="item-1", target="Star", ra_deg=1.0, dec_deg=2.0, exposure_s=20.0, count=3
    )
    store.put_plan(PLAN_ID, [item], [], state=PlanState.ACCEPTED, expires_at=None)
    (work,) = store.all_work(PLAN_ID)
    store.advance(work.id, Step.PENDING, Step.SLEWING)
    store.advance(work.id, Step.SLEWING, Step.EXPOSING)
    for number in (1, 2, 3):
        store.begin_exposure(work.id, number, made.frame(number))
        if number == 3:
            store.lose_exposure(work.id, number)
        else:
            store.save_exposure(work.id, number)
    store.advance(work.id, Step.EXPOSING, Step.DONE)
    store.close()
    ledger = Ledger(tmp_path / DATA_NAME / LEDGER_NAME)
    for number in (1, 2):
        _measure(made, ledger, number)
    ledger.close()
    made.told["item-1"] = "done"
    return made


def _measure(made: Station, ledger: Ledger, number: int) -> None:
    path = made.frame(number)
    expose(path, number)
    found = measurement(path, number)
    frame = FrameFile(path.stat().st_mtime_ns, str(path), 5)
    ledger.keep_measured(frame, found)
    ledger.mark_handed(frame)
    made.points.append(found)
    made.rows += 1


def test_all_is_accounted_for(station: Station) -> None:
    """Two of three exposures became measurements, the third was cut off; nothing is missing."""
    account = station.account()
    assert account == Account(planned=3, exposed=2, cut_off=1, measured=2, delivered=2)
    assert account.balance


def _drop_point(station: Station) -> None:
    station.points.pop()
    station.rows -= 1


def _change_point(station: Station) -> None:
    station.points[0] = station.points[0] | {"magnitude": 9.1}


def _add_row(station: Station) -> None:
    station.rows += 1


def _delete_frame(station: Station) -> None:
    station.frame(1).unlink()


def _forget_measuring(station: Station) -> None:
    expose(station.frame(3), 3)


def _measure_twice(station: Station) -> None:
    ledger = Ledger(station.folder / DATA_NAME / LEDGER_NAME)
    expose(station.frame(1), 7)
    frame = FrameFile(1, str(station.frame(1)), 6)
    ledger.keep_measured(frame, measurement(station.frame(1), 7))
    ledger.mark_handed(frame)
    station.points.append(measurement(station.frame(1), 7))
    station.rows += 1
    ledger.close()


def _expose_at_the_same_time(station: Station) -> None:
    expose(station.frame(2), 1)


def _tell_otherwise(station: Station) -> None:
    station.told["item-1"] = "running"


def _tell_nothing(station: Station) -> None:
    station.told.clear()


def _plan_more(station: Station) -> None:
    station.planned = 4


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (_drop_point, {"lost": 1}),
        (_change_point, {"lost": 1, "duplicated": 1}),
        (_add_row, {"duplicated": 1}),
        (_delete_frame, {"lost": 1}),
        (_forget_measuring, {"lost": 1, "duplicated": 1}),
        (_measure_twice, {"duplicated": 1}),
        (_expose_at_the_same_time, {"duplicated": 1}),
        (_tell_otherwise, {"untold": 1}),
        (_tell_nothing, {"untold": 1}),
        (_plan_more, {}),
    ],
)
def test_what_goes_wrong_is_seen(
    station: Station, spoil: Callable[[Station], None], expected: dict[str, int]
) -> None:
    """Each fault upsets the balance, in its own place."""
    spoil(station)
    account = station.account()
    assert not account.balance
    wrong = {name: getattr(account, name) for name in ("lost", "duplicated", "untold")}
    assert {name: value for name, value in wrong.items() if value} == expected


def test_plan_that_never_arrived_is_untold(station: Station) -> None:
    """A plan that the node does not know upsets the balance, too."""
    station.store_path.unlink()
    assert not station.account().balance


def test_accounts_add_up() -> None:
    """The network's account is the sum of its stations'."""
    one = Account(planned=3, exposed=2, cut_off=1)
    other = Account(planned=4, not_begun=4, untold=1)
    assert one + other == Account(planned=7, exposed=2, cut_off=1, not_begun=4, untold=1)

"""Interrupts against a model: done once and never again, acknowledged until it lands."""

import shutil
import tempfile
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.support.disks import SmallDisk, small_disk

from cloud_communicator.board import StatusBoard
from cloud_communicator.errors import CloudRefused, ConnectionBroken, LinkFailure, NoConnection
from cloud_communicator.journal import JOURNAL_NAME, InterruptJournal, State
from cloud_communicator.poller import InterruptPoller

SCOPE = "https://cloud.example.org node-7"


class KilledError(BaseException):
    """The process ends here: nothing of it runs any more."""


class MortalJournal(InterruptJournal):
    """A journal whose process is killed at a step: before its write, in it, or after it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder / JOURNAL_NAME
        self.kill: tuple[int, str] | None = None
        self.durable: dict[str, State] = {}

    def step(self, scope: str, interrupt_id: str, state: State) -> None:
        """Take one step, unless it is the last one of this life."""
        steps_left, how = self.kill or (-1, "")
        if steps_left == 0:
            if how == "torn":
                self._tear()
            if how != "after":
                raise KilledError
        if self.kill:
            self.kill = (steps_left - 1, how)
        super().step(scope, interrupt_id, state)
        if steps_left == 0:
            raise KilledError

    def save(self) -> None:
        """Write what waits; from then on all steps are durable."""
        super().save()
        self.durable.update({key: state for (_, key), state in self._states.items()})

    def _tear(self) -> None:
        self.path.parent.mkdir(exist_ok=True)
        with self.path.open("ab") as file:
            file.write(b'{"scope":"https://cloud.exam')


class CloudOfInterrupts:
    """A cloud that offers interrupts and takes acknowledgements as it is told."""

    def __init__(self) -> None:
        self.offered: dict[str, bool] = {}
        self.acks: list[str] = []
        self.answer = "ok"

    def rests(self, _kind: str) -> bool:
        """Ask for no pause."""
        return False

    def get(self, _path: str, _kind: str, _cancel: Event, _wait_s: float | None = None) -> Any:
        """Offer what was published, with what is acknowledged."""
        if self.answer == "down":
            raise NoConnection("no way to the cloud")
        return {"interrupts": [{"id": int(k), "acked": a} for k, a in self.offered.items()]}

    def post(self, path: str, _kind: str, _body: bytes, cancel: Event) -> Any:  # noqa: ARG002
        """Take an acknowledgement."""
        key = path.split("/")[-2]
        self.acks.append(key)
        if self.answer == "down":
            raise NoConnection("no way to the cloud")
        if self.answer == "busy":
            raise CloudRefused("busy", 503, "busy", None)
        if self.answer == "gone":
            del self.offered[key]
            raise CloudRefused("no such interrupt", 404, "", None)
        self.offered[key] = True
        if self.answer == "reply lost":
            raise ConnectionBroken("the reply was lost")
        return {"ok": True}


class InterruptMachine(RuleBasedStateMachine):
    """What a cloud, a callback, a killer and a bad disk do to the interrupts."""

    root: Path
    disk: SmallDisk | None = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=self.root)) / "data"
        self.folder.mkdir()
        self.cloud = CloudOfInterrupts()
        self.durable: dict[str, State] = {}
        self.bad_disk = False
        self.raises = False
        self.next = 1
        self._start()

    def teardown(self) -> None:
        """Let everything come to its end: each interrupt is done and acknowledged."""
        self._mend()
        self.cloud.answer = "ok"
        self.raises = False
        for _ in range(2):
            self._poll()
        assert all(self.cloud.offered.values())
        assert set(self.durable.values()) <= {State.ACKED}
        shutil.rmtree(self.folder.parent)

    def _start(self) -> None:
        """Begin a life with what the last one left on disk."""
        self.cut_down = {k for k, state in self.durable.items() if state is State.STARTED}
        self.done = {k for k, state in self.durable.items() if state in (State.DONE, State.ACKED)}
        self.journal = MortalJournal(self.folder)
        self.journal.load()
        self.journal.durable = self.durable
        self.board = StatusBoard()
        client: Any = self.cloud
        self.poller = InterruptPoller(
            client, self.board, self.journal, self._on_interrupt, lambda: SCOPE
        )

    def _on_interrupt(self, interrupt: dict[str, Any]) -> None:
        key = str(interrupt["id"])
        assert key not in self.done, f"{key} was handed over again"
        assert interrupt.get("redelivered", False) == (key in self.cut_down)
        if self.raises:
            self.cut_down.discard(key)
            raise ValueError("the mount is parked")
        if self.journal.kill is None or self.journal.kill[0] > 0 or self.journal.kill[1] == "after":
            self.done.add(key)
            self.cut_down.discard(key)

    def _poll(self) -> None:
        try:
            self.poller.poll(Event())
        except LinkFailure:
            assert self.cloud.answer != "ok"
        except KilledError:
            self._start()

    def _mend(self) -> None:
        if self.disk is not None:
            self.disk.mend()
        self.bad_disk = False

    @rule()
    def offer(self) -> None:
        """Publish an interrupt."""
        self.cloud.offered[str(self.next)] = False
        self.next += 1

    @rule(answer=st.sampled_from(["ok", "busy", "down", "reply lost", "gone"]))
    def poll(self, answer: str) -> None:
        """Poll a cloud that is in some mood."""
        self.cloud.answer = answer
        self._poll()

    @rule()
    def poll_with_a_failing_callback(self) -> None:
        """Poll while the program around the link is in trouble."""
        self.raises = True
        self._poll()
        self.raises = False

    @precondition(lambda self: not self.bad_disk)
    @rule(steps=st.integers(0, 8), how=st.sampled_from(["before", "torn", "after"]))
    def poll_and_be_killed(self, steps: int, how: str) -> None:
        """Poll, and be killed at one of the journal's steps."""
        self.cloud.answer = "ok"
        self.journal.kill = (steps, how)
        self._poll()
        self.journal.kill = None

    @precondition(lambda self: not self.bad_disk)
    @rule()
    def restart(self) -> None:
        """End and begin between two polls."""
        self.journal.save()
        self._start()

    @precondition(lambda self: self.disk is not None and not self.bad_disk)
    @rule()
    def shut_disk(self) -> None:
        """Make the disk read-only."""
        self.disk.shut(self.folder)
        self.bad_disk = True

    @precondition(lambda self: self.bad_disk)
    @rule()
    def mend_disk(self) -> None:
        """Make the disk good again; the next poll writes what it refused."""
        self._mend()
        self._poll()

    @invariant()
    def acknowledged_is_only_what_was_done(self) -> None:
        """Tell the cloud of nothing that did not happen."""
        assert set(self.cloud.acks) <= self.done

    @invariant()
    def errors_are_told(self) -> None:
        """Say what the disk refused."""
        if self.journal._unsaved:
            assert "journalled" in self.board._errors["journal"]


def run(examples: int) -> None:
    """Let the machine try so many runs."""
    quick = settings(max_examples=examples, stateful_step_count=30)
    run_state_machine_as_test(InterruptMachine, settings=quick)


def test_interrupts_are_done_once_wherever_the_node_is_killed(tmp_path: Path) -> None:
    """Kills at each step, lost acks and raising callbacks: done once, acked in the end."""
    InterruptMachine.root, InterruptMachine.disk = tmp_path, None
    run(100)


def test_interrupts_are_done_once_on_a_disk_that_comes_and_goes(tmp_path: Path) -> None:
    """The same where the journal cannot be written now and then."""
    with small_disk(tmp_path / "disk", 400_000) as disk:
        InterruptMachine.root, InterruptMachine.disk = disk.root, disk
        run(60)
    InterruptMachine.disk = None


def test_steps_that_the_disk_refused_are_written_at_the_next_poll(tmp_path: Path) -> None:
    """Done on a read-only disk, killed after it was mended: not handed over again."""
    with small_disk(tmp_path / "disk", 400_000) as disk:
        InterruptMachine.root, InterruptMachine.disk = disk.root, disk
        machine = InterruptMachine()
        machine.offer()
        machine.shut_disk()
        machine.poll(answer="busy")
        machine.errors_are_told()
        machine.mend_disk()
        assert "journal" not in machine.board._errors
        machine._start()
        assert machine.journal.state(SCOPE, "1") is State.DONE
        machine.teardown()
    InterruptMachine.disk = None


def test_an_unreadable_journal_is_told_and_the_link_starts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A journal that cannot be read is an error in the log, and none in the constructor."""
    (tmp_path / JOURNAL_NAME).mkdir()
    journal = InterruptJournal(tmp_path)
    journal.load()
    assert "cannot be read" in caplog.text

"""The retry queue against a model: every accepted entry is somewhere, none invented, order kept."""

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

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
from tests.support.books import in_ledgers, line, number_of
from tests.support.disks import SmallDisk, small_disk

from cloud_communicator.arrayfile import Entry, Reading
from cloud_communicator.retryqueue import QUEUE_NAME, RetryQueue

CAP = 6
DISK_BYTES = 400_000
ANY = st.integers(0, 99)


class QueueMachine(RuleBasedStateMachine):
    """What a node, a second process beside it and a bad disk do to one folder."""

    disk: SmallDisk | None = None
    root: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=self.root)) / "data"
        self.queue = RetryQueue(self.folder, cap=CAP)
        self.beside = RetryQueue(self.folder, cap=CAP)
        self.next = 0
        self.accepted: list[int] = []
        self.delivered: list[int] = []
        self.arrivals: list[int] = []  # in the order of the queue; a replayed one arrives anew
        self.half_removed: set[int] = set()  # taken out while the disk could not be told
        self.bad_disk = False
        self.was_bad = False  # then the cap is kept from the next beat on

    def teardown(self) -> None:
        """Give back what this run held."""
        self._mend()
        self.queue.file.close()
        self.beside.file.close()
        shutil.rmtree(self.folder.parent)

    # -- helpers ------------------------------------------------------------------------

    def _on_disk(self, action: Callable[[], object]) -> bool:
        """Do something that a bad disk may refuse; tells whether it did not."""
        try:
            action()
        except OSError:
            assert self.bad_disk
            return False
        return True

    def _mend(self) -> None:
        if self.disk is not None:
            self.disk.mend()
        self.bad_disk = False

    def _pick(self, queue: RetryQueue, which: int) -> Entry | None:
        entries = queue.entries()
        return entries[which % len(entries)] if entries else None

    def _numbers(self) -> list[int]:
        return [number_of(entry.payload()) for entry in self.queue.entries()]

    # -- the node -----------------------------------------------------------------------

    @rule()
    def put(self) -> None:
        """Accept a measurement that could not be delivered."""
        number, self.next = self.next, self.next + 1
        self.accepted.append(number)
        self.arrivals.append(number)
        self._on_disk(lambda: self.queue.put(line(number)))

    @rule(which=ANY)
    def deliver(self, which: int) -> None:
        """Take one out that the cloud took in a drain."""
        self._on_disk(self.queue.save)
        self.deliver_without_looking(which)

    @rule(which=ANY)
    def deliver_without_looking(self, which: int) -> None:
        """Take one out while another process may just have dropped it."""
        entry = self._pick(self.queue, which)
        if entry is not None and self.queue.claim(entry):
            number = number_of(entry.payload())
            self.delivered.append(number)
            if not self._on_disk(lambda: self.queue.delivered(entry)):
                self.half_removed.add(number)
            entry.in_flight = False

    @rule(which=ANY)
    def refuse_for_good(self, which: int) -> None:
        """Refuse one in three drains."""
        entry = self._pick(self.queue, which)
        if entry is not None:
            for _ in range(3):
                self._on_disk(lambda: self.queue.refused(entry, 400, "magnitude 99 is above 30"))

    @rule()
    def beat(self) -> None:
        """Begin a drain, and find nothing to do."""
        if self._on_disk(self.queue.save):
            assert self.queue.unsaved == 0
            assert len(self.queue) <= CAP

    @rule()
    def restart(self) -> None:
        """Kill and start the node: what it had in memory only is gone."""
        for entry in self.queue.file.unsaved:
            number = number_of(entry.payload())
            self.accepted.remove(number)
            self.arrivals.remove(number)
        self.queue.file.close()
        self.queue = RetryQueue(self.folder, cap=CAP)
        self._on_disk(self.queue.load)
        self._forgive()

    def _forgive(self) -> None:
        """Find again what the disk was never told to be gone: it waits, or counts as dropped."""
        found = self._numbers() + in_ledgers(self.folder)["dropped"]
        again = [number for number in found if number in self.delivered]
        assert set(again) <= self.half_removed
        for number in again:
            self.delivered.remove(number)

    # -- a second process beside it -----------------------------------------------------

    @rule(which=ANY)
    def drop_beside(self, which: int) -> None:
        """Somebody drops an entry by hand."""
        if self._on_disk(self.beside.load):
            entry = self._pick(self.beside, which)
            if entry is not None:
                self._on_disk(lambda: self.beside.drop(entry))

    @precondition(lambda self: not self.bad_disk)
    @rule(name=st.sampled_from(["evicted", "rejected", "dropped"]), which=ANY)
    def replay_beside(self, name: str, which: int) -> None:
        """Somebody brings back one record, or all."""
        ledger = getattr(self.beside, name)
        numbers = in_ledgers(self.folder)[name]
        one = numbers[which % len(numbers)] if numbers else -1
        chosen = {n for n in numbers if which % 3 == 0 or n == one}
        before = Counter(numbers)
        self.beside.replay(ledger, lambda record: number_of(record["payload"]) in chosen)
        back = before - Counter(in_ledgers(self.folder)[name])
        for number in [n for n in numbers if n in back]:
            self.arrivals.remove(number)
            waiting = [number_of(entry.payload()) for entry in self.queue.file.unsaved]
            last = self.arrivals.index(waiting[0]) if waiting else len(self.arrivals)
            self.arrivals.insert(last, number)

    # -- the disk -----------------------------------------------------------------------

    @precondition(lambda self: self.disk is not None and not self.bad_disk)
    @rule(room=st.sampled_from([0, 0, 4096, 8192]))
    def fill_disk(self, room: int) -> None:
        """Fill the disk, or nearly."""
        self.disk.fill(room)
        self.bad_disk = self.was_bad = True

    @precondition(lambda self: self.disk is not None and not self.bad_disk)
    @rule()
    def shut_disk(self) -> None:
        """Make the disk read-only."""
        if self.folder.exists():
            self.disk.shut(self.folder)
            self.bad_disk = self.was_bad = True

    @precondition(lambda self: self.bad_disk)
    @rule()
    def mend_disk(self) -> None:
        """Make the disk good again."""
        self._mend()

    @precondition(lambda self: not self.bad_disk)
    @rule(which=ANY, place=st.integers(0, 10_000), pattern=st.integers(1, 255))
    def damage(self, which: int, place: int, pattern: int) -> None:
        """Flip a byte of one entry while the node is down."""
        path = self.folder / QUEUE_NAME
        self.queue.save()
        numbers = self._numbers()
        if not numbers:
            return
        number = numbers[which % len(numbers)]
        data = bytearray(path.read_bytes())
        text = line(number)
        data[data.index(text) + place % len(text)] ^= pattern
        path.write_bytes(data)
        damaged = self.queue.file.damaged
        self.accepted.remove(number)
        self.restart()
        assert self.queue.file.damaged >= damaged + 1

    # -- what holds ---------------------------------------------------------------------

    def _in_file(self) -> list[int]:
        path = self.folder / QUEUE_NAME
        data = path.read_bytes() if path.exists() else b""
        return [number_of(entry.payload()) for entry in Reading(data, "measurement").entries]

    @invariant()
    def nothing_is_lost_or_invented(self) -> None:
        """Hold accepted = delivered + queued + evicted + rejected + dropped, from outside."""
        ledgers = in_ledgers(self.folder)
        books = Counter(self.delivered) + Counter(self._in_file())
        books += Counter(number_of(entry.payload()) for entry in self.queue.file.unsaved)
        for numbers in ledgers.values():
            books += Counter(numbers)
        file = self.queue.file
        gone = {number_of(json.loads(text)) for text in file._gone + file.missed}
        books -= Counter(gone & {*self._in_file(), *ledgers["dropped"]})  # the disk is yet to know
        assert books == Counter(self.accepted)

    @invariant()
    def order_is_kept(self) -> None:
        """Keep what waits in the order in which it came, what waits for the disk last."""
        waiting = [number_of(entry.payload()) for entry in self.queue.file.unsaved]
        places = [self.arrivals.index(number) for number in self._in_file() + waiting]
        assert places == sorted(places)

    @invariant()
    def file_is_an_array_for_everybody(self) -> None:
        """Plain JSON, as long as the disk takes what it is given."""
        path = self.folder / QUEUE_NAME
        if path.exists() and not (self.bad_disk or self.queue.file._stale):
            assert [
                number_of(payload) for payload in json.loads(path.read_bytes())
            ] == self._in_file()
            assert self.was_bad or len(self._in_file()) <= CAP


def run(examples: int, steps: int) -> None:
    """Let the machine try so many runs."""
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(max_examples=examples, stateful_step_count=steps),
    )


@contextmanager
def machine_on(root: Path, disk: SmallDisk | None) -> Iterator[None]:
    """Point the machine at a place."""
    QueueMachine.root, QueueMachine.disk = root, disk
    try:
        yield
    finally:
        QueueMachine.disk = None


def test_books_hold_whatever_two_processes_do(tmp_path: Path) -> None:
    """Put, deliver, refuse, drop, replay, restart and damage in any order lose nothing."""
    with machine_on(tmp_path, None):
        run(examples=60, steps=40)


def test_books_hold_on_a_disk_that_comes_and_goes(tmp_path: Path) -> None:
    """The same on a disk that is full or read-only now and then."""
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk, machine_on(disk.root, disk):
        run(examples=60, steps=40)


@pytest.mark.parametrize("disk_is_good", [True, False])
def test_an_entry_dropped_on_its_way_is_delivered_and_not_dropped(
    tmp_path: Path, disk_is_good: bool
) -> None:
    """Dropped by hand while the cloud takes it: booked once, also where the disk refused it."""
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk, machine_on(disk.root, disk):
        machine = QueueMachine()
        machine.put()
        machine.drop_beside(which=0)
        if not disk_is_good:
            machine.shut_disk()
        machine.deliver_without_looking(which=0)
        machine.nothing_is_lost_or_invented()
        machine.mend_disk()
        machine.beat()
        assert machine.delivered == [0]
        assert in_ledgers(machine.folder)["dropped"] == []
        machine.teardown()


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_books_hold_for_long(tmp_path: Path) -> None:
    """Many long runs on a disk that comes and goes."""
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk, machine_on(disk.root, disk):
        run(examples=3000, steps=100)

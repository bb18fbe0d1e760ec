"""A damaged queue file: all whole entries are kept, nothing is invented, nothing thrown away."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.books import line, short_line

from boundless_skies.wire import canonical_json
from cloud_communicator import CloudCommunicator
from cloud_communicator.arrayfile import ArrayFile, Reading, seal
from cloud_communicator.retryqueue import QUEUE_NAME

HALLMARK = "measurement"
ENTRIES = 50
LINES = [short_line(number) for number in range(ENTRIES)]
# A byte that stays a text's and one that is none; the file of two meets all 255 in every run.
PATTERNS = [0x01, 0x80, *(pytest.param(p, marks=pytest.mark.soak) for p in (0x20, 0x51, 0xFF))]
SPACE = b" \t\r\n,[]"


def array_of(lines: list[bytes]) -> bytes:
    """Return a file as the link writes it."""
    return b"[" + b",".join(b"\n" + text + seal(text) for text in lines) + b"\n]\n"


def owners(data: bytes, lines: list[bytes]) -> list[int]:
    """Say for each byte which entry it belongs to; -1 for what stands between and for seals."""
    owner = [-1] * len(data)
    at = 0
    for index, text in enumerate(lines):
        at = data.index(text, at)
        owner[at : at + len(text)] = [index] * len(text)
        at += len(text)
    return owner


def flips(data: bytes, patterns: tuple[int, ...]) -> Iterator[tuple[int, bytes]]:
    """Yield each place with the file in which that byte is flipped, for each pattern."""
    for pattern in patterns:
        for at, byte in enumerate(data):
            yield at, data[:at] + bytes([byte ^ pattern]) + data[at + 1 :]


def check_flip(data: bytes, lines: list[bytes], owner: int, at: int) -> None:
    """Assert that all entries but the flipped one are found as they were, and it is put aside."""
    reading = Reading(data, HALLMARK)
    found = [entry.line for entry in reading.entries]
    if owner < 0:
        assert found == lines, (at, data[at])
        return
    assert found == lines[:owner] + lines[owner + 1 :], (at, data[at])
    start = sum(len(text) for text in lines[:owner])
    assert len(reading.damaged) == 1, (at, start)
    assert len(reading.damaged[0]) >= len(lines[owner]), (at, reading.damaged)
    assert not reading.sound


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_byte_of_a_file_of_50_entries_may_flip(pattern: int) -> None:
    """Whatever byte is flipped, the other 49 entries are kept and none is changed."""
    data = array_of(LINES)
    owner = owners(data, LINES)
    for at, flipped in flips(data, (pattern,)):
        check_flip(flipped, LINES, owner[at], at)


def test_every_byte_may_become_any_other() -> None:
    """All 255 ways to damage one byte of a file of two, with further keys of others in it."""
    others = canonical_json({"measurement": {"bjd": 1.5, "x": {}}, "queued_at": 1, "z": {"a": {}}})
    lines = [short_line(1), others]
    data = array_of(lines)
    owner = owners(data, lines)
    for at, flipped in flips(data, tuple(range(1, 256))):
        check_flip(flipped, lines, owner[at], at)


@pytest.mark.parametrize("tail", [b"", b"\0" * 100, b"\xff\xfe{[", b'{"measurement":{"bjd":'])
def test_every_truncation_keeps_all_whole_entries(tail: bytes) -> None:
    """Wherever the file is cut, with whatever behind, each entry before the cut is kept."""
    data = array_of(LINES)
    ends = [data.index(text) + len(text) for text in LINES]
    for cut in range(len(data)):
        whole = sum(end <= cut for end in ends)
        reading = Reading(data[:cut] + tail, HALLMARK)
        assert [entry.line for entry in reading.entries] == LINES[:whole], cut
        kept = b"".join(reading.damaged)
        assert tail.strip(SPACE) in kept, cut


def test_damaged_bytes_are_kept_to_the_last() -> None:
    """What is put aside is all that stood between the whole entries, brackets included."""
    torn = LINES[1][: LINES[1].index(b"[") + 1]
    reading = Reading(array_of(LINES[:1])[:-3] + b",\n" + torn, HALLMARK)
    assert reading.damaged[0].endswith(torn)


ENTRY = {"measurement": {"bjd": 2460000.5, "note": "α  Cyg"}, "conditions": {}}
SECOND = {"measurement": {"bjd": 2460001.5}, "conditions": {"seeing": [1.5, None]}}
BARE = {"bjd": 2460000.5, "magnitude": 11.25, "fit": {"a": 1}}


@pytest.mark.parametrize(
    "data",
    [
        json.dumps([ENTRY, SECOND]),
        json.dumps([ENTRY, SECOND], separators=(",", ":")),
        json.dumps([ENTRY, SECOND], indent=2),
        json.dumps([ENTRY, SECOND], indent="\t").replace("\n", "\r\n"),
        json.dumps([ENTRY, SECOND], ensure_ascii=False),
        json.dumps([ENTRY, SECOND]) + " " * 200,
        "\n\n" + json.dumps([ENTRY, SECOND]),
        f"[{json.dumps(ENTRY)},{json.dumps(SECOND)},]",
        f"{json.dumps(ENTRY)}\n{json.dumps(SECOND)}\n",
    ],
    ids=["dump", "compact", "indented", "crlf", "utf-8", "spaces", "lines", "comma", "jsonl"],
)
def test_arrays_that_others_wrote_are_read_whole(data: str) -> None:
    """Any JSON layout of the same entries is read, and nothing of it counts as damage."""
    reading = Reading(data.encode(), HALLMARK)
    assert [entry.payload() for entry in reading.entries] == [ENTRY, SECOND]
    assert reading.damaged == []
    assert not reading.sound


def test_bare_measurements_are_read() -> None:
    """A queue of measurements without an envelope is taken as it is."""
    reading = Reading(json.dumps([BARE, BARE | {"bjd": 2460002.5}]).encode(), HALLMARK)
    assert [entry.payload()["bjd"] for entry in reading.entries] == [2460000.5, 2460002.5]
    assert reading.damaged == []


def test_nan_that_others_wrote_is_kept_with_every_character_around_it() -> None:
    """An entry with NaN is not ours to correct: it stays, with its texts unchanged."""
    data = b'[{"measurement": {"note": "two  spaces", "magnitude": NaN}}]'
    (entry,) = Reading(data, HALLMARK).entries
    assert entry.line == b'{"measurement":{"magnitude":NaN,"note":"two  spaces"}}'


def test_what_is_no_object_is_put_aside() -> None:
    """Numbers, texts and nulls in the array are kept beside it, the entries stay."""
    reading = Reading(json.dumps([1, "x", ENTRY, None, SECOND, [2]]).encode(), HALLMARK)
    assert [entry.payload() for entry in reading.entries] == [ENTRY, SECOND]
    assert [bytes(filter(lambda ch: ch not in SPACE, d)) for d in reading.damaged] == [
        b'1"x"',
        b"null",
        b"2",
    ]


@pytest.mark.parametrize("depth", [500, 980, 985, 990, 995, 1000, 100_000])
def test_endless_nesting_is_damage_and_no_error(depth: int) -> None:
    """An array nested past what the parser takes is put aside; its neighbours stay."""
    deep = b'{"measurement":{"x":' + b"[" * depth + b"]" * depth + b"}}"
    reading = Reading(b"[" + deep + b",\n" + LINES[0] + b"]", HALLMARK)
    assert reading.entries[-1].line == LINES[0]
    assert len(reading.entries) + len(reading.damaged) == 2


@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_around_entries_leave_them_whole(
    before: bytes, between: bytes, behind: bytes
) -> None:
    """Random bytes before, between and behind never cost a sealed entry, nor raise."""
    first, second = (text + seal(text) for text in LINES[:2])
    data = before + b"\n" + first + b"\n" + between + b"\n" + second + b"\n" + behind
    found = [entry.line for entry in Reading(data, HALLMARK).entries]
    assert [text for text in found if text in LINES] == LINES[:2]


# -- the whole file, as the link opens it ---------------------------------------------------


def load(folder: Path) -> list[bytes]:
    """Load the folder's queue as a new process would, and return its entries."""
    file = ArrayFile(folder / QUEUE_NAME, HALLMARK)
    try:
        file.load()
        return [entry.line for entry in file.entries]
    finally:
        file.close()


def put_aside(folder: Path) -> dict[str, bytes]:
    """Return the files beside the queue that hold damage."""
    return {p.name: p.read_bytes() for p in folder.glob(f"{QUEUE_NAME}.damaged-*")}


CUT = len(array_of(LINES)) // 2
DAMAGED = {
    "flip in an entry": (lambda d: d[:700] + b"\xff" + d[701:], 49, 1),
    "flip in a seal": (lambda d: d.replace(b"\t \t", b"\tx\t", 1), 50, 1),
    "cut": (lambda d: d[:CUT], None, 1),
    "NUL tail": (lambda d: d + b"\0" * 4096, 50, 1),
    "NUL in place of the tail": (lambda d: d[:CUT] + b"\0" * (len(d) - CUT), None, 1),
    "zero length": (lambda _d: b"", 0, 0),
    "NUL alone": (lambda d: b"\0" * len(d), 0, 1),
    "text before": (lambda d: b"fsck: recovered\n" + d, 50, 1),
    "text behind": (lambda d: d + b"lost+found", 50, 1),
    "no bracket": (lambda d: d[1:], 50, 0),
    "twice": (lambda d: d + d, 100, 0),
    "a page of something else": (lambda d: d[:1000] + b"\x7fELF" * 256 + d[2024:], None, 1),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damage_is_put_aside_counted_and_healed(kind: str, tmp_path: Path) -> None:
    """After the first load the file is plain JSON again; a second load changes nothing."""
    break_it, whole, pieces = DAMAGED[kind]
    data = break_it(array_of(LINES))
    (tmp_path / QUEUE_NAME).write_bytes(data)
    found = load(tmp_path)
    assert whole is None or len(found) == whole
    assert found == [text for text in LINES * 2 if text in found][: len(found)]
    beside = put_aside(tmp_path)
    assert len(beside) == pieces
    assert all(piece in data for piece in beside.values())
    healed = (tmp_path / QUEUE_NAME).read_bytes()
    assert json.loads(healed) == [json.loads(text) for text in found]
    assert load(tmp_path) == found
    assert (tmp_path / QUEUE_NAME).read_bytes() == healed
    assert put_aside(tmp_path) == beside


def test_hand_edits_break_the_seal_and_white_space_does_not(tmp_path: Path) -> None:
    """An entry changed by hand is put aside; an editor that strips blanks at line ends is fine."""
    data = array_of(LINES[:3])
    edited = data.replace(b'"number":1', b'"number":9')
    (tmp_path / QUEUE_NAME).write_bytes(edited)
    assert load(tmp_path) == [LINES[0], LINES[2]]
    assert b'"number":9' in b"".join(put_aside(tmp_path).values())
    stripped = b"\n".join(text.rstrip() for text in data.replace(b"\t,", b",").split(b"\n"))
    (tmp_path / QUEUE_NAME).write_bytes(stripped)
    assert load(tmp_path) == LINES[:3]
    assert len(put_aside(tmp_path)) == 1


def test_commas_moved_by_hand_do_not_spoil_the_array(tmp_path: Path) -> None:
    """Sealed entries in another layout are written anew before one is taken out in place."""
    path = tmp_path / QUEUE_NAME
    path.write_bytes(b"[\n" + b"\n,\n".join(text + seal(text) for text in LINES[:3]) + b"\n]\n")
    file = ArrayFile(path, HALLMARK)
    file.load()
    file.remove(file.entries[0])
    file.close()
    assert json.loads(path.read_bytes()) == [json.loads(text) for text in LINES[1:3]]


OFFLINE = {"cloud": {"enabled": True, "url": "http://127.0.0.1:9"}}


def link_in(folder: Path) -> CloudCommunicator:
    """Make a link in a folder, without a cloud."""
    return CloudCommunicator({"cloud": {**OFFLINE["cloud"], "data_dir": str(folder)}})


@pytest.mark.parametrize("kind", ["flip in an entry", "cut", "NUL tail", "NUL alone"])
def test_the_link_starts_over_damage_and_counts_it(kind: str, tmp_path: Path) -> None:
    """Damage shows in the status, and the next measurement is accepted as ever."""
    (tmp_path / QUEUE_NAME).write_bytes(DAMAGED[kind][0](array_of(LINES)))
    link = link_in(tmp_path)
    before = link.status["queued_uploads"]
    assert link.status["damaged"] == 1
    assert link.submit_measurement({"number": 99}) is False
    assert link.status["queued_uploads"] == before + 1
    assert len(json.loads((tmp_path / QUEUE_NAME).read_bytes())) == before + 1


def test_a_nan_in_the_books_does_not_keep_the_link_from_starting(tmp_path: Path) -> None:
    """Others' NaN entries may be queued and rejected at once, over a restart."""
    record = '{"at":"x","why":"refused","payload":{"measurement":{"magnitude":NaN}}}\n'
    (tmp_path / "cloud_upload_rejected.jsonl").write_text(record)
    (tmp_path / QUEUE_NAME).write_bytes(array_of([line(1)]))
    link = link_in(tmp_path)
    assert (link.status["queued_uploads"], link.status["rejected"]) == (1, 1)

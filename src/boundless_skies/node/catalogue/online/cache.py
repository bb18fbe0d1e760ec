"""Answers of catalogues on disk: small files, named by what was asked."""

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from boundless_skies.node.catalogue.online.listed_star import ListedStar

VERSION = 1
MOST_BYTES = 50_000_000
FRESH_S = 180.0 * 86_400.0
"""After so long a catalogue is asked again (s): sequences of comparison stars are revised."""


@dataclass(frozen=True)
class Kept:
    """An answer from the cache.

    Attributes
    ----------
    stars : list of ListedStar
        What the catalogue listed.
    is_fresh : bool
        Whether it need not be asked again.
    """

    stars: list[ListedStar]
    is_fresh: bool


class AnswerCache:
    """Keeps answers in a folder.

    A file that is damaged, of another version or of another question is a miss; a folder
    that cannot be written keeps nothing. Neither is an error: the catalogue is asked again.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    most_bytes : int, optional
        Above, the answers that were longest not asked for are deleted.
    clock : callable, optional
        Seconds since 1970.
    """

    def __init__(
        self,
        folder: Path,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._clock = clock

    def get(self, question: str) -> Kept | None:
        """Return the answer to a question, or None where there is none.

        Parameters
        ----------
        question : str
            Everything that the answer depends on.

        Returns
        -------
        Kept or None
            Also an answer that is no longer fresh: better than none without a network.
        """
        path = self._path(question)
        try:
            held = json.loads(path.read_bytes())
            if held["version"] != VERSION or held["question"] != question:
                return None
            if held["digest"] != _digest(held["stars"]):
                return None
            stars = [ListedStar.from_row(row) for row in held["stars"]]
            age_s = self._clock() - float(held["asked_at"])
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return Kept(stars, is_fresh=0.0 <= age_s <= FRESH_S)

    def put(self, question: str, stars: Sequence[ListedStar]) -> None:
        """Keep an answer; it stands whole on disk, or not at all.

        Parameters
        ----------
        question : str
            Everything that the answer depends on.
        stars : sequence of ListedStar
            The answer.
        """
        rows = [star.to_row() for star in stars]
        held = {
            "version": VERSION,
            "question": question,
            "asked_at": self._clock(),
            "digest": _digest(rows),
            "stars": rows,
        }
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._write(self._path(question), json.dumps(held, ensure_ascii=False).encode())
            self._make_room()

    def _path(self, question: str) -> Path:
        return self._folder / f"{hashlib.sha256(question.encode()).hexdigest()[:40]}.json"

    def _write(self, path: Path, data: bytes) -> None:
        file, name = tempfile.mkstemp(dir=self._folder, suffix=".part")
        try:
            with os.fdopen(file, "wb") as stream:
                stream.write(data)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise

    def _make_room(self) -> None:
        files = [(path.stat(), path) for path in self._folder.iterdir() if path.is_file()]
        room = self._most_bytes
        for status, path in sorted(files, key=lambda file: file[0].st_mtime, reverse=True):
            room -= status.st_size
            if room < 0:
                path.unlink(missing_ok=True)


def _digest(rows: object) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()

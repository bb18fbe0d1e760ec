"""FITS files on their way up: streamed, remembered by path until they have arrived."""

import logging
import os
import secrets
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import BinaryIO
from urllib.parse import quote

from boundless_skies.wire import canonical_json
from boundless_skies.wire.paths import IMAGES
from cloud_communicator.arrayfile import ArrayFile, Entry
from cloud_communicator.board import StatusBoard
from cloud_communicator.client import CloudClient
from cloud_communicator.errors import Cancelled, CloudRefused, LinkFailure, NoConnection
from cloud_communicator.rhythm import Pauses
from cloud_communicator.uplink import REFUSED_FOR_GOOD, ROW_OF_FAILURES, next_try

log = logging.getLogger("cloud_communicator")

QUEUE_NAME = "cloud_image_queue.json"
KIND = "images"
_DISK = "image queue"
UPLOAD_S = 120.0
_LEAST_S = 1.0
_MOST_REFUSALS = 3


def _open_at_once(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody writes to would else keep a caller for ever."""
    return os.open(path, flags | os.O_NONBLOCK)


class MultipartFile:
    """A multipart body around one open file, read piece by piece.

    Parameters
    ----------
    file : BinaryIO
        The open file.
    name : str
        Its name, for the part's header.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        boundary = secrets.token_hex(16)
        self._head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; '
            f'filename="{quote(name, safe=" ()+,-._@=")}"\r\n'
            "Content-Type: application/fits\r\n\r\n"
        ).encode("ascii")
        self._tail = f"\r\n--{boundary}--\r\n".encode("ascii")
        self._file = file
        self._left = os.fstat(file.fileno()).st_size
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(self._head) + self._left + len(self._tail)),
        }

    def read(self, size: int = 65_536) -> bytes:
        """Return the next piece; a file that shrank meanwhile is an OSError."""
        if self._head:
            piece, self._head = self._head, b""
        elif self._left:
            piece = self._file.read(min(size, self._left))
            if not piece:
                raise OSError(f"the file ended {self._left} bytes too early")
            self._left -= len(piece)
        else:
            piece, self._tail = self._tail, b""
        return piece


class ImageCourier:
    """Uploads FITS files, and remembers those that still have to go.

    Parameters
    ----------
    client : CloudClient
        Makes the calls.
    folder : Path
        The link's data folder.
    board : StatusBoard
        Shows counts and errors.
    pauses : Pauses
        Knows whether the cloud asked to wait.
    monotonic : callable
        Gives monotonic seconds.
    """

    def __init__(
        self,
        client: CloudClient,
        folder: Path,
        board: StatusBoard,
        pauses: Pauses,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._board = board
        self._pauses = pauses
        self._monotonic = monotonic
        self._queue = ArrayFile(folder / QUEUE_NAME, hallmark="path")

    def load(self) -> None:
        """Read the paths that an earlier run left."""
        self._on_disk(self._queue.load)

    def send(self, path: str) -> None:
        """Try once, now; what does not arrive is remembered."""
        if self._pauses.left_s(KIND):
            self.remember(path)
            return
        try:
            self._upload(path, UPLOAD_S, None)
        except FileNotFoundError:
            log.warning("%s is gone; its upload is let go.", path)
        except (LinkFailure, OSError) as error:
            log.warning("%s was not uploaded; it is tried again later: %s", path, error)
            self.remember(path)

    def remember(self, path: str) -> None:
        """Keep a path, to try it after later beats."""
        self._on_disk(lambda: self._queue.append(canonical_json({"path": path})))

    def drain(self, due: float, grace_s: float, stop: Event) -> None:
        """Try the remembered files in order, as `Uplink.drain` does its entries."""
        self._on_disk(self._queue.save)
        pending, row = deque(self._queue.all_entries()), 0
        while pending and row < ROW_OF_FAILURES and not stop.is_set():
            now = self._monotonic()
            left_s = min(UPLOAD_S, due + grace_s - now)
            resting = self._pauses.left_s(KIND) > 0
            if resting or now >= due or left_s < min(_LEAST_S, grace_s / 2):
                break
            try:
                row = self._try(next_try(pending, row), row, left_s, stop)
            except (NoConnection, Cancelled):
                break

    def _try(self, entry: Entry, row: int, left_s: float, stop: Event) -> int:
        path = str(entry.payload().get("path", ""))
        try:
            self._upload(path, left_s, stop)
        except FileNotFoundError:
            log.warning("%s is gone; its upload is let go.", path)
        except CloudRefused as refusal:
            self._board.failed(KIND, refusal)
            if refusal.status not in REFUSED_FOR_GOOD:
                return self._failed(entry, row)
            entry.refusals += 1
            if entry.refusals < _MOST_REFUSALS:
                return 0
            log.warning("The cloud refused %s for good; its upload is let go: %s", path, refusal)
        except Cancelled:
            raise
        except LinkFailure as failure:
            self._board.failed(KIND, failure)
            if isinstance(failure, NoConnection):
                raise
            return self._failed(entry, row)
        except OSError as error:  # the file's own trouble says nothing about the way to the cloud
            self._board.failed(KIND, f"{path} cannot be read ({error.strerror or error}).")
            return row
        self._on_disk(lambda: self._queue.remove(entry))
        return 0

    @staticmethod
    def _failed(entry: Entry, row: int) -> int:
        entry.failures += 1
        return row + 1

    def _upload(self, path: str, total_s: float, cancel: Event | None) -> None:
        with open(path, "rb", opener=_open_at_once) as file:
            body = MultipartFile(file, Path(path).name)
            self._client.upload(IMAGES, KIND, body, body.headers, total_s=total_s, cancel=cancel)
        self._board.cleared(KIND)

    def save(self) -> None:
        """Write the paths that the disk refused."""
        if self._queue.unsaved:
            self._on_disk(self._queue.save)

    def _on_disk(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:
            message = f"{self._queue.path} cannot be written ({error.strerror or error})."
            news = self._board.failed(_DISK, message)
            log.log(logging.ERROR if news else logging.DEBUG, "%s", message)
        else:
            if not self._queue.unsaved:
                self._board.cleared(_DISK)
        self._board.put(queued_images=len(self._queue.all_entries()))

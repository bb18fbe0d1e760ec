"""Making thumbnails in a process of their own."""

import asyncio
import json
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import Any

from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.pictures import DEFAULT_MAX_PX, Thumbnail

WORKER = "boundless_skies.cloud.services.thumbnail_worker"
MEMORY_LIMIT_BYTES = 1 << 30
TIME_LIMIT_S = 30
# The import of its libraries comes on top for the first picture of a worker.
_START_LIMIT_S = 30
# The worker ends itself only where nobody is left to end it.
_GRACE_S = 5
# What the worker needs of our environment; keys of ours are not for it.
_PASSED_ON = ("PATH", "PYTHONPATH", "LANG", "HOME", "TMPDIR", "LD_LIBRARY_PATH")

_logger = logging.getLogger(__name__)


class ThumbnailMaker:
    """Makes one thumbnail after another, in a worker that is started by the first.

    A worker that dies or takes too long is replaced by the next picture's.

    Parameters
    ----------
    memory_limit_bytes : int
        Of the worker's address space.
    time_limit_s : int
        For one picture.
    """

    def __init__(
        self, memory_limit_bytes: int = MEMORY_LIMIT_BYTES, time_limit_s: int = TIME_LIMIT_S
    ) -> None:
        self._limits = (str(memory_limit_bytes), str(time_limit_s + _GRACE_S))
        self._time_limit_s = time_limit_s
        self._worker: Process | None = None
        self._turn = asyncio.Lock()

    async def make(self, path: Path, max_px: int = DEFAULT_MAX_PX) -> Thumbnail | None:
        """Make a small picture of a frame.

        Parameters
        ----------
        path : Path
            A FITS file.
        max_px : int
            Length of the picture's longer side.

        Returns
        -------
        Thumbnail or None
            None where there is none to be had: the file holds no image that can be shown,
            or the worker died of it or took too long. The reason is logged.
        """
        async with self._turn:
            try:
                return await self._ask(path, max_px)
            except InvalidInput as refusal:
                _logger.info("No thumbnail of %s: %s", path.name, refusal)
            except TimeoutError:
                _logger.warning(
                    "No thumbnail of %s: not made within %d s.", path.name, self._time_limit_s
                )
                await self._stop()
            except (OSError, ValueError, EOFError):
                _logger.warning("No thumbnail of %s: the worker died of it.", path.name)
                await self._stop()
            except asyncio.CancelledError:
                # Its answer would be taken for the next one's.
                self._kill()
                raise
            return None

    async def close(self) -> None:
        """Stop the worker."""
        async with self._turn:
            await self._stop()

    async def _ask(self, path: Path, max_px: int) -> Thumbnail:
        worker, start_s = self._worker, 0
        if worker is None or worker.returncode is not None:
            worker, start_s = await self._start(), _START_LIMIT_S
        request = json.dumps({"path": str(path), "max_px": max_px})
        async with asyncio.timeout(self._time_limit_s + start_s):
            return await _exchange(worker, request)

    async def _start(self) -> Process:
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        self._worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", WORKER, *self._limits),
            stdin=PIPE,
            stdout=PIPE,
            # Threads of the linear algebra would take address space for nothing.
            env=environment | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        return self._worker

    async def _stop(self) -> None:
        worker = self._worker
        self._kill()
        if worker is not None:
            await worker.wait()

    def _kill(self) -> None:
        if self._worker is not None:
            with suppress(ProcessLookupError):
                self._worker.kill()
        self._worker = None


async def _exchange(worker: Process, request: str) -> Thumbnail:
    if worker.stdin is None or worker.stdout is None:
        raise EOFError
    worker.stdin.write(request.encode() + b"\n")
    await worker.stdin.drain()
    facts: dict[str, Any] = json.loads(await worker.stdout.readuntil(b"\n"))
    if "error" in facts:
        raise InvalidInput(facts["error"])
    png = await worker.stdout.readexactly(facts["size"])
    return Thumbnail(png, facts["width"], facts["height"], facts["sentence"])

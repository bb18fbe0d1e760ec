"""Measuring many frames side by side, with the same result as one after the other.

Reading, finding the stars and solving take nearly all of the time and need no other
frame: they run in several processes. Tying a frame to its comparison stars takes a few
milliseconds and learns from frame to frame: it runs in this process, in the order of time.
"""

import datetime as dt
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from boundless_skies.node.errors import FrameError
from boundless_skies.node.night.stacking import FullStack, StackPlan, Stacks
from boundless_skies.node.photometry.exposure import Exposure
from boundless_skies.node.photometry.photometer import FrameMeasurement, Photometer
from boundless_skies.node.photometry.settings import PhotometrySettings
from boundless_skies.node.photometry.stacking import stack
from boundless_skies.node.services.measuring import FrameProcess, Refused

# So many frames a process may wait, exposed, for one before them: memory stays bounded.
_AHEAD = 2


@dataclass(frozen=True, kw_only=True)
class MeasuredFrame:
    """A frame that gave a point.

    Attributes
    ----------
    path : Path
        The file.
    exposure : Exposure
        Its pixels, stars and solution.
    found : FrameMeasurement
        The point and how it came about.
    frames : int
        How many frames it is made of; `path` and `exposure` are the last one's.
    stack_middle_utc : datetime or None
        The middle of all exposures of a stack.
    """

    path: Path
    exposure: Exposure
    found: FrameMeasurement
    frames: int = 1
    stack_middle_utc: dt.datetime | None = None

    @property
    def middle_utc(self) -> dt.datetime:
        """The middle of the exposure."""
        if self.stack_middle_utc is not None:
            return self.stack_middle_utc
        middle_utc = self.exposure.frame.facts.mid_exposure_utc
        if middle_utc is None:
            raise ValueError(f"{self.path} was measured, but does not say when it was exposed.")
        return middle_utc


@dataclass(frozen=True, kw_only=True)
class SkippedFrame:
    """A frame that gave none.

    Attributes
    ----------
    path : Path
        The file.
    reason : str
        One sentence.
    fault : type of Exception, or None
        What kind of refusal it was; None where no one of the node's own.
    frames : int
        How many frames of a stack gave none.
    """

    path: Path
    reason: str
    fault: type[FrameError] | None = None
    frames: int = 1


@dataclass(frozen=True)
class RefusedFrame(Refused):
    """A frame that the photometer refused.

    Attributes
    ----------
    fault : type of Exception, or None
        The error's class.
    """

    fault: type[FrameError] | None = None


Work = Callable[[str, dict[str, Any]], Exposure | Refused]


def expose_frame(path: str, config: dict[str, Any]) -> Exposure | Refused:
    """Read, detect and solve one frame in this process.

    Parameters
    ----------
    path : str
        A FITS file.
    config : dict
        The whole config.

    Returns
    -------
    Exposure or Refused
        Whatever happens, one of the two.
    """
    from boundless_skies.node.photometry import photometer_for  # noqa: PLC0415

    try:
        return photometer_for(config).expose(path)
    except Exception as error:  # noqa: BLE001 - one frame must not end a night
        return _refusal(error)


def _refusal(error: Exception) -> RefusedFrame:
    if isinstance(error, FrameError):
        return RefusedFrame(str(error), fault=type(error))
    return RefusedFrame(f"unexpected {type(error).__name__} while measuring it: {error}")


class Night:
    """Measures the frames of a night.

    Parameters
    ----------
    config : dict
        The whole config.
    workers : int
        How many frames are read and solved at a time.
    photometer : Photometer, optional
        Keeps the comparison stars; made from the config by default.
    work : callable, optional
        In place of :func:`expose_frame`; importable.
    plan : StackPlan, optional
        Whether, and how many, frames make a point together.
    """

    def __init__(
        self,
        config: dict[str, Any],
        workers: int,
        photometer: Photometer | None = None,
        work: Work = expose_frame,
        plan: StackPlan | None = None,
    ) -> None:
        self._plan = plan or StackPlan()
        self._photometer = photometer or Photometer(PhotometrySettings.from_config(config))
        self._processes = [FrameProcess[Exposure](config, work) for _ in range(workers)]
        self._idle = deque(self._processes)
        self._pool = ThreadPoolExecutor(workers, "boundless-night", _leave_signals_alone)
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        """Return the night."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the processes; what they work on is given up."""
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)
        for process in self._processes:
            process.close()

    def measure(self, frames: Sequence[Path]) -> Iterator[MeasuredFrame | SkippedFrame]:
        """Measure frames.

        Parameters
        ----------
        frames : sequence of Path
            In the order of time: the first frame of a series ties it to the catalogue.

        Yields
        ------
        MeasuredFrame or SkippedFrame
            One for each frame, in the same order; of stacked frames one for each stack, as
            soon as it is full.
        """
        stacks = Stacks(self._plan, self._photometer.read)
        for path, exposure in self._exposed(frames):
            if not self._plan or not isinstance(exposure, Exposure):
                yield self._tied(path, exposure)
                continue
            try:
                full = list(stacks.add(path, exposure))
            except Exception as error:  # noqa: BLE001 - one frame must not end a night
                yield _skipped(path, _refusal(error))
                continue
            yield from map(_stacked, full)
        yield from map(_stacked, stacks.finish())

    def _exposed(self, frames: Sequence[Path]) -> Iterator[tuple[Path, Exposure | Refused | None]]:
        waiting: deque[tuple[Path, Future[Exposure | Refused | None]]] = deque()
        coming = iter(frames)
        while True:
            while len(waiting) < len(self._processes) * _AHEAD and (path := next(coming, None)):
                waiting.append((path, self._pool.submit(self._expose, path)))
            if not waiting:
                return
            path, future = waiting.popleft()
            yield path, future.result()

    def _expose(self, path: Path) -> Exposure | Refused | None:
        process = self._idle.popleft()
        try:
            return process.measure(str(path), self._stop)
        finally:
            self._idle.append(process)

    def _tied(
        self, path: Path, exposure: Exposure | Refused | None
    ) -> MeasuredFrame | SkippedFrame:
        if exposure is None:
            return SkippedFrame(path=path, reason="the measuring was ended.")
        if isinstance(exposure, Refused):
            return _skipped(path, exposure)
        try:
            found = self._photometer.measure_exposure(exposure)
        except Exception as error:  # noqa: BLE001 - one frame must not end a night
            return _skipped(path, _refusal(error))
        return MeasuredFrame(path=path, exposure=exposure, found=found)


def _stacked(full: FullStack) -> MeasuredFrame | SkippedFrame:
    path, count = full.paths[-1], len(full.paths)
    try:
        stacked = stack(full.readings)
    except Exception as error:  # noqa: BLE001 - one stack must not end a night
        return replace(_skipped(path, _refusal(error)), frames=count)
    return MeasuredFrame(
        path=path,
        exposure=full.exposure,
        found=stacked.found,
        frames=count,
        stack_middle_utc=stacked.middle_utc,
    )


def _skipped(path: Path, refused: Refused) -> SkippedFrame:
    fault = refused.fault if isinstance(refused, RefusedFrame) else None
    return SkippedFrame(path=path, reason=refused.reason, fault=fault)


def _leave_signals_alone() -> None:
    """Keep Ctrl-C for the main thread, and from the processes that this thread starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

"""Finding the sharpest focus: a few positions, and the curve through their star sizes."""

import logging
from pathlib import Path
from threading import Event

import numpy as np

from boundless_skies.node.devices.capabilities import CanExpose, CanFocus
from boundless_skies.node.devices.errors import DeviceRefused
from boundless_skies.node.errors import FrameError
from boundless_skies.node.fits.frame import read_frame
from boundless_skies.node.fits.writing import FrameFacts, FrameNotWritten, write_frame
from boundless_skies.node.photometry.detection import detect

log = logging.getLogger(__name__)

POSITIONS = 7
LEAST_STARS = 5
_LEAST_POINTS = 4
_PARTS_OF_RANGE = 100


class Focusing:
    """Runs the focuser through a few positions and leaves it where the stars are smallest.

    Parameters
    ----------
    focuser : CanFocus
        What is moved.
    camera : CanExpose
        What looks.
    folder : Path
        Where the exposure is kept while it is looked at; the last one stays.
    exposure_s : float
        Its length, seconds.
    step : int
        Steps between two positions; 0 for a hundredth of the focuser's range.
    """

    def __init__(
        self, *, focuser: CanFocus, camera: CanExpose, folder: Path, exposure_s: float, step: int
    ) -> None:
        self._focuser = focuser
        self._camera = camera
        self._path = folder / "focusing.fits"
        self._exposure_s = exposure_s
        self._step = step

    def focus(self, stop: Event) -> int | None:
        """Find the best focus.

        Parameters
        ----------
        stop : Event
            Ends it; the focuser then stays where it is.

        Returns
        -------
        int or None
            The position that it was left at; None where the stars did not tell, and it went
            back to where it was.

        Raises
        ------
        DeviceRefused
            If the focuser says no.
        DeviceUnreachable
            If a device does not answer.
        Stopped
            If `stop` was set.
        """
        start = self._focuser.focus_position()
        sizes = [(place, self._size_px(place, stop)) for place in self._places(start)]
        best = best_position([(place, size) for place, size in sizes if size is not None])
        self._focuser.move_focus(start if best is None else best, stop)
        if best is None:
            log.warning("The focus was not found: too few stars, or no smallest size among them.")
        else:
            log.info("The focus stands at %d.", best)
        return best

    def _places(self, start: int) -> list[int]:
        low, high = self._focuser.focus_range()
        step = self._step or max((high - low) // _PARTS_OF_RANGE, 1)
        offsets = range(-(POSITIONS // 2), POSITIONS // 2 + 1)
        return sorted({min(max(start + offset * step, low), high) for offset in offsets})

    def _size_px(self, place: int, stop: Event) -> float | None:
        self._focuser.move_focus(place, stop)
        try:
            exposure = self._camera.expose(self._exposure_s, binning=1, stop=stop)
            write_frame(self._path, exposure, FrameFacts(object_name="Focus"))
            found = detect(read_frame(self._path))
        except (DeviceRefused, FrameError, FrameNotWritten) as error:
            log.warning("Focusing at %d: %s", place, error)
            return None
        return found.fwhm_px if len(found.field) >= LEAST_STARS else None


def best_position(sizes: list[tuple[int, float]]) -> int | None:
    """Return where stars are smallest, from their sizes at some positions.

    Out of focus the size grows in proportion to the way from the focus, so that its square
    is a parabola in the position.

    Parameters
    ----------
    sizes : list of (int, float)
        Position in steps, full width at half maximum in pixels.

    Returns
    -------
    int or None
        None where the points are too few, curve the wrong way, or have their smallest outside
        of the positions tried.
    """
    if len(sizes) < _LEAST_POINTS:
        return None
    places = np.array([place for place, _ in sizes], dtype=np.float64)
    squares = np.array([size for _, size in sizes]) ** 2
    middle = places.mean()
    curve, slope, _ = np.polyfit(places - middle, squares, 2)
    if curve <= 0:
        return None
    best = middle - slope / (2.0 * curve)
    return round(best) if places.min() <= best <= places.max() else None

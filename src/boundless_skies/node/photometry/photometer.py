"""The photometer: measures the target of each frame of a night on the same comparison stars."""

import os
from dataclasses import dataclass

from boundless_skies.node.photometry.settings import PhotometrySettings, Target
from boundless_skies.wire import Measurement


@dataclass(frozen=True, kw_only=True)
class FrameMeasurement:
    """One point, and how it came about.

    Attributes
    ----------
    measurement : Measurement
        What goes over the wire.
    target : Target
        What was measured.
    x_px, y_px : float
        Where it lies in the file's image, 0-based, x along NAXIS1.
    reasons : tuple of str
        Why the quality is below "good"; empty when it is good.
    """

    measurement: Measurement
    target: Target
    x_px: float
    y_px: float
    reasons: tuple[str, ...]


class Photometer:
    """Measures frames; keeps the last solution and each target's comparison stars."""

    def __init__(self, settings: PhotometrySettings) -> None:
        self.settings = settings

    def measure(
        self, path: str | os.PathLike[str], *, target: Target | None = None
    ) -> FrameMeasurement:
        """Measure one frame."""
        raise NotImplementedError

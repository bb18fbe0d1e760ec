"""The stars of a frame: the sky taken off, what stands out of it, and how sharp it is."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sep

from boundless_skies.node.fits.frame import Frame
from boundless_skies.node.solving.field import StarField

_MESH_PX = 32
_THRESHOLD_SIGMA = 4.0
_LEAST_AREA_PX = 3
# A frame so full of noise or stars that the detection runs over is tried above higher thresholds.
_THRESHOLD_STEPS = (1.0, 3.0, 10.0)
_SHARPNESS_SNR = 50.0
_SHARPNESS_STARS = 100
_LINEAR_FRACTION = 0.8
_DEFAULT_FWHM_PX = 3.0
_SMALLEST_FWHM_PX = 1.0


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What was found in a frame.

    Attributes
    ----------
    image : ndarray, shape (height, width)
        The frame's data without the large-scale sky.
    field : StarField
        The stars, brightest first.
    noise_adu : float
        Standard deviation of the empty sky in one pixel.
    fwhm_px : float
        Full width at half maximum of the stars, median, in pixels of the frame's data.
    elongation : float
        Longer over shorter axis of the stars, median; 1 for round ones.
    """

    image: npt.NDArray[np.float32]
    field: StarField
    noise_adu: float
    fwhm_px: float
    elongation: float


def detect(frame: Frame) -> Detection:
    """Find the stars of a frame.

    Parameters
    ----------
    frame : Frame
        The exposure.

    Returns
    -------
    Detection
        With an empty field where nothing stands 4 σ above the sky.
    """
    background = sep.Background(frame.data, bw=_MESH_PX, bh=_MESH_PX)
    image = frame.data - background.back()
    noise_adu = float(background.globalrms)
    sources = _extract(image, noise_adu)
    sources = sources[np.argsort(-sources["flux"], kind="stable")]
    height, width = frame.shape
    fwhm_px, elongation = _sharpness(sources, frame, image, noise_adu)
    return Detection(
        image=image,
        field=StarField(sources["x"], sources["y"], sources["flux"], width, height),
        noise_adu=noise_adu,
        fwhm_px=fwhm_px,
        elongation=elongation,
    )


def _extract(image: npt.NDArray[np.float32], noise_adu: float) -> npt.NDArray[np.void]:
    nothing: npt.NDArray[np.void] = sep.extract(np.zeros((8, 8), np.float32), 1.0)
    if noise_adu <= 0:
        return nothing
    for step in _THRESHOLD_STEPS:
        try:
            found: npt.NDArray[np.void] = sep.extract(
                image, _THRESHOLD_SIGMA * step, err=noise_adu, minarea=_LEAST_AREA_PX
            )
        except Exception:  # noqa: BLE001, S112 - sep raises bare Exception when it runs over
            continue
        return found
    return nothing


def _sharpness(
    sources: npt.NDArray[np.void],
    frame: Frame,
    image: npt.NDArray[np.float32],
    noise_adu: float,
) -> tuple[float, float]:
    linear = _LINEAR_FRACTION * frame.saturation_adu
    rows, columns = np.rint(sources["y"]).astype(int), np.rint(sources["x"]).astype(int)
    clean = sources[
        (sources["peak"] > _SHARPNESS_SNR * noise_adu)
        & (frame.peak[rows, columns] < linear)
        & (sources["b"] > 0)
    ][:_SHARPNESS_STARS]
    if not len(clean):
        return _DEFAULT_FWHM_PX, 1.0
    # Half of a Gaussian's light falls within half of its full width at half maximum.
    half_light_px, _ = sep.flux_radius(image, clean["x"], clean["y"], 6.0 * clean["a"], 0.5)
    fwhm_px = max(2.0 * float(np.median(half_light_px)), _SMALLEST_FWHM_PX)
    return fwhm_px, float(np.median(clean["a"] / clean["b"]))

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
_ENOUGH_STARS = 5
# Smaller stars have too few pixels for a shape.
_LEAST_FWHM_FOR_SHAPE_PX = 4.0
# The middle and the rim of a star, in units of the radius of half its light.
_MIDDLE, _RIM = 0.35, (0.85, 1.15)
_BRIGHT_SOURCES = 40
_PIECES, _ALIKE = 0.4, 4.0


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
    concentration : float or None
        How much brighter the middle of the stars is than the radius of half their light,
        median: 2 for a Gaussian, 1 for a disc, below 1 for a ring; None where the stars
        are too small or too faint to tell.
    """

    image: npt.NDArray[np.float32]
    field: StarField
    noise_adu: float
    fwhm_px: float
    elongation: float
    concentration: float | None = None


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
    sharpness = _sharpness(sources, frame, image, noise_adu)
    if _in_pieces(sources):
        whole = _extract(image, noise_adu, deblend_cont=1.0)
        seen_whole = _sharpness(whole, frame, image, noise_adu)
        if seen_whole.is_hollow:
            sources, sharpness = whole, seen_whole
    height, width = frame.shape
    return Detection(
        image=image,
        field=StarField(sources["x"], sources["y"], sources["flux"], width, height),
        noise_adu=noise_adu,
        fwhm_px=sharpness.fwhm_px,
        elongation=sharpness.elongation,
        concentration=sharpness.concentration,
    )


def _in_pieces(sources: npt.NDArray[np.void]) -> bool:
    """Say whether many bright detections touch others alike: a ring of light falls apart."""
    bright = sources[:_BRIGHT_SOURCES]
    touching = _overlap(bright["xmin"], bright["xmax"]) & _overlap(bright["ymin"], bright["ymax"])
    # A bright star with a faint neighbour is no ring.
    similar = bright["flux"] < _ALIKE * bright["flux"][:, None]
    alike = similar & similar.T
    np.fill_diagonal(touching, val=False)
    return bool((touching & alike).any(axis=1).sum() > _PIECES * len(bright))


def _overlap(first: npt.NDArray[np.int_], last: npt.NDArray[np.int_]) -> npt.NDArray[np.bool_]:
    """Say which ranges of pixels meet or touch which, shape (n, n)."""
    return np.maximum(first[:, None], first) <= np.minimum(last[:, None], last) + 1


def _extract(
    image: npt.NDArray[np.float32], noise_adu: float, deblend_cont: float = 0.005
) -> npt.NDArray[np.void]:
    """Return what stands out of the sky, brightest first."""
    nothing: npt.NDArray[np.void] = sep.extract(np.zeros((8, 8), np.float32), 1.0)
    if noise_adu <= 0:
        return nothing
    for step in _THRESHOLD_STEPS:
        try:
            found: npt.NDArray[np.void] = sep.extract(
                image,
                _THRESHOLD_SIGMA * step,
                err=noise_adu,
                minarea=_LEAST_AREA_PX,
                deblend_cont=deblend_cont,
            )
        except Exception:  # noqa: BLE001, S112 - sep raises bare Exception when it runs over
            continue
        return found[np.argsort(-found["flux"], kind="stable")]
    return nothing


@dataclass(frozen=True)
class _Sharpness:
    """Width, elongation and concentration of the stars; see Detection."""

    fwhm_px: float = _DEFAULT_FWHM_PX
    elongation: float = 1.0
    concentration: float | None = None

    @property
    def is_hollow(self) -> bool:
        """Whether the stars are rings."""
        return self.concentration is not None and self.concentration < 1.0


def _sharpness(
    sources: npt.NDArray[np.void],
    frame: Frame,
    image: npt.NDArray[np.float32],
    noise_adu: float,
) -> _Sharpness:
    clean = _clean(sources, frame, noise_adu)
    if not len(clean):
        return _Sharpness()
    # Half of a Gaussian's light falls within half of its full width at half maximum.
    half_light_px, _ = sep.flux_radius(image, clean["x"], clean["y"], 6.0 * clean["a"], 0.5)
    fwhm_px = max(2.0 * float(np.median(half_light_px)), _SMALLEST_FWHM_PX)
    return _Sharpness(
        fwhm_px,
        float(np.median(clean["a"] / clean["b"])),
        _concentration(image, clean, fwhm_px),
    )


def _clean(sources: npt.NDArray[np.void], frame: Frame, noise_adu: float) -> npt.NDArray[np.void]:
    """Return bright stars that are not saturated."""
    linear = _LINEAR_FRACTION * frame.saturation_adu
    rows, columns = np.rint(sources["y"]).astype(int), np.rint(sources["x"]).astype(int)
    usable = (frame.peak[rows, columns] < linear) & (sources["b"] > 0)
    high = usable & (sources["peak"] > _SHARPNESS_SNR * noise_adu)
    if high.sum() < _ENOUGH_STARS:
        # Where the light is spread over many pixels none of them stands out.
        noise = noise_adu * np.sqrt(sources["npix"])
        high |= usable & (sources["flux"] > _SHARPNESS_SNR * noise)
    clean: npt.NDArray[np.void] = sources[high][:_SHARPNESS_STARS]
    return clean


def _concentration(
    image: npt.NDArray[np.float32], clean: npt.NDArray[np.void], fwhm_px: float
) -> float | None:
    if fwhm_px < _LEAST_FWHM_FOR_SHAPE_PX:
        return None
    half_px = fwhm_px / 2.0
    middle, _, _ = sep.sum_circle(image, clean["x"], clean["y"], _MIDDLE * half_px)
    inner_px, outer_px = (edge * half_px for edge in _RIM)
    rim, _, _ = sep.sum_circann(image, clean["x"], clean["y"], inner_px, outer_px)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (middle / (_MIDDLE * half_px) ** 2) / (rim / (outer_px**2 - inner_px**2))
    ratio = ratio[np.isfinite(ratio)]
    return float(np.median(ratio)) if len(ratio) >= _ENOUGH_STARS else None

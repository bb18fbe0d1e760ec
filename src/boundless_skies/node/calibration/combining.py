"""One master frame out of many exposures: what one of them alone shows is left out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]

MOST_FRAMES = 32
"""More exposures hardly lower the noise, and would fill a small computer's memory."""

_CLIP_SIGMA = 3.0
_MAD_TO_SIGMA = 1.4826
# Two values have no outlier.
_LEAST_TO_CLIP = 3
_STRIP_PIXELS = 250_000


def combine(exposures: Sequence[npt.NDArray[Any]]) -> FloatImage:
    """Combine exposures pixel by pixel.

    Parameters
    ----------
    exposures : sequence of ndarray, all of one shape
        At least one.

    Returns
    -------
    ndarray of float32
        The mean of what lies within 3 σ of the median, σ from the median absolute
        deviation: nearly the noise of a plain mean, without cosmic rays. The median where
        fewer than three are given; NaN counts as absent.
    """
    first = exposures[0]
    result = np.empty(first.shape, np.float32)
    # Exposures that mostly agree must not lose those that differ by a digit.
    grain = 1.0 if first.dtype.kind in "iu" else 0.0
    rows = max(1, _STRIP_PIXELS // max(1, first[0].size))
    for start in range(0, len(first), rows):
        strip = np.stack([exposure[start : start + rows] for exposure in exposures])
        result[start : start + rows] = _combined(strip.astype(np.float32), grain)
    return result


def _combined(strip: FloatImage, grain: float) -> FloatImage:
    known = np.isfinite(strip)
    # Of a pixel that no exposure knows nothing is known.
    nowhere = ~known.any(axis=0)
    strip[:, nowhere] = 0.0
    median = np.nanmedian(np.where(known | nowhere, strip, np.nan), axis=0)
    used = known
    if len(strip) >= _LEAST_TO_CLIP:
        away = np.abs(strip - median)
        spread = _MAD_TO_SIGMA * np.nanmedian(np.where(known | nowhere, away, np.nan), axis=0)
        used = known & (away <= np.maximum(_CLIP_SIGMA * spread, grain))
    count = used.sum(axis=0)
    mean = np.where(used, strip, 0.0).sum(axis=0) / np.maximum(count, 1)
    combined: FloatImage = np.where(nowhere, np.nan, np.where(count > 0, mean, median))
    return combined.astype(np.float32)

"""From a finished FITS file to a measurement.

Three doors to the same room:

- :func:`run_pipeline` for those who want the measurement's dict or None;
- :func:`measure_frame` for those who want to know more, and why not;
- :class:`~boundless_skies.node.photometry.photometer.Photometer` for a whole night:
  it keeps the catalogue, the last solution and each target's comparison stars.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

from boundless_skies.node.errors import FrameError
from boundless_skies.node.photometry.settings import PhotometrySettings, Target

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from boundless_skies.node.photometry.photometer import FrameMeasurement, Photometer

__all__ = [
    "PhotometrySettings",
    "Target",
    "measure_frame",
    "photometer_for",
    "run_pipeline",
]

_log = logging.getLogger(__name__)


def run_pipeline(
    fits_path: str | os.PathLike[str], config: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Measure the target of one frame.

    Frames measured with an equal config share a :class:`Photometer`, so that the
    points of a night stand on the same comparison stars.

    Parameters
    ----------
    fits_path : path-like
        A finished FITS file: ``.fits``, ``.fit``, ``.fts``, also ``.gz`` or ``.fz``.
    config : Mapping
        The node's whole config; see :class:`PhotometrySettings` for the keys read.

    Returns
    -------
    dict or None
        The measurement with the keys of the wire and of its provenance, or None where the
        frame cannot be measured, or shows only how faint the target must be: a cloud that
        does not look at `is_limit` would take such a limit for a measurement. Either is
        told in one line of the log.

    Raises
    ------
    WrongSetting
        If the config holds what it cannot mean: that is wrong for every frame.
    """
    try:
        found = measure_frame(fits_path, config)
    except FrameError as error:
        _log.warning("%s: %s", fits_path, error)
        return None
    if found.is_limit:
        _log.warning("%s: %s", fits_path, found.limit_sentence)
        return None
    return found.to_dict()


def measure_frame(
    fits_path: str | os.PathLike[str],
    config: Mapping[str, Any],
    *,
    target: Target | None = None,
) -> FrameMeasurement:
    """Measure one frame, and say what was found on the way.

    Parameters
    ----------
    fits_path : path-like
        A finished FITS file.
    config : Mapping
        The node's whole config.
    target : Target, optional
        What to measure; wins over the config's and the header's target.

    Returns
    -------
    FrameMeasurement
        The measurement and how it came about.

    Raises
    ------
    FrameError
        If the frame cannot be measured; the message says why and what to do.
    """
    return photometer_for(config).measure(fits_path, target=target)


def photometer_for(config: Mapping[str, Any]) -> Photometer:
    """Return the photometer that all frames with this config share.

    Parameters
    ----------
    config : Mapping
        The node's whole config.

    Returns
    -------
    Photometer
        The same object for an equal config.
    """
    return _shared_photometer(PhotometrySettings.from_config(config))


@functools.lru_cache(maxsize=8)
def _shared_photometer(settings: PhotometrySettings) -> Photometer:
    # The libraries behind it take a second to load; naming the errors should not.
    from boundless_skies.node.photometry.photometer import Photometer  # noqa: PLC0415

    return Photometer(settings)

"""Taking the camera's own marks off a frame, pixel by pixel, before any pixels are summed."""

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from boundless_skies.node.calibration.combining import FloatImage
from boundless_skies.node.calibration.masters import Master, load_master
from boundless_skies.node.calibration.paths import CalibrationPaths
from boundless_skies.node.errors import FrameNotCalibrated
from boundless_skies.node.fits.frame import Corrected
from boundless_skies.node.fits.headers import CameraFacts

EXPOSURE_TOLERANCE = 0.02
"""Exposure times that differ by less count as equal."""
TEMPERATURE_TOLERANCE_C = 2.0

_EXPOSURE_TOLERANCE_S = 0.05
_IMAGE_AXES = 2
_HOT_SIGMA = 20.0
_MOST_PIXELS = 0.99
_DEAD_FLAT, _BRIGHT_FLAT = 0.2, 5.0
_MAD_TO_SIGMA = 1.4826
_EDGES = ((0, 1), (0, -1), (1, 0), (-1, 0))
_CORNERS = ((1, 1), (1, -1), (-1, 1), (-1, -1))

_log = logging.getLogger(__name__)

Mask = npt.NDArray[np.bool_]


class Calibration:
    """Corrects raw frames: (raw - bias - dark current) / flat.

    Parameters
    ----------
    dark, flat, bias : Master, optional
        The master frames. A dark counts with its bias in it; a flat is normalised already.
    """

    def __init__(
        self, dark: Master | None = None, flat: Master | None = None, bias: Master | None = None
    ) -> None:
        self._dark, self._flat, self._bias = dark, flat, bias
        self._warned: set[str] = set()
        self._bad = _bad_pixels(dark, flat)

    @classmethod
    def load(cls, paths: CalibrationPaths, cache: Path | None = None) -> "Calibration":
        """Read the master frames, or combine them.

        Parameters
        ----------
        paths : CalibrationPaths
            Where they lie.
        cache : Path, optional
            Where combined frames are kept.

        Returns
        -------
        Calibration
            For frames of the same camera.

        Raises
        ------
        FrameNotCalibrated
            If one cannot be used; the message says why and what to do.
        """
        bias = load_master("bias", _place(paths.bias), cache) if paths.bias else None
        dark = load_master("dark", _place(paths.dark), cache) if paths.dark else None
        if dark and bias:
            _require_size(dark, bias)
        flat = None
        if paths.flat:

            def normalised(pixels: npt.NDArray[Any], camera: CameraFacts) -> npt.NDArray[Any]:
                return _normalised(pixels, camera, bias, _place(paths.flat))

            salt = f"less {_fingerprint(bias)}"
            flat = load_master("flat", _place(paths.flat), cache, normalised, salt)
        return cls(dark, flat, bias)

    def correct(self, pixels: npt.NDArray[Any], camera: CameraFacts, name: str) -> Corrected:
        """Correct a raw frame.

        Parameters
        ----------
        pixels : ndarray, shape (height, width)
            As the file holds it.
        camera : CameraFacts
            What its header says of the camera.
        name : str
            The file's name, for messages.

        Returns
        -------
        Corrected
            Values, and how sensitive each pixel is. Hot, dead and unknown pixels are filled
            in from their neighbours of the same colour.

        Raises
        ------
        FrameNotCalibrated
            If a master frame does not fit; the message says what to do.
        """
        while pixels.ndim > _IMAGE_AXES and len(pixels) == 1:
            pixels = pixels[0]
        masters = [master for master in (self._dark, self._flat, self._bias) if master]
        for master in masters:
            self._require_fit(master, pixels, camera, name)
        values = np.asarray(pixels, np.float32)
        offset = self._offset(camera, name)
        if offset is not None:
            values = values - offset
        sensitivity = None if self._flat is None else self._flat.values
        if sensitivity is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                values = values / sensitivity
        step_px = 2 if camera.bayer_pattern else 1
        return Corrected(filled_in(values, self._bad, step_px), sensitivity)

    def _offset(self, camera: CameraFacts, name: str) -> FloatImage | None:
        dark, bias = self._dark, self._bias
        if dark is None:
            return None if bias is None else bias.values
        own_s, wanted_s = dark.camera.exposure_s, camera.exposure_s
        if own_s is None or wanted_s is None or _same_exposure(own_s, wanted_s):
            return dark.values
        if bias is None or own_s <= 0:
            raise FrameNotCalibrated(
                f"{name} was exposed for {wanted_s:g} s, the dark {dark.path} for {own_s:g} s: "
                f"give a dark of {wanted_s:g} s, or a bias too, with which it can be scaled.",
                exposure_s=wanted_s,
                dark_exposure_s=own_s,
            )
        return bias.values + (dark.values - bias.values) * np.float32(wanted_s / own_s)

    def _require_fit(
        self, master: Master, pixels: npt.NDArray[Any], camera: CameraFacts, name: str
    ) -> None:
        problem = _misfit(master, pixels, camera)
        if problem:
            raise FrameNotCalibrated(f"{name} cannot be corrected with {master.path}: {problem}")
        own_c, frame_c = master.camera.temperature_c, camera.temperature_c
        if master.kind == "dark" and own_c is not None and frame_c is not None:
            apart_c = abs(own_c - frame_c)
            if apart_c > TEMPERATURE_TOLERANCE_C:
                self._warn(
                    f"The dark {master.path} was taken at {own_c:.0f} °C, frames such as {name} at "
                    f"{frame_c:.0f} °C: dark current doubles every 6 °C or so. Take darks at the "
                    "temperature of the night."
                )

    def _warn(self, text: str) -> None:
        kind = text.partition(" was taken")[0]
        if kind not in self._warned:
            self._warned.add(kind)
            _log.warning(text)


def filled_in(values: FloatImage, bad: Mask | None, step_px: int) -> FloatImage:
    """Fill bad pixels in from their eight neighbours.

    Parameters
    ----------
    values : ndarray of float32, shape (height, width)
        The frame; what is no number is filled in as well.
    bad : ndarray of bool, optional
        Further bad pixels.
    step_px : int
        How far the nearest neighbours of the same colour lie.

    Returns
    -------
    ndarray of float32
        Twice the mean of the four neighbours beside less the mean of the four at the
        corners, which no cubic surface is changed by: the middle of a Gaussian star 3 pixels
        wide comes out within a tenth. Where one of them is bad too, the median of the good
        ones; NaN where there is none.
    """
    wrong = ~np.isfinite(values) if bad is None else bad | ~np.isfinite(values)
    rows, columns = np.nonzero(wrong)
    if not len(rows):
        return values
    padded = np.pad(np.where(wrong, np.float32(np.nan), values), step_px, constant_values=np.nan)
    beside, corners = (
        np.stack([padded[rows + step_px * (1 + y), columns + step_px * (1 + x)] for y, x in steps])
        for steps in (_EDGES, _CORNERS)
    )
    smooth = 2.0 * beside.mean(axis=0) - corners.mean(axis=0)
    around = np.concatenate([beside, corners])
    known = np.isfinite(around).any(axis=0)
    around[:, ~known] = 0.0
    median = np.where(known, np.nanmedian(around, axis=0), np.nan)
    result = values.copy()
    result[rows, columns] = np.where(np.isfinite(smooth), smooth, median)
    return result


def _place(text: str | os.PathLike[str]) -> Path:
    return Path(text).expanduser()


def _fingerprint(bias: Master | None) -> str:
    return "nothing" if bias is None else f"{float(np.nansum(bias.values, dtype=np.float64))!r}"


def _same_exposure(one_s: float, other_s: float) -> bool:
    apart_s = abs(one_s - other_s)
    return apart_s <= max(EXPOSURE_TOLERANCE * max(one_s, other_s), _EXPOSURE_TOLERANCE_S)


def _misfit(master: Master, pixels: npt.NDArray[Any], camera: CameraFacts) -> str:
    """Return why a master frame cannot belong to a frame; empty where it can."""
    own, kind = master.camera, master.kind
    if master.values.shape != pixels.shape:
        sizes = [" × ".join(map(str, array.shape[::-1])) for array in (master.values, pixels)]
        return (
            f"the {kind} has {sizes[0]} pixels, the frame {sizes[1]}. Take {kind}s with the "
            "binning and the cut-out of the night."
        )
    if own.bayer_pattern and camera.bayer_pattern and own.bayer_pattern != camera.bayer_pattern:
        return (
            f"the {kind} has the Bayer pattern {own.bayer_pattern}, the frame "
            f"{camera.bayer_pattern}. Take both with the same program and orientation."
        )
    gains = (own.gain_setting, camera.gain_setting)
    if kind != "flat" and None not in gains and gains[0] != gains[1]:
        return (
            f"the {kind} was taken with gain {gains[0]:g}, the frame with {gains[1]:g}. Take "
            f"{kind}s with the gain of the night."
        )
    filters = (own.filter_name.upper(), camera.filter_name.upper())
    if kind == "flat" and all(filters) and filters[0] != filters[1]:
        return (
            f"the flat was taken with filter {own.filter_name}, the frame with "
            f"{camera.filter_name}. Give the flat of that filter."
        )
    return ""


def _require_size(dark: Master, bias: Master) -> None:
    if dark.values.shape != bias.values.shape:
        sizes = [" × ".join(map(str, master.values.shape[::-1])) for master in (dark, bias)]
        raise FrameNotCalibrated(
            f"The dark {dark.path} has {sizes[0]} pixels, the bias {bias.path} {sizes[1]}: both "
            "must come from the same camera with the same binning."
        )


def _normalised(
    pixels: npt.NDArray[Any], camera: CameraFacts, bias: Master | None, path: Path
) -> FloatImage:
    """Return a flat of which the median of each colour is 1."""
    values = np.array(pixels, np.float32)
    level = float(np.nanmedian(values))
    if bias is not None and bias.values.shape == values.shape:
        # A flat whose level is near 1 was corrected and normalised by another program.
        values = values - bias.values if level > _BRIGHT_FLAT else values
    elif level > _BRIGHT_FLAT:
        _log.warning(
            "The flat %s is used with its bias in it, so that corners stay too faint: give a bias "
            "of the same size too.",
            path,
        )
    step = 2 if camera.bayer_pattern else 1
    for row in range(step):
        for column in range(step):
            own = values[row::step, column::step]
            median = float(np.nanmedian(own))
            if not median > 0:
                raise FrameNotCalibrated(
                    f"The flat {path} is dark: its median less the bias is {median:g}. Take flats "
                    "of an evenly lit surface, at about half of saturation."
                )
            own /= median
    return values


def _spread(excess: FloatImage) -> float:
    robust = _MAD_TO_SIGMA * float(np.nanmedian(np.abs(excess)))
    # A dark of which most pixels have the same value, by few digits or little noise.
    return robust or float(np.nanstd(np.minimum(excess, np.nanquantile(excess, _MOST_PIXELS))))


def _bad_pixels(dark: Master | None, flat: Master | None) -> Mask | None:
    """Find hot pixels, and those that the flat shows dead, blinding or not at all."""
    bad: list[Mask] = []
    if dark is not None:
        excess = dark.values - np.nanmedian(dark.values)
        # A pixel's own current can be taken off; its photons' noise and its whims cannot.
        bad.append(~(excess <= _HOT_SIGMA * _spread(excess)))
    if flat is not None:
        bad.append(~((flat.values > _DEAD_FLAT) & (flat.values < _BRIGHT_FLAT)))
    return np.logical_or.reduce(bad) if bad else None

"""Master frames: a dark, a flat, a bias, each from one file or from a folder of exposures."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from boundless_skies.node.calibration.combining import MOST_FRAMES, FloatImage, combine
from boundless_skies.node.errors import FrameError, FrameNotCalibrated
from boundless_skies.node.fits.frame import read_image
from boundless_skies.node.fits.headers import CameraFacts, read_camera
from boundless_skies.node.frame_names import is_frame_name

_PATTERNS = ("*.fit", "*.fits", "*.fts", "*.fit.gz", "*.fits.gz", "*.fits.fz", "*.fit.fz")
_VERSION = 1
# Each has the size of a frame; what is needed again is made again.
_MOST_KEPT = 12
_IMAGE_AXES = 2
_CARDS = ("EXPTIME", "EXPOSURE", "GAIN", "OFFSET", "FILTER", "SET-TEMP", "CCD-TEMP")
_COLOUR_CARDS = ("BAYERPAT", "COLORTYP", "XBAYROFF", "YBAYROFF", "ROWORDER")


@dataclass(frozen=True, eq=False)
class Master:
    """A master frame.

    Attributes
    ----------
    kind : str
        ``"dark"``, ``"flat"`` or ``"bias"``.
    path : Path
        The file, or the folder of exposures.
    values : ndarray of float32, shape (height, width)
        NaN where no exposure holds a number.
    camera : CameraFacts
        What the first exposure's header says of the camera.
    frames : int
        How many exposures went into it.
    """

    kind: str
    path: Path
    values: FloatImage
    camera: CameraFacts
    frames: int


Prepare = Callable[[npt.NDArray[Any], CameraFacts], npt.NDArray[Any]]


def load_master(
    kind: str, path: Path, cache: Path | None = None, prepare: Prepare | None = None, salt: str = ""
) -> Master:
    """Read a master frame, or combine one out of a folder.

    Parameters
    ----------
    kind : str
        What to call it in messages.
    path : Path
        A FITS file, or a folder of them (the first 32 by name are combined).
    cache : Path, optional
        Folder in which a combined frame is kept until its exposures change.
    prepare : callable, optional
        What is done to each exposure first.
    salt : str, optional
        What else the combined frame depends on.

    Returns
    -------
    Master
        The frame.

    Raises
    ------
    FrameNotCalibrated
        If there is no such file, no exposure in the folder, or if they do not fit together.
    """
    files = _files(kind, path)
    kept = None if cache is None else cache / f"{kind}-{_identity(files, salt)}.fits"
    if kept is not None and (found := _from_cache(kept)) is not None:
        values, header = found
    else:
        values, header = _made(kind, files, prepare)
        if kept is not None:
            _keep(kept, values, header)
    return Master(kind, path, values, read_camera(header), len(files))


def _files(kind: str, path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FrameNotCalibrated(
            f"There is no {kind} at {path}: name a FITS file, or a folder of {kind}s."
        )
    files = sorted(file for file in path.iterdir() if is_frame_name(file.name, _PATTERNS))
    if not files:
        raise FrameNotCalibrated(f"There are no FITS files in {path}: no {kind} can be made.")
    return files[:MOST_FRAMES]


def _made(kind: str, files: list[Path], prepare: Prepare | None) -> tuple[FloatImage, fits.Header]:
    exposures: list[npt.NDArray[Any]] = []
    headers: list[fits.Header] = []
    for file in files:
        try:
            pixels, header = read_image(file)
        except FrameError as error:
            raise FrameNotCalibrated(f"The {kind} cannot be used: {error}") from error
        while pixels.ndim > _IMAGE_AXES and len(pixels) == 1:
            pixels = pixels[0]
        _require_alike(kind, file, pixels, exposures)
        exposures.append(pixels if prepare is None else prepare(pixels, read_camera(header)))
        headers.append(header)
    return combine(exposures), headers[0]


def _require_alike(
    kind: str, file: Path, pixels: npt.NDArray[Any], others: list[npt.NDArray[Any]]
) -> None:
    if pixels.ndim != _IMAGE_AXES:
        raise FrameNotCalibrated(
            f"The {kind} {file} holds {' × '.join(map(str, pixels.shape))} values instead of one "
            "image as the camera takes it; give raw exposures, not developed ones."
        )
    if others and others[0].shape != pixels.shape:
        raise FrameNotCalibrated(
            f"The {kind} {file} has {_size(pixels)} pixels, the others of its folder "
            f"{_size(others[0])}: keep exposures of one size in a folder."
        )


def _size(pixels: npt.NDArray[Any]) -> str:
    return f"{pixels.shape[1]} × {pixels.shape[0]}"


def _identity(files: list[Path], salt: str) -> str:
    told = [str(_VERSION), salt]
    for file in files:
        status = file.stat()
        told.append(f"{file.absolute()} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:40]


def _from_cache(path: Path) -> tuple[FloatImage, fits.Header] | None:
    try:
        pixels, header = read_image(path)
    except (OSError, FrameError):
        return None
    return np.asarray(pixels, np.float32), header


def _keep(path: Path, values: FloatImage, header: fits.Header) -> None:
    """Write a combined frame whole or not at all; where that fails it is made again next time."""
    cards = fits.Header([header.cards[key] for key in _CARDS + _COLOUR_CARDS if key in header])
    name = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(file, "wb") as stream:
            fits.PrimaryHDU(values, cards).writeto(stream)
        Path(name).replace(path)
        by_age = sorted(path.parent.glob("*.fits"), key=lambda kept: -kept.stat().st_mtime_ns)
        for old in by_age[_MOST_KEPT:]:
            old.unlink(missing_ok=True)
    except OSError:
        if name is not None:
            Path(name).unlink(missing_ok=True)

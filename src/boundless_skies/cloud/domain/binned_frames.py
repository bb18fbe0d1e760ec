"""The image of a FITS file, binned down while it is read: no frame is in memory as a whole.

The file comes from anybody. Its sizes are judged before anything is reserved for them.
"""

import gzip
import io
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from boundless_skies.cloud.domain.errors import InvalidInput

FloatImage = npt.NDArray[np.float32]

MAX_PX = 200_000_000
MIN_SIDE_PX = 8
_MAX_HDUS = 100
_MAX_AXES = 6
_BLOCK_PX = 8_000_000
_BAYER_PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
_COLOURS = (3, 4)
_REASON_LENGTH = 200
_GZIP_START = b"\x1f\x8b"


@dataclass(frozen=True, kw_only=True)
class BinnedFrame:
    """A frame, binned down.

    Attributes
    ----------
    pixels : ndarray of float32, shape (rows, columns)
        Mean of each bin, in the file's units and in the file's order; NaN where the
        file holds no number. Bayer cells and the planes of a colour image are added up.
    width_px, height_px : int
        Size of the image in the file.
    header : Header
        The header of the image.
    plane : str
        Which plane of a cube it is, as the end of a sentence; else empty.
    """

    pixels: FloatImage
    width_px: int
    height_px: int
    header: fits.Header
    plane: str


def read_binned(source: str | os.PathLike[str] | bytes, max_px: int) -> BinnedFrame:
    """Read the first image of a FITS file.

    Parameters
    ----------
    source : path-like or bytes
        A FITS file, or its content; also gzipped, or with a compressed image inside.
    max_px : int
        The bins are the largest whole ones with which the longer side has at least so
        many pixels.

    Raises
    ------
    InvalidInput
        If there is no image, if it is larger than 200 megapixels or smaller than 8
        pixels, if its end is missing, or if the file is damaged.
    """
    with _one_refusal(), _opened(source) as file, fits.open(file, memmap=False) as hdus:
        image = _choose(hdus)
        return _bin(image, max_px)


@contextmanager
def _one_refusal() -> Iterator[None]:
    """Turn all that comes out of a damaged file into one kind of refusal.

    Damaged bytes come out of astropy and its decompressors as many kinds of exception.
    """
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    except InvalidInput:
        raise
    except MemoryError:
        raise InvalidInput("The image needs more memory than a thumbnail may take.") from None
    except Exception as error:
        raise InvalidInput(
            f"The file is damaged, or no FITS file: {_reason(error)}. Copy it again."
        ) from error


def _reason(error: Exception) -> str:
    line = str(error).partition("\n")[0].strip().rstrip(".")
    readable = "".join(sign for sign in line if sign.isprintable())[:_REASON_LENGTH]
    return readable or type(error).__name__


@contextmanager
def _opened(source: str | os.PathLike[str] | bytes) -> Iterator[BinaryIO | gzip.GzipFile]:
    # Opened here, for astropy leaves a damaged file open.
    with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file:
        start = file.read(len(_GZIP_START))
        file.seek(0)
        if start != _GZIP_START:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unzipped:
            yield unzipped


@dataclass(frozen=True)
class _Image:
    """An image of a file that has not been read yet."""

    hdu: Any
    planes: tuple[tuple[Any, ...], ...]
    height: int
    width: int
    colour_last: bool
    plane: str

    def rows(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Read some rows; several planes are added."""
        wanted = slice(start, stop)
        first, *others = (np.asarray(self.hdu.section[(*plane, wanted)]) for plane in self.planes)
        pixels = sum(others, first.astype(np.float64)) if others else first
        if self.colour_last:
            pixels = pixels.sum(axis=-1, dtype=np.float64)
        if pixels.shape != (stop - start, self.width):
            raise InvalidInput("The file ends before its image does. Copy it again.")
        return pixels


def _choose(hdus: fits.HDUList) -> _Image:
    refusal = InvalidInput("The file holds no image.")
    for hdu in islice(iter(hdus), _MAX_HDUS):
        shape = tuple(hdu.shape) if hdu.is_image and hdu.header.get("NAXIS", 0) else ()
        if not shape:
            continue
        try:
            return _describe(hdu, shape)
        except InvalidInput as error:
            refusal = error
    raise refusal


def _describe(hdu: Any, shape: tuple[int, ...]) -> _Image:
    written = " × ".join(f"{side:,}" for side in reversed(shape[:_MAX_AXES]))
    if len(shape) > _MAX_AXES:
        raise InvalidInput(f"The file holds an array of {len(shape)} axes, no image.")
    planes, height, width, colour_last, plane = _planes(shape)
    if min(height, width, *shape) < 1 or min(height, width) < MIN_SIDE_PX:
        raise InvalidInput(
            f"The file holds an array of {written} instead of an image of at least "
            f"{MIN_SIDE_PX} × {MIN_SIDE_PX} pixels."
        )
    if height * width > MAX_PX:
        raise InvalidInput(
            f"The image has {written} pixels, more than the {MAX_PX:,} that a thumbnail can show."
        )
    _require_whole(hdu, shape)
    return _Image(hdu, planes, height, width, colour_last, plane)


def _planes(
    shape: tuple[int, ...],
) -> tuple[tuple[tuple[Any, ...], ...], int, int, bool, str]:
    """Return which planes to add up, their height and width, and what to say of them."""
    if len(shape) == 1:
        return ((),), 1, shape[0], False, ""
    *outer, height, width = shape
    if len(shape) == 3 and width in _COLOURS and outer[0] > MIN_SIDE_PX:  # noqa: PLR2004 - axes
        return ((),), outer[0], height, True, ""
    first = (0,) * len(outer)
    if len(outer) == 1 and outer[0] in _COLOURS:
        return tuple((number,) for number in range(outer[0])), height, width, False, ""
    count = math.prod(outer)
    plane = f"first of {count:,} planes" if count > 1 else ""
    return (first,), height, width, False, plane


def _require_whole(hdu: Any, shape: tuple[int, ...]) -> None:
    """Check the file's length; what is compressed says itself that its end is missing."""
    facts = hdu.fileinfo() or {}
    file = facts.get("file")
    if file is None or file.compression or isinstance(hdu, fits.CompImageHDU):
        return
    needed = facts["datLoc"] + math.prod(shape) * abs(hdu.header["BITPIX"]) // 8
    if file.size < needed:
        raise InvalidInput(
            f"The file has {file.size:,} bytes, its header announces {needed:,}: the end is "
            "missing. Copy it again."
        )


def _bin(image: _Image, max_px: int) -> BinnedFrame:
    header = image.hdu.header
    size = _bin_size(image, header, max_px)
    rows, columns = image.height // size, image.width // size
    pixels = np.empty((rows, columns), np.float32)
    step = max(1, _BLOCK_PX // (image.width * size))
    for start in range(0, rows, step):
        stop = min(rows, start + step)
        pixels[start:stop] = _means(image.rows(start * size, stop * size), size)
    return BinnedFrame(
        pixels=pixels,
        width_px=image.width,
        height_px=image.height,
        header=header,
        plane=image.plane,
    )


def _bin_size(image: _Image, header: fits.Header, max_px: int) -> int:
    size = max(1, max(image.height, image.width) // max_px)
    size = min(size, image.height, image.width)
    # Whole cells, so that every bin has seen each colour alike.
    return max(2, size // 2 * 2) if _is_mosaic(image, header) else size


def _is_mosaic(image: _Image, header: fits.Header) -> bool:
    patterns = (str(header.get(key, "")).strip().upper() for key in ("BAYERPAT", "COLORTYP"))
    one_plane = len(image.planes) == 1 and not image.colour_last
    return one_plane and any(pattern in _BAYER_PATTERNS for pattern in patterns)


def _means(block: npt.NDArray[Any], size: int) -> FloatImage:
    """Return the mean of the numbers in each bin; NaN where there are none."""
    rows, columns = block.shape[0] // size, block.shape[1] // size
    cells = block[: rows * size, : columns * size].reshape(rows, size, columns * size)
    # Rows before columns: along whole rows the sums are several times faster.
    means = _over_columns(cells.sum(axis=1, dtype=np.float64), size) / size**2
    if not np.isfinite(means).all():
        known = np.isfinite(cells)
        sums = _over_columns(np.where(known, cells, 0.0).sum(axis=1), size)
        means = sums / _over_columns(known.sum(axis=1), size)
    small: FloatImage = means.astype(np.float32)
    return small


def _over_columns(values: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    sums: npt.NDArray[Any] = values.reshape(len(values), -1, size).sum(axis=2)
    return sums

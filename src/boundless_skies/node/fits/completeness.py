"""Is a FITS file all there? Told from its headers and its size, without reading its pixels."""

import gzip
import io
import math
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from boundless_skies.node.errors import TruncatedFrame, UnreadableFrame

_BLOCK = 2880
_CARD = 80
_FITS_START = b"SIMPLE  ="
_GZIP_START = b"\x1f\x8b"
# A header of more blocks than this (36,000 cards) is no header.
_MAX_HEADER_BLOCKS = 1000
_INTEGER = re.compile(rb"^(BITPIX|NAXIS\d*|PCOUNT|GCOUNT) *= *(-?\d+)")


def is_complete(path: str | os.PathLike[str]) -> bool:
    """Say whether a file holds all that its headers announce.

    Parameters
    ----------
    path : path-like
        A file that may still be growing.

    Returns
    -------
    bool
        False while its end is missing. True for a file that is no FITS file at
        all: waiting will not help it, and reading it says what is wrong.
    """
    try:
        require_complete(path)
    except TruncatedFrame:
        return False
    except UnreadableFrame:
        return True
    return True


def require_complete(path: str | os.PathLike[str]) -> None:
    """Check that a file holds all that its headers announce.

    Parameters
    ----------
    path : path-like
        A FITS file, also gzipped or with a compressed image inside.

    Raises
    ------
    TruncatedFrame
        If the end is missing.
    UnreadableFrame
        If the file cannot be opened, or is no FITS file.
    """
    name = Path(path).name
    try:
        with Path(path).open("rb") as file:
            start = file.read(len(_FITS_START))
            file.seek(0)
            if start.startswith(_GZIP_START):
                _check(_unzipped(file, name), name)
            else:
                _check(file, name)
    except OSError as error:
        raise UnreadableFrame(f"{name} cannot be read: {error.strerror or error}.") from error


def _check(file: BinaryIO, name: str) -> None:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(len(_FITS_START))
    if not (_FITS_START.startswith(start) or _GZIP_START.startswith(start)):
        raise UnreadableFrame(f"{name} is no FITS file: it does not begin with SIMPLE.")
    needed = _needed_bytes(file, size)
    if needed is None:
        raise TruncatedFrame(
            f"{name} ends before its image, after {size:,} bytes. Copy it again.", size_bytes=size
        )
    if size < needed:
        raise TruncatedFrame(
            f"{name} has {size:,} bytes, its headers announce {needed:,}: the end is missing. "
            "Copy it again.",
            size_bytes=size,
            needed_bytes=needed,
        )


def _unzipped(file: BinaryIO, name: str) -> BinaryIO:
    try:
        return io.BytesIO(gzip.decompress(file.read()))
    except EOFError as error:
        raise TruncatedFrame(f"{name} ends within its compressed data. Copy it again.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableFrame(f"{name} is damaged: {error}. Copy it again.") from error


def _needed_bytes(file: BinaryIO, size: int) -> int | None:
    """Add up all headers and data; None where the file ends in a header, or before any data.

    The filling after the last data is not asked for: some cameras leave it out.
    """
    position = end_of_data = total_bytes = 0
    while position < size:
        file.seek(position)
        header = _header(file)
        if header is None:
            # Bytes after the last extension are allowed; before it they are a torn header.
            return end_of_data if end_of_data and not _is_extension(file, position) else None
        header_bytes, data_bytes = header
        total_bytes += data_bytes
        end_of_data = position + header_bytes + data_bytes
        position += header_bytes + _BLOCK * math.ceil(data_bytes / _BLOCK)
    return end_of_data if total_bytes else None


def _is_extension(file: BinaryIO, position: int) -> bool:
    file.seek(position)
    start = file.read(8)
    return b"XTENSION".startswith(start)


def _header(file: BinaryIO) -> tuple[int, int] | None:
    """Return the sizes of the header at the file's position and of its data."""
    numbers: dict[bytes, int] = {}
    for count, block in enumerate(_blocks(file), start=1):
        for card in (block[at : at + _CARD] for at in range(0, _BLOCK, _CARD)):
            if card.rstrip() == b"END":
                return count * _BLOCK, _data_bytes(numbers)
            if match := _INTEGER.match(card):
                numbers[match[1]] = int(match[2])
    return None


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    for _ in range(_MAX_HEADER_BLOCKS):
        block = file.read(_BLOCK)
        if len(block) < _BLOCK:
            return
        yield block


def _data_bytes(numbers: dict[bytes, int]) -> int:
    """Size of a header's data (FITS standard 4.0, equation 2)."""
    axes = [numbers.get(b"NAXIS%d" % axis, 0) for axis in range(1, numbers.get(b"NAXIS", 0) + 1)]
    if not axes:
        return 0
    elements = numbers.get(b"PCOUNT", 0) + math.prod(axes)
    return abs(numbers.get(b"BITPIX", 8)) // 8 * numbers.get(b"GCOUNT", 1) * elements

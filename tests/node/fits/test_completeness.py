"""A file that is still being written, or was cut, is told from a whole one."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from tests.support.scenes import REAL_FRAME, write_fits

from boundless_skies.node.errors import TruncatedFrame, UnreadableFrame
from boundless_skies.node.fits import is_complete, require_complete

BLOCK = 2880


def plain(folder: Path) -> Path:
    """Write a FITS file with one image."""
    return write_fits(folder / "plain.fits", np.arange(6000, dtype=np.uint16).reshape(60, 100))


def zipped(folder: Path) -> Path:
    """Write the same, gzipped."""
    path = folder / "zipped.fits.gz"
    path.write_bytes(gzip.compress(plain(folder).read_bytes()))
    return path


def compressed(folder: Path) -> Path:
    """Copy the real frame: an empty first part and a compressed image."""
    path = folder / "compressed.fits.fz"
    path.write_bytes(REAL_FRAME.read_bytes())
    return path


WRITERS = [plain, zipped, compressed]


@pytest.mark.parametrize("write", WRITERS)
def test_a_whole_file_is_complete(tmp_path: Path, write: object) -> None:
    """Plain, gzipped and with a compressed image inside."""
    assert is_complete(write(tmp_path))  # type: ignore[operator]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("fraction", [0.0, 0.0001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.8])
def test_a_cut_file_is_not(tmp_path: Path, write: object, fraction: float) -> None:
    """Wherever it is cut: in the header, between headers, in the data."""
    path = write(tmp_path)  # type: ignore[operator]
    whole = path.read_bytes()
    path.write_bytes(whole[: int(fraction * len(whole))])
    assert not is_complete(path)
    with pytest.raises(TruncatedFrame, match="Copy it again"):
        require_complete(path)


def test_every_block_of_a_growing_file_is_incomplete_but_the_last(tmp_path: Path) -> None:
    """As a watcher sees a file grow."""
    path = compressed(tmp_path)
    whole = path.read_bytes()
    seen = []
    for size in range(0, len(whole), 20 * BLOCK):
        path.write_bytes(whole[:size])
        seen.append(is_complete(path))
    assert not any(seen)


def test_missing_filling_after_the_data_is_forgiven(tmp_path: Path) -> None:
    """Some cameras do not fill the last block."""
    path = plain(tmp_path)
    path.write_bytes(path.read_bytes()[: BLOCK + 12_000])
    assert is_complete(path)


def test_bytes_after_the_end_are_forgiven(tmp_path: Path) -> None:
    """A file system's NULs behind a whole file do no harm."""
    path = plain(tmp_path)
    path.write_bytes(path.read_bytes() + bytes(5000))
    assert is_complete(path)


def test_a_cut_file_is_told_with_both_sizes(tmp_path: Path) -> None:
    """So that one sees how much is missing."""
    path = plain(tmp_path)
    path.write_bytes(path.read_bytes()[: BLOCK + 11_999])
    with pytest.raises(TruncatedFrame, match=r"has 14,879 bytes, its headers announce 14,880"):
        require_complete(path)


def test_waiting_does_not_help_a_file_that_is_no_fits(tmp_path: Path) -> None:
    """It counts as complete, and reading it says what it is."""
    path = tmp_path / "note.fits"
    path.write_text("these are not the pixels you are looking for\n" * 100)
    assert is_complete(path)
    with pytest.raises(UnreadableFrame, match="no FITS file"):
        require_complete(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """Gone between the notice and the look."""
    with pytest.raises(UnreadableFrame, match="cannot be read: No such file"):
        require_complete(tmp_path / "gone.fits")


def test_a_damaged_gzip_is_told(tmp_path: Path) -> None:
    """Right in its beginning, wrong in its middle."""
    path = zipped(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(UnreadableFrame):
        require_complete(path)


def test_two_images_need_both(tmp_path: Path) -> None:
    """The second is announced by its own header."""
    path = tmp_path / "two.fits"
    image = np.zeros((50, 50), np.uint8)
    fits.HDUList([fits.PrimaryHDU(image), fits.ImageHDU(image)]).writeto(path)
    whole = path.read_bytes()
    assert is_complete(path)
    path.write_bytes(whole[: 3 * BLOCK + 100])
    assert not is_complete(path)

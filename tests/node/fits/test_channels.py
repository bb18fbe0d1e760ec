"""Colour images: one channel out of a Bayer mosaic or of three planes, and what is refused."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from tests.support.scenes import write_fits

from boundless_skies.node.errors import UnreadableFrame
from boundless_skies.node.fits.channel import Channel
from boundless_skies.node.fits.frame import Frame, image_header, read_frame

SHADES = {"R": 100, "G": 1000, "B": 10_000}
HEIGHT, WIDTH = 64, 80
PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
LETTERS = {Channel.LUMINANCE: "RGGB", Channel.GREEN: "GG", Channel.RED: "R", Channel.BLUE: "B"}


def mosaic(pattern: str, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Lay a pattern, whose first row is the file's first, over an even light of each colour."""
    cell = np.array([SHADES[letter] for letter in pattern], np.uint16).reshape(2, 2)
    return np.tile(cell, (height // 2 + 1, width // 2 + 1))[:height, :width]


def read(folder: Path, data: np.ndarray, channel: Channel | str = "luminance", **cards: Any) -> Any:
    """Write and read a frame."""
    return read_frame(write_fits(folder / "frame.fits", data, **cards), channel)


class TestMosaics:
    """Raw frames of colour cameras."""

    @pytest.mark.parametrize("pattern", PATTERNS)
    @pytest.mark.parametrize("channel", Channel)
    def test_a_channel_is_the_sum_of_its_pixels(
        self, tmp_path: Path, pattern: str, channel: Channel
    ) -> None:
        """Whatever the order of the colours; both greens count."""
        frame = read(tmp_path, mosaic(pattern), channel, BAYERPAT=pattern)
        assert frame.shape == (HEIGHT // 2, WIDTH // 2)
        assert set(frame.data.ravel()) == {sum(SHADES[letter] for letter in LETTERS[channel])}
        assert set(frame.peak.ravel()) == {max(SHADES[letter] for letter in LETTERS[channel])}
        assert frame.channel is channel

    @pytest.mark.parametrize("card", ["BAYERPAT", "COLORTYP"])
    def test_both_spellings_of_the_pattern_are_read(self, tmp_path: Path, card: str) -> None:
        """In small letters too."""
        frame = read(tmp_path, mosaic("GBRG"), "red", **{card: "gbrg"})
        assert frame.data[0, 0] == SHADES["R"]

    @pytest.mark.parametrize("pattern", PATTERNS)
    @pytest.mark.parametrize("columns", [0, 1, 2, -1])
    @pytest.mark.parametrize("rows", [0, 1, 3])
    def test_a_subframe_begins_anywhere_in_the_pattern(
        self, tmp_path: Path, pattern: str, columns: int, rows: int
    ) -> None:
        """XBAYROFF and YBAYROFF say where; the sensor is cut there."""
        sensor = mosaic(pattern, HEIGHT + 4, WIDTH + 4)
        cut = sensor[rows % 4 : rows % 4 + HEIGHT, columns % 4 : columns % 4 + WIDTH]
        cards = {"BAYERPAT": pattern, "XBAYROFF": columns, "YBAYROFF": float(rows)}
        assert set(read(tmp_path, cut, "red", **cards).data.ravel()) == {SHADES["R"]}
        assert set(read(tmp_path, cut, "green", **cards).data.ravel()) == {2 * SHADES["G"]}

    @pytest.mark.parametrize("pattern", PATTERNS)
    @pytest.mark.parametrize("height", [HEIGHT, HEIGHT + 1])
    @pytest.mark.parametrize("order", ["TOP-DOWN", "BOTTOM-UP", None])
    def test_the_pattern_is_told_for_the_picture_with_its_top_row_first(
        self, tmp_path: Path, pattern: str, height: int, order: str | None
    ) -> None:
        """A file whose last row is the top holds the pattern turned around."""
        picture = mosaic(pattern, height)
        in_file = picture[::-1] if order == "BOTTOM-UP" else picture
        cards = {"BAYERPAT": pattern, "ROWORDER": order}
        assert set(read(tmp_path, in_file, "blue", **cards).data.ravel()) == {SHADES["B"]}
        assert set(read(tmp_path, in_file, "green", **cards).data.ravel()) == {2 * SHADES["G"]}

    @pytest.mark.parametrize(
        ("channel", "place"),
        [("luminance", (0.5, 0.5)), ("green", (0.5, 0.5)), ("red", (1.0, 0.0)), ("blue", (0, 1.0))],
    )
    def test_a_channels_pixels_lie_where_its_light_was_caught(
        self, tmp_path: Path, channel: str, place: tuple[float, float]
    ) -> None:
        """Half a pixel aside for red and blue, in the place told and in the solution."""
        cards = {
            "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 20.0,
            "CRPIX1": 40.5, "CRPIX2": 32.5, "CDELT1": -0.001, "CDELT2": 0.001,
        }  # fmt: skip
        raw = read(tmp_path, mosaic("GRBG"), **cards)
        frame = read(tmp_path, mosaic("GRBG"), channel, **cards, BAYERPAT="GRBG")
        assert frame.to_file_px(0.0, 0.0) == place
        there = np.array(raw.wcs.all_pix2world(*frame.to_file_px(7.0, 5.0), 0))
        assert np.array(frame.wcs.all_pix2world(7.0, 5.0, 0)) == pytest.approx(there, abs=1e-9)

    def test_one_saturated_green_pixel_is_seen_in_every_channel_it_belongs_to(
        self, tmp_path: Path
    ) -> None:
        """Though the sum of its cell stays far below four full pixels; red knows nothing of it."""
        data = mosaic("RGGB") // 100
        data[20, 31] = 65_535
        cell = 10, 15
        for channel in ("luminance", "green"):
            frame = read(tmp_path, data, channel, BAYERPAT="RGGB")
            assert frame.saturation_adu == 65_535
            assert frame.peak[cell] == 65_535
            assert frame.data[cell] < 1.1 * 65_535
        red = read(tmp_path, data, "red", BAYERPAT="RGGB")
        assert red.saturation_adu == 65_535
        assert red.peak[cell] == SHADES["R"] // 100

    def test_a_gap_in_one_colour_is_none_in_another(self, tmp_path: Path) -> None:
        """It is filled with its own colour's level, and never trusted."""
        data = mosaic("RGGB").astype(np.float32)
        data[0, 0] = np.nan
        red = read(tmp_path, data, "red", BAYERPAT="RGGB")
        assert (red.data[0, 0], red.peak[0, 0]) == (SHADES["R"], np.inf)
        green = read(tmp_path, data, "green", BAYERPAT="RGGB")
        assert np.isfinite(green.peak).all()


def test_a_value_beyond_single_precision_is_a_gap(tmp_path: Path) -> None:
    """As is what is no number at all."""
    data = np.full((40, 40), 7.0)
    data[3, 4], data[5, 6], data[7, 8], data[9, 10] = 1e300, -1e300, np.nan, 1000.0
    frame = read(tmp_path, data)
    assert frame.saturation_adu == 1023.0
    assert (frame.data[3, 4], frame.data[5, 6], frame.data[7, 8]) == (7.0, 7.0, 7.0)
    assert (frame.peak[3, 4], frame.peak[5, 6], frame.peak[7, 8]) == (np.inf,) * 3


PLANES = np.stack([np.full((HEIGHT, WIDTH), shade, np.uint16) for shade in SHADES.values()])


class TestPlanes:
    """Colour images with a plane for each colour."""

    @pytest.mark.parametrize("channel", Channel)
    @pytest.mark.parametrize(
        "cards",
        [{}, {"CTYPE3": "RGB"}, {"COLORTYP": "RGB"}, {"BAYERPAT": "GRBG"}, {"COLORTYP": "RGGB"}],
    )
    def test_a_channel_is_its_plane(
        self, tmp_path: Path, channel: Channel, cards: dict[str, Any]
    ) -> None:
        """All three are added for luminance; a mosaic's card left behind folds nothing."""
        frame = read(tmp_path, PLANES, channel, **cards)
        assert frame.shape == (HEIGHT, WIDTH)
        assert frame.data[0, 0] == sum(SHADES[letter] for letter in set(LETTERS[channel]))
        assert frame.peak[0, 0] == max(SHADES[letter] for letter in LETTERS[channel])
        assert frame.channel is channel
        assert frame.to_file_px(3.0, 4.0) == (3.0, 4.0)

    def test_one_saturated_plane_is_seen_in_the_sum(self, tmp_path: Path) -> None:
        """12 bits in each plane saturate at 4095, not at three times that."""
        data = np.full((3, 40, 40), 300, np.uint16)
        data[1, 5, 5] = 4095
        for channel in ("luminance", "green"):
            frame = read(tmp_path, data, channel)
            assert (frame.saturation_adu, frame.peak[5, 5]) == (4095, 4095)

    def test_values_scaled_to_one_saturate_at_one(self, tmp_path: Path) -> None:
        """As stacking programs write them."""
        data = np.full((3, 40, 40), 0.1, np.float32)
        data[0, 5, 5] = 0.7
        assert read(tmp_path, data).saturation_adu == 1.0
        assert read(tmp_path, 400.0 * data).saturation_adu == 511.0

    @pytest.mark.parametrize(
        ("planes", "cards", "sentence"),
        [
            (3, {"CTYPE3": "TIME"}, "3 planes instead of one image, exposures one after the other"),
            (7, {"CTYPE3": "UTC"}, "7 planes instead of one image, exposures one after the other"),
            (3, {"CTYPE3": "STOKES"}, r"not red, green and blue \(CTYPE3 is 'STOKES'\)"),
            (3, {"COLORTYP": "MONO"}, r"not red, green and blue \(COLORTYP is 'MONO'\)"),
            (2, {}, "2 planes instead of one image, which cannot be red, green and blue"),
            (4, {"CTYPE3": "RGB"}, "4 planes instead of one image, which cannot be"),
        ],
    )
    def test_a_cube_of_anything_else_is_refused(
        self, tmp_path: Path, planes: int, cards: dict[str, Any], sentence: str
    ) -> None:
        """In one line that says what to do."""
        with pytest.raises(UnreadableFrame, match=sentence) as caught:
            read(tmp_path, np.zeros((planes, HEIGHT, WIDTH), np.uint8), **cards)
        assert str(caught.value).endswith("Write each exposure to a file of its own.")
        assert "\n" not in str(caught.value)


PIXELS = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH)


def plain(path: Path) -> None:
    """Write the picture as the only array."""
    write_fits(path, PIXELS)


def zipped(path: Path) -> None:
    """Write it gzipped from outside."""
    plain(path.with_suffix(".plain"))
    path.write_bytes(gzip.compress(path.with_suffix(".plain").read_bytes()))


def packed(path: Path) -> None:
    """Write it Rice-compressed inside, as fpack does."""
    plain(path.with_suffix(".plain"))
    header = fits.getheader(path.with_suffix(".plain"))
    inner = fits.CompImageHDU(PIXELS, header, compression_type="RICE_1")
    fits.HDUList([fits.PrimaryHDU(), inner]).writeto(path)


def extended(path: Path) -> None:
    """Write it as the first of two images behind a header that tells the exposure."""
    plain(path.with_suffix(".plain"))
    header = fits.getheader(path.with_suffix(".plain"))
    table = fits.BinTableHDU.from_columns([fits.Column("x", "E", array=np.zeros(9))])
    images = [fits.ImageHDU(PIXELS, name="SCI"), fits.ImageHDU(0.1 * PIXELS, name="ERR")]
    fits.HDUList([fits.PrimaryHDU(header=header), table, *images]).writeto(path)


def deep(path: Path) -> None:
    """Write it with axes of length one."""
    write_fits(path, PIXELS[None, None])


def scaled(path: Path) -> None:
    """Write it as 32-bit fractions."""
    write_fits(path, PIXELS.astype(np.float32))


class TestFiles:
    """The same picture in every form of file."""

    @pytest.mark.parametrize(
        ("name", "write"),
        [
            ("a.fit", plain), ("a.fits", plain), ("a.fts", plain), ("A.FIT", plain),
            ("a.fits.gz", zipped), ("a.fit.gz", zipped), ("a.fits.fz", packed),
            ("a.fz", packed), ("a.fits", extended), ("a.fits", deep), ("a.fit", scaled),
        ],
    )  # fmt: skip
    def test_the_array_is_the_same(self, tmp_path: Path, name: str, write: Any) -> None:
        """And the facts of its header."""
        write(tmp_path / name)
        frame = read_frame(tmp_path / name)
        assert (frame.data == PIXELS).all()
        assert (frame.peak == PIXELS).all()
        assert frame.channel is None
        assert frame.facts == self.reference(tmp_path).facts
        assert frame.saturation_adu == self.reference(tmp_path).saturation_adu

    @staticmethod
    def reference(folder: Path) -> Frame:
        """Read the plain form."""
        plain(folder / "reference.fits")
        return read_frame(folder / "reference.fits")

    def test_an_extensions_own_cards_win(self) -> None:
        """And the first header's solution of another image is not taken over."""
        first = fits.Header()
        first["OBJECT"], first["DATE-OBS"], first["CTYPE1"] = "first", "2026-07-01T22:00:00", "X"
        inner = fits.ImageHDU(PIXELS)
        inner.header["OBJECT"] = "own"
        hdus = fits.HDUList([fits.PrimaryHDU(header=first), inner])
        header = image_header(hdus)
        assert header is not None
        assert header["OBJECT"] == "own"
        assert header["DATE-OBS"] == "2026-07-01T22:00:00"
        assert "CTYPE1" not in header
        assert image_header(fits.HDUList([fits.PrimaryHDU(header=first)])) is None

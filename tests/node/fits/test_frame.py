"""Frames and the facts of their headers, however a camera spells them."""

import datetime as dt
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from tests.support.scenes import REAL_FRAME, write_fits

from boundless_skies.node.errors import FrameError, TruncatedFrame, UnreadableFrame
from boundless_skies.node.fits.frame import Frame, read_frame
from boundless_skies.node.fits.headers import HeaderFacts, read_facts
from boundless_skies.sky import Site

PIXELS = np.arange(64 * 80, dtype=np.uint16).reshape(64, 80)


def facts_of(comments: dict[str, str] | None = None, **cards: Any) -> HeaderFacts:
    """Read the facts of a header with these cards."""
    header = fits.Header()
    for key, value in cards.items():
        header[key] = (value, (comments or {}).get(key, ""))
    return read_facts(header)


def read(folder: Path, data: np.ndarray = PIXELS, **cards: Any) -> Frame:
    """Write and read a frame."""
    return read_frame(write_fits(folder / "frame.fits", data, **cards))


class TestTimes:
    """When and how long."""

    @pytest.mark.parametrize(
        "cards",
        [
            {"DATE-OBS": "2017-12-20T01:33:43.5", "EXPTIME": 60.0},
            {"DATE-OBS": "2017-12-19T18:33:43.5-0700", "EXPTIME": 60.0},
            {"DATE-OBS": "2017-12-20T01:33:43.5+00:00", "EXPOSURE": 60},
            {"DATE-OBS": "2017-12-20", "TIME-OBS": "01:33:43.5", "EXPTIME": "060.00"},
            {"DATE-OBS": "2017-12-20", "UT": "01:33:43.5", "EXPTIME": 60.0},
            {"UT-OBS": "2017-12-20T01:33:43.5-0000", "EXPTIME": 60.0},
            {"DATE-BEG": "2017-12-20T01:33:43.5", "EXPTIME": 60.0},
            {"DATE-OBS": "2017-12-20T01:33:43.5", "DATE-END": "2017-12-20T01:34:43.5"},
            {"DATE-AVG": "2017-12-20T01:34:13.5", "DATE-OBS": "2017-12-20T01:33:40", "EXPTIME": 60},
            {"MJD-OBS": 58107.06508680556, "EXPTIME": 60.0},
        ],
    )
    def test_the_middle_of_the_exposure(self, cards: dict[str, Any]) -> None:
        """One exposure in the spellings of ten cameras."""
        facts = facts_of(**cards)
        expected = dt.datetime(2017, 12, 20, 1, 34, 13, 500_000, tzinfo=dt.UTC)
        assert facts.mid_exposure_utc is not None
        assert abs((facts.mid_exposure_utc - expected).total_seconds()) < 1e-3
        assert facts.exposure_s == 60.0

    @pytest.mark.parametrize(
        ("cards", "sentence"),
        [
            ({"DATE-OBS": None}, "DATE-OBS is missing"),
            ({"DATE-OBS": "tonight"}, "DATE-OBS is 'tonight', not a date and time"),
            ({"EXPTIME": None}, "EXPTIME is missing or no number"),
            ({"EXPTIME": -3.0}, "EXPTIME is missing or no number"),
            ({"TIMESYS": "TDB"}, "TIMESYS 'TDB'; only UTC is understood"),
            ({"DATE-OBS": "1970-01-01T00:00:00", "EXPTIME": 1e12}, "does not say when"),
            ({"DATE-OBS": "1066-10-14T09:00:00"}, "the year 1066: set the camera's clock"),
        ],
    )
    def test_a_frame_without_a_time_is_refused(
        self, tmp_path: Path, cards: dict[str, Any], sentence: str
    ) -> None:
        """For a point without a time is none."""
        with pytest.raises(UnreadableFrame, match=sentence):
            read(tmp_path, **cards)


class TestPositions:
    """Where it points, and how large a pixel is."""

    @pytest.mark.parametrize(
        "cards",
        [
            {"RA": 31.04275, "DEC": 46.68783},
            {"RA": "02:04:10.26", "DEC": "+46:41:16.2"},
            {"OBJCTRA": "02 04 10.26", "OBJCTDEC": "+46 41 16.2", "RA": 30.0, "DEC": 40.0},
            {"TELRA": 31.04275, "TELDEC": 46.68783},
            {"OBJCTRA": "none", "OBJCTDEC": "", "RA": 31.04275, "DEC": 46.68783},
        ],
    )
    def test_position(self, cards: dict[str, Any]) -> None:
        """The object's own cards first; what cannot be read is passed over."""
        assert facts_of(**cards).position_deg == pytest.approx((31.04275, 46.68783), abs=1e-4)

    def test_decimal_hours_are_told_by_the_comment(self) -> None:
        """A number alone means degrees."""
        facts = facts_of({"RA": "[hours] of the mount"}, RA=2.069517, DEC=46.7)
        assert facts.position_deg == pytest.approx((31.04275, 46.7), abs=1e-4)

    @pytest.mark.parametrize(
        ("cards", "expected"),
        [
            ({"XPIXSZ": 2.9, "FOCALLEN": 250}, (2.3927,)),
            ({"XPIXSZ": 2.9, "FOCALLEN": 250, "XBINNING": 2}, (2.3927, 4.7853)),
            ({"IM_SCALE": 5.21}, (5.21,)),
            ({"PIXSCALE": 7.93, "XPIXSZ": 1.0, "FOCALLEN": 1.0}, (7.93,)),
            ({"XPIXSZ": 2.9, "FOCALLEN": 0}, ()),
            ({}, ()),
        ],
    )
    def test_scale(self, cards: dict[str, Any], expected: tuple[float, ...]) -> None:
        """Stated, or from pixel and focal length; both readings where binning leaves two."""
        assert facts_of(**cards).scales_arcsec_px == pytest.approx(expected, abs=1e-3)

    @pytest.mark.parametrize(
        ("cards", "expected"),
        [
            ({"SITELAT": 50.0, "SITELONG": 10.0, "SITEELEV": 350.0}, Site(50.0, 10.0, 350.0)),
            ({"SITELAT": "+50 00 00", "SITELONG": "-10 30 00"}, Site(50.0, -10.5, 0.0)),
            ({"LAT-OBS": 50.0, "LONG-OBS": 350.0, "ALT-OBS": 10}, Site(50.0, -10.0, 10.0)),
            ({"OBSGEO-B": 50.0, "OBSGEO-L": 10.0, "OBSGEO-H": 5.0}, Site(50.0, 10.0, 5.0)),
            ({"SITELAT": 0.0, "SITELONG": 0.0}, None),
            ({"SITELAT": 50.0}, None),
            ({}, None),
        ],
    )
    def test_site(self, cards: dict[str, Any], expected: Site | None) -> None:
        """North and east positive; 0/0 is what an unset program writes."""
        assert facts_of(**cards).site == expected

    def test_a_longitude_counted_westward_is_turned_around(self) -> None:
        """The header's own altitude gives it away, as in the frames of MicroObservatory."""
        arizona = {"LATITUDE": 31.68, "LONGITUD": 110.88, "TELALT": "+62.592"}
        when = {"DATE-OBS": "2017-12-20T01:33:43.3", "EXPTIME": 60.0}
        facts = facts_of(RA=31.312, DEC=46.769, **arizona, **when)
        assert facts.site == Site(31.68, -110.88, 0.0)


class TestCameras:
    """What the pixels are worth."""

    @pytest.mark.parametrize(
        ("cards", "comments", "expected"),
        [
            ({"EGAIN": 1.5, "GAIN": 100}, {}, 1.5),
            ({"GAIN": 1.5}, {"GAIN": "[e-/ADU]"}, 1.5),
            ({"GAIN": 100}, {"GAIN": "camera setting"}, None),
            ({"GAIN": 80, "INSTRUME": "Seestar S50"}, {}, 0.07),
            ({"EGAIN": 0.0}, {}, None),
            ({}, {}, None),
        ],
    )
    def test_gain(
        self, cards: dict[str, Any], comments: dict[str, str], expected: float | None
    ) -> None:
        """Electrons per unit, never the number of a camera's setting."""
        assert facts_of(comments, **cards).gain_e_per_adu == expected

    @pytest.mark.parametrize(
        ("highest", "expected"), [(4095, 4095), (4000, 4095), (16_380, 16_383), (65_526, 65_535)]
    )
    def test_saturation_is_the_converters_full_scale(
        self, tmp_path: Path, highest: int, expected: float
    ) -> None:
        """12 bits in a 16-bit file saturate at 4095."""
        data = np.full((40, 40), 300, np.uint16)
        data[5, 5] = highest
        assert read(tmp_path, data).saturation_adu == expected

    def test_a_stated_saturation_wins(self, tmp_path: Path) -> None:
        """As the FITS standard's SATURATE has it."""
        assert read(tmp_path, SATURATE=3000.0).saturation_adu == 3000.0

    def test_a_bayer_image_is_summed_by_cells(self, tmp_path: Path) -> None:
        """Each pixel has seen red, green twice, and blue; the peak remembers the highest."""
        frame = read(tmp_path, BAYERPAT="GRBG")
        assert frame.shape == (32, 40)
        assert frame.data[0, 0] == PIXELS[:2, :2].sum()
        assert frame.peak[0, 0] == PIXELS[1, 1]
        assert frame.to_file_px(0.0, 1.0) == (0.5, 2.5)

    def test_a_bayer_images_wcs_follows_its_cells(self, tmp_path: Path) -> None:
        """The same sky lies under the same light."""
        cards = {
            "CTYPE1": "RA---TAN",
            "CTYPE2": "DEC--TAN",
            "CRVAL1": 10.0,
            "CRVAL2": 20.0,
            "CRPIX1": 40.5,
            "CRPIX2": 32.5,
            "CDELT1": -0.001,
            "CDELT2": 0.001,
        }
        raw = read(tmp_path, **cards)
        folded = read(tmp_path, **cards, BAYERPAT="RGGB")
        assert raw.wcs is not None
        assert folded.wcs is not None
        x, y = folded.to_file_px(3.0, 5.0)
        found = np.array(folded.wcs.all_pix2world(3.0, 5.0, 0))
        assert found == pytest.approx(np.array(raw.wcs.all_pix2world(x, y, 0)), abs=1e-9)

    def test_pixels_without_a_number_are_filled_and_count_as_saturated(
        self, tmp_path: Path
    ) -> None:
        """So that no star on them is trusted."""
        data = np.full((40, 40), 7.0, np.float32)
        data[3, 4] = np.nan
        frame = read(tmp_path, data)
        assert frame.data[3, 4] == 7.0
        assert frame.peak[3, 4] == np.inf


class TestFiles:
    """All forms of file, and none that is no image."""

    def test_the_image_is_found_in_all_forms_of_file(self, tmp_path: Path) -> None:
        """Plain, gzipped, compressed inside; mono cubes and colour planes too."""
        plain = write_fits(tmp_path / "plain.fit", PIXELS)
        zipped = tmp_path / "zipped.fits.gz"
        zipped.write_bytes(gzip.compress(plain.read_bytes()))
        packed = tmp_path / "packed.fits.fz"
        with fits.open(plain) as hdus:
            inner = fits.CompImageHDU(PIXELS, hdus[0].header, compression_type="RICE_1")
            fits.HDUList([fits.PrimaryHDU(), inner]).writeto(packed)
        cube = write_fits(tmp_path / "cube.fts", PIXELS[None])
        for path in (plain, zipped, packed, cube):
            assert (read_frame(path).data == PIXELS).all()
        colour = write_fits(tmp_path / "colour.fits", np.stack([PIXELS] * 3))
        assert (read_frame(colour).data == 3.0 * PIXELS).all()

    @pytest.mark.parametrize("shape", [(10, 10), (5, 64, 80), (2, 3, 64, 80)])
    def test_what_is_no_image_is_refused(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        """Too small, or too many dimensions."""
        with pytest.raises(UnreadableFrame, match="instead of one image"):
            read(tmp_path, np.zeros(shape, np.uint8))

    def test_a_table_is_refused(self, tmp_path: Path) -> None:
        """A file may be FITS and hold no image."""
        table = fits.BinTableHDU.from_columns([fits.Column("x", "E", array=np.zeros(9))])
        table.writeto(tmp_path / "table.fits")
        with pytest.raises(UnreadableFrame, match="holds no image"):
            read_frame(tmp_path / "table.fits")

    def test_a_truncated_frame_is_refused_before_it_is_read(self, tmp_path: Path) -> None:
        """With the sentence that names the sizes."""
        path = tmp_path / "cut.fits.fz"
        path.write_bytes(REAL_FRAME.read_bytes()[:200_000])
        with pytest.raises(TruncatedFrame, match="the end is missing"):
            read_frame(path)

    @given(st.lists(st.tuples(st.integers(0, 2879), st.integers(0, 255)), min_size=1, max_size=4))
    def test_damaged_headers_raise_nothing_but_frame_errors(
        self, tmp_path: Path, flips: list[tuple[int, int]]
    ) -> None:
        """Whatever bytes a card may hold."""
        path = write_fits(tmp_path / "damaged.fits", PIXELS, RA=1.0, DEC=2.0, OBJECT="Star")
        raw = bytearray(path.read_bytes())
        for position, value in flips:
            raw[position] = value
        path.write_bytes(raw)
        try:
            frame = read_frame(path)
        except FrameError:
            return
        assert np.isfinite(frame.data).all()

    @pytest.mark.parametrize("seed", range(6))
    def test_damaged_compressed_data_raise_nothing_but_frame_errors(
        self, tmp_path: Path, seed: int
    ) -> None:
        """A decompressor has exceptions of its own."""
        raw = bytearray(REAL_FRAME.read_bytes())
        rng = np.random.default_rng(seed)
        for position in rng.integers(8640, len(raw), 30):
            raw[position] = rng.integers(0, 256)
        path = tmp_path / "damaged.fits.fz"
        path.write_bytes(raw)
        try:
            read_frame(path)
        except UnreadableFrame:
            return


def test_the_committed_frame_tells_nothing_of_its_owner() -> None:
    """No site, no observer, no serial number."""
    header = fits.getheader(REAL_FRAME, 1)
    told = {key for key in header if key.startswith(("SITE", "OBSERV", "TELESC", "CAMSER", "TASK"))}
    assert not told
    assert read_frame(REAL_FRAME).facts.site is None

"""Headers such as MicroObservatory's: local time, a position in any spelling, no solution."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits
from tests.support.scenes import MORE_FRAMES, write_scene

from boundless_skies.node.fits.frame import read_frame
from boundless_skies.node.fits.headers import read_facts
from boundless_skies.node.photometry.photometer import Photometer
from boundless_skies.node.photometry.settings import PhotometrySettings
from boundless_skies.sky import Site, bjd_tdb

MIDDLE = dt.datetime(2017, 12, 20, 1, 34, 13, 317_000, tzinfo=dt.UTC)


def facts_of(**cards: Any) -> Any:
    """Read the facts of a header; a pair is a value with its comment."""
    header = fits.Header()
    for key, value in ({"EXPTIME": "060.00"} | cards).items():
        header[key] = value
    return read_facts(header)


@pytest.mark.parametrize(
    "cards",
    [
        {"DATE-OBS": "2017-12-19T18:33:43.317-0700"},
        {"DATE-OBS": "2017-12-19T18:33:43.317-07:00"},
        {"DATE-OBS": "2017-12-20T07:03:43.317+05:30"},
        {"DATE-OBS": "2017-12-19 18:33:43.317 -0700"},
        {"DATE-OBS": "2017-12-20T01:33:43.317Z"},
        {"DATE-OBS": "2017-12-19T18:33:43.317", "UT-OBS": "2017-12-20T01:33:43.317-0000"},
        {"DATE-OBS": "2017-12-20T01:33:43.317", "UT-OBS": "01:33:43.317"},
        {"DATE-OBS": "2017-12-20", "UT-OBS": "01:33:43.317"},
    ],
)
def test_local_time_becomes_utc(cards: dict[str, Any]) -> None:
    """By its offset, or by the UT that stands beside it; across midnight too."""
    assert facts_of(**cards).mid_exposure_utc == MIDDLE


@pytest.mark.parametrize(
    "cards",
    [
        {"RA": 31.312099, "DEC": 46.769087},
        {"RA": "31.312099", "DEC": "+46.769087"},
        {"RA": (31.312099, "02:05.25 Right Ascension"), "DEC": (46.769087, "+46:46.15")},
        {"RA": (2.0874733, "[hours] Right Ascension"), "DEC": 46.769087},
        {"RA": (2.0874733, "[h] Right Ascension"), "DEC": 46.769087},
        {"RA": (2.0874733, "RA in hrs"), "DEC": 46.769087},
        {"RA": "02:05:14.90", "DEC": "+46:46:08.7"},
        {"RA": "02 05 14.90", "DEC": "+46 46 08.7"},
        {"RA": "2h05m14.90s", "DEC": "+46d46m08.7s"},
        {"RA": "02:05.2484", "DEC": "+46:46.145"},
    ],
)
def test_a_position_in_degrees_hours_or_parts(cards: dict[str, Any]) -> None:
    """All of them the same place, to 2″."""
    assert facts_of(**cards).position_deg == pytest.approx((31.312099, 46.769087), abs=5e-4)


def test_an_h_within_a_word_makes_no_hours() -> None:
    """A number alone is in degrees."""
    for comment in ("J2000 right ascension", "[deg] of the mount head"):
        assert facts_of(RA=(31.3, comment), DEC=46.8).position_deg == (31.3, 46.8)


def test_a_frame_in_local_time_with_hours_is_measured(tmp_path: Path) -> None:
    """From header to point, without a solution in the header."""
    changes = {
        "DATE-OBS": "2026-07-01T14:59:55.000-0700", "RA": "20:00:00.0", "DEC": "+35:00:00",
        "FILTER": "Clear", "FOCALLEN": None, "XPIXSZ": None, "IM_SCALE": 4.78,
    }  # fmt: skip
    point = Photometer(PhotometrySettings()).measure(
        write_scene(tmp_path / "a.fits", changes=changes)
    )
    when = dt.datetime(2026, 7, 1, 22, tzinfo=dt.UTC)
    assert point.measurement.bjd == pytest.approx(bjd_tdb(when, 300.0, 35.0, None), abs=1e-8)
    assert point.measurement.magnitude == pytest.approx(10.5, abs=0.03)
    assert point.measurement.filter == "CV"


@pytest.mark.frames
@pytest.mark.skipif(not MORE_FRAMES.exists(), reason="the frames beside the project are absent")
class TestRealFrames:
    """What telescopes wrote."""

    def test_microobservatory(self) -> None:
        """Local time, degrees, a longitude counted westward, no solution."""
        frame = read_frame(MORE_FRAMES / "hat-p-32" / "HATP-32171220013343.fits.fz")
        facts = frame.facts
        assert facts.mid_exposure_utc == MIDDLE
        assert facts.exposure_s == 60.0
        assert facts.position_deg == pytest.approx((31.312099, 46.769087))
        assert facts.scales_arcsec_px == (5.21,)
        assert facts.site == Site(31.68, -110.88, 0.0)
        assert facts.object_name == "HATP-32"
        assert (frame.wcs, frame.channel, frame.cell_px) == (None, None, 1)
        assert frame.saturation_adu == 4095
        assert frame.shape == (500, 650)

    def test_every_frame_of_the_night_tells_the_time_of_its_name(self) -> None:
        """The name holds the start in UT, to the second."""
        paths = sorted((MORE_FRAMES / "hat-p-32").glob("*.fits.fz"))
        assert len(paths) == 48
        for path in paths:
            stamp = path.name[len("HATP-32") :][:12]
            start = dt.datetime.strptime(stamp, "%y%m%d%H%M%S").replace(tzinfo=dt.UTC)
            facts = read_facts(fits.getheader(path, 1))
            assert facts.mid_exposure_utc is not None
            late_s = (facts.mid_exposure_utc - start).total_seconds() - 30.0
            assert 0.0 <= late_s < 1.0

    @pytest.mark.parametrize("channel", ["luminance", "green", "red", "blue"])
    def test_seestar(self, channel: str) -> None:
        """A raw Bayer frame; the sky through its filters is not equally bright."""
        path = MORE_FRAMES / "seestar" / "Light_M_94_10.0s_IRCUT_20250326-212046.fit.fz"
        frame = read_frame(path, channel)
        assert frame.shape == (960, 540)
        assert frame.channel == channel
        assert frame.facts.bayer_pattern == "GRBG"
        assert frame.facts.position_deg == pytest.approx((193.04166, 40.970556))
        assert frame.facts.gain_e_per_adu == pytest.approx(0.07)
        assert frame.wcs is None

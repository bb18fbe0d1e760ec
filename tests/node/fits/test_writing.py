"""Frames that the node takes itself: whole on the disk, and read back as they were written."""

import datetime as dt
import os
import re
import warnings
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.disks import small_disk

from boundless_skies.node.devices.capabilities import Exposure
from boundless_skies.node.fits.frame import read_frame, read_image
from boundless_skies.node.fits.headers import read_camera
from boundless_skies.node.fits.writing import (
    FrameFacts,
    FrameNotWritten,
    frame_file_name,
    frame_header,
    plain,
    remove_unfinished,
    write_frame,
)
from boundless_skies.sky import Site

START = dt.datetime(2026, 3, 1, 2, 14, 5, 250_000, tzinfo=dt.UTC)
PIXELS = np.random.default_rng(3).integers(0, 65_536, (40, 64)).astype(np.uint16)
EXPOSURE = Exposure(
    pixels=PIXELS,
    start_utc=START,
    mid_utc=START + dt.timedelta(seconds=5.0),
    exposure_s=10.0,
    gain_e_per_adu=0.8,
    gain_setting=80,
    offset=12,
    temperature_c=-9.5,
    pixel_size_um=2.9,
    bayer_pattern="GRBG",
    saturation_adu=65_535,
    camera="ZWO Seestar S50",
    filter_name="CV",
)
FACTS = FrameFacts(
    object_name="SS Cyg",
    ra_deg=325.5,
    dec_deg=43.25,
    target_ra_deg=325.679,
    target_dec_deg=43.586,
    site=Site(52.52, 13.4, 34.0),
    telescope="Seestar S50",
    focal_length_mm=250.0,
    plan_id="plan-7",
    item_id="item-2",
    number=3,
)


def written(tmp_path: Path, exposure: Exposure = EXPOSURE, facts: FrameFacts = FACTS) -> Path:
    """Write a frame."""
    path = tmp_path / "frame.fits"
    write_frame(path, exposure, facts)
    return path


def test_reader_gives_back_the_facts(tmp_path: Path) -> None:
    """What a frame is written with, the node's own reader finds in it."""
    frame = read_frame(written(tmp_path))
    facts = frame.facts
    assert facts.mid_exposure_utc == EXPOSURE.mid_utc
    assert facts.exposure_s == EXPOSURE.exposure_s
    assert (facts.filter_name, facts.object_name) == ("CV", "SS Cyg")
    assert facts.instrument == "ZWO Seestar S50"
    assert facts.position_deg == pytest.approx((325.679, 43.586), abs=1e-5)
    assert facts.scales_arcsec_px == pytest.approx((2.3927,), abs=1e-3)
    assert facts.gain_e_per_adu == 0.8
    assert facts.saturation_adu == 65_535
    assert facts.bayer_pattern == "GRBG"
    assert facts.site is not None
    assert astuple(facts.site) == pytest.approx((52.52, 13.4, 34.0))


def test_calibration_finds_how_the_camera_was_set(tmp_path: Path) -> None:
    """Darks are matched by gain, temperature and length, which all survive the file."""
    _, header = read_image(written(tmp_path))
    camera = read_camera(header)
    assert (camera.exposure_s, camera.temperature_c, camera.gain_setting) == (10.0, -9.5, 80.0)


def test_pixels_are_the_same(tmp_path: Path) -> None:
    """Each pixel of 16 bits, 0 and 65535 among them, comes back in its place."""
    pixels = PIXELS.copy()
    pixels[0, 0], pixels[-1, 0] = 0, 65_535
    path = written(tmp_path, replace(EXPOSURE, pixels=pixels, bayer_pattern=None))
    again, _ = read_image(path)
    assert np.array_equal(again, pixels)


def test_file_is_standard_fits(tmp_path: Path) -> None:
    """Astropy verifies the file without a word, checksums included, and its size is blocks."""
    path = written(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(path, checksum=True) as hdus:
            hdus.verify("exception")
            header = hdus[0].header
    assert path.stat().st_size % 2880 == 0
    assert header["DATE-OBS"] == "2026-03-01T02:14:05.250000"
    assert header["DATE-AVG"] == "2026-03-01T02:14:10.250000"
    assert (header["RA"], header["DEC"], header["TIMESYS"]) == (325.5, 43.25, "UTC")
    assert (header["PLANID"], header["ITEMID"], header["EXPNUM"]) == ("plan-7", "item-2", 3)
    assert re.fullmatch(r"Boundless Skies \d.*", header["SWCREATE"])


def test_binned_pixels_are_larger(tmp_path: Path) -> None:
    """The file says the size of its own pixels, and the reader takes that scale first."""
    path = written(tmp_path, replace(EXPOSURE, binning=2, bayer_pattern=None))
    assert fits.getheader(path)["XPIXSZ"] == pytest.approx(5.8)
    assert read_frame(path).facts.scales_arcsec_px[0] == pytest.approx(4.7853, abs=1e-3)


def test_unknown_facts_are_left_out() -> None:
    """What nobody knows has no card, rather than an empty one or a zero."""
    bare = Exposure(pixels=PIXELS, start_utc=START, mid_utc=START, exposure_s=0.0)
    header = frame_header(replace(bare, temperature_c=float("nan")), FrameFacts())
    known = {"DATE-OBS", "DATE-AVG", "TIMESYS", "EXPTIME", "IMAGETYP", "XBINNING", "YBINNING"}
    assert set(header) == known | {"ROWORDER", "SWCREATE"}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Größe Ä", "Grosse A"),
        ("δ Cep", "delta Cep"),
        ("星", "?"),
        ("R\nCrB\t", "R CrB"),
        ("x" * 200, "x" * 68),
        ("'" * 100, "'" * 34),
    ],
)
def test_names_fit_into_a_card(tmp_path: Path, name: str, shown: str) -> None:
    """Umlauts, Greek letters, other scripts, line ends and long names break no header."""
    path = written(tmp_path, facts=replace(FACTS, object_name=name, plan_id=name))
    header = fits.getheader(path)
    assert header["OBJECT"] == header["PLANID"] == shown


@settings(max_examples=60)
@given(st.text(max_size=120))
def test_any_text_can_stand_in_a_header(text: str) -> None:
    """Whatever a plan calls its target, the card holds it and gives it back."""
    card = fits.Card("OBJECT", plain(text))
    assert fits.Card.fromstring(card.image).value == plain(text)
    assert len(card.image) == 80


@settings(max_examples=60)
@given(ra=st.floats(0, 360, exclude_max=True), dec=st.floats(-90, 90))
def test_target_survives_its_sexagesimal_form(ra: float, dec: float) -> None:
    """No second is 60 and no sign gets lost: -0 degrees and a half stay south."""
    header = frame_header(EXPOSURE, replace(FACTS, target_ra_deg=ra, target_dec_deg=dec))
    hours = [float(part) for part in header["OBJCTRA"].split()]
    degrees = [abs(float(part)) for part in header["OBJCTDEC"].split()]
    assert hours[0] < 24.0
    assert max(hours[1:] + degrees[1:]) < 60.0
    sign = -1.0 if header["OBJCTDEC"].startswith("-") else 1.0
    back_ra = 15.0 * (hours[0] + hours[1] / 60 + hours[2] / 3600)
    apart_deg = abs(back_ra - ra)
    assert min(apart_deg, 360.0 - apart_deg) < 5e-6
    assert abs(sign * (degrees[0] + degrees[1] / 60 + degrees[2] / 3600) - dec) < 5e-6


def test_full_disk_leaves_one_line_and_no_half_file(tmp_path: Path) -> None:
    """A full disk is told in one line, and nothing that looks like a frame is left on it."""
    with small_disk(tmp_path / "disk", 1_000_000) as disk:
        disk.fill(but_bytes=4_096)
        path = disk.root / "frame.fits"
        exposure = replace(EXPOSURE, pixels=np.zeros((200, 200), np.uint16))
        with pytest.raises(FrameNotWritten) as caught:
            write_frame(path, exposure, FACTS)
        assert [entry.name for entry in disk.root.iterdir()] == ["filler"]
    assert str(caught.value) == (
        f"The frame frame.fits could not be written to {disk.root}: the disk is full. "
        "Make room on it."
    )


def test_failed_write_keeps_the_frame_that_was_there(tmp_path: Path) -> None:
    """A frame that is on the disk is replaced by a whole one or not at all."""
    with small_disk(tmp_path / "disk", 1_000_000) as disk:
        path = disk.root / "frame.fits"
        write_frame(path, EXPOSURE, FACTS)
        before = path.read_bytes()
        disk.fill(but_bytes=4_096)
        with pytest.raises(FrameNotWritten):
            write_frame(path, replace(EXPOSURE, pixels=np.zeros((200, 200), np.uint16)), FACTS)
        assert path.read_bytes() == before


def test_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content is synced before the rename, and the folder after it."""
    steps: list[str] = []
    sync, rename = os.fsync, Path.replace

    def note_sync(descriptor: int) -> None:
        kind = "folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file"
        steps.append(f"sync {kind}")
        sync(descriptor)

    def note_rename(self: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_rename)
    write_frame(tmp_path / "a" / "frame.fits", EXPOSURE, FACTS)
    assert steps == ["sync file", "rename", "sync folder"]


def test_left_overs_of_a_power_cut_are_removed(tmp_path: Path) -> None:
    """A write that never ended leaves a hidden file, which is swept away; frames stay."""
    frame = written(tmp_path)
    (tmp_path / ".frame-0a1b2c3d.part").write_bytes(b"half")
    assert remove_unfinished(tmp_path) == 1
    assert list(tmp_path.iterdir()) == [frame]


def test_file_names_are_the_same_for_the_same_exposure_only() -> None:
    """A restarted node finds its files; names of any letters stay apart and short."""
    long_ids = ("p" * 200, "i" * 200)
    assert frame_file_name("δ Cep", *long_ids, 7) == frame_file_name("δ Cep", *long_ids, 7)
    names = {
        frame_file_name("δ Cep", *long_ids, 7),
        frame_file_name("δ Cep", *long_ids, 8),
        frame_file_name("δ Cep", long_ids[0], "i" * 199 + "j", 7),
        frame_file_name("δ Cep", "../../etc/passwd", "ä/ö", 7),
        frame_file_name("", "a", "bc", 1),
        frame_file_name("", "ab", "c", 1),
    }
    assert len(names) == 6
    assert all(re.fullmatch(r"[A-Za-z0-9+_][A-Za-z0-9._+-]{1,119}\.fits", name) for name in names)

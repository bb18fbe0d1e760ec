"""The finding chart: what it shows lies where it says."""

import re
from pathlib import Path

import numpy as np
import pytest
from astropy.wcs import WCS
from tests.node.night.curves import pixels, places_of, text_chunks
from tests.support.scenes import write_scene

from boundless_skies.node.night.chart_subject import (
    ChartStar,
    ChartSubject,
    sexagesimal_degrees,
    sexagesimal_hours,
    subject_of,
)
from boundless_skies.node.night.drawing import BLUE, GREEN, RED
from boundless_skies.node.night.finding_chart import draw_chart
from boundless_skies.node.night.run import MeasuredFrame
from boundless_skies.node.night.sky_plane import SkyPlane, direction
from boundless_skies.node.photometry.aperture import Aperture
from boundless_skies.node.photometry.photometer import Photometer
from boundless_skies.node.photometry.settings import PhotometrySettings

RA_DEG, DEC_DEG = 30.0, 60.0
SIDE_PX, ARCSEC_PX = 400, 3.0
SHEET = (slice(20, 880), slice(20, 880))
ORIENTATIONS = [(0.0, 1), (35.0, 1), (35.0, -1), (180.0, 1), (-100.0, -1)]


def wcs_of(turned_deg: float, parity: int) -> WCS:
    """Make a solution of a camera that is turned, and mirrored where parity is -1."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [RA_DEG, DEC_DEG]
    wcs.wcs.crpix = [200.5, 200.5]
    turn = np.radians(turned_deg)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    wcs.wcs.cd = rotation @ np.diag([-parity, 1]) * ARCSEC_PX / 3600
    return wcs


def star_at(east: float, north: float, **others: object) -> ChartStar:
    """Make a star so many arcminutes from the target (near enough, within some arcminutes)."""
    ra_deg = RA_DEG + east / 60 / np.cos(np.radians(DEC_DEG))
    return ChartStar(
        ra_deg=float(ra_deg), dec_deg=DEC_DEG + north / 60, magnitude=11.34, band="V", **others
    )


def scene(wcs: WCS, *stars: ChartStar, drawn: tuple[ChartStar, ...] | None = None) -> ChartSubject:
    """Make a frame that shows the stars (and the target) as bright spots."""
    image = np.random.default_rng(3).normal(0.0, 1.0, (SIDE_PX, SIDE_PX))
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    places = [(RA_DEG, DEC_DEG), *((star.ra_deg, star.dec_deg) for star in stars)]
    for ra_deg, dec_deg in places:
        star_x, star_y = wcs.all_world2pix(ra_deg, dec_deg, 0)
        image += 3_000 * np.exp(-((x - star_x) ** 2 + (y - star_y) ** 2) / 2 / 1.5**2)
    target_x, target_y = wcs.all_world2pix(RA_DEG, DEC_DEG, 0)
    return ChartSubject(
        image=image.astype(np.float32),
        plane=SkyPlane.of(wcs, RA_DEG, DEC_DEG, SIDE_PX, SIDE_PX),
        target_xy=(float(target_x), float(target_y)),
        aperture=Aperture(5.0, 11.0, 18.0),
        fwhm_px=3.5,
        name="V1",
        facts=("a fact",),
        magnitude=10.2,
        source="a.fits",
        stars=stars if drawn is None else drawn,
    )


def middle_of(picture: np.ndarray, colour: str) -> tuple[float, float]:
    """Return the middle (x, y upwards) of a circle of a colour on the sheet."""
    rows, columns = places_of(picture[SHEET], colour, 0.06)
    return (columns.min() + columns.max()) / 2, 860 - (rows.min() + rows.max()) / 2


@pytest.mark.parametrize(("turned_deg", "parity"), ORIENTATIONS)
def test_north_is_up_and_east_is_left_however_the_camera_stood(
    tmp_path: Path, turned_deg: float, parity: int
) -> None:
    """A star 4′ north and 2′ east of the target is drawn above it and to the left."""
    subject = scene(wcs_of(turned_deg, parity), star_at(2.0, 4.0))
    told = draw_chart(subject, tmp_path / "k.png")
    picture = pixels(tmp_path / "k.png")
    dark = np.argwhere(picture[SHEET].max(axis=2) < 0.12)
    # Without the compass and the bar along the lower edge.
    dark = dark[dark[:, 0] < 740]
    target = dark[dark[:, 1] > dark[:, 1].mean()].mean(axis=0)
    star = dark[dark[:, 1] < dark[:, 1].mean()].mean(axis=0)
    px_arcmin = 860 / float(re.search(r"white, (\d+) arcmin", told)[1])
    assert (target[0] - star[0]) / px_arcmin == pytest.approx(4.0, abs=0.2)
    assert (target[1] - star[1]) / px_arcmin == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize(("turned_deg", "parity"), ORIENTATIONS)
def test_circles_lie_on_their_stars(tmp_path: Path, turned_deg: float, parity: int) -> None:
    """Blue ones, and green for the check star; as large as the aperture."""
    comparison, check = star_at(-3.0, 2.0), star_at(3.0, -2.0, is_check=True, name="K")
    draw_chart(scene(wcs_of(turned_deg, parity), comparison, check), tmp_path / "k.png")
    picture = pixels(tmp_path / "k.png")[SHEET]
    px_arcmin = 860 / 12  # the smallest field, which holds all three, around the target
    for colour, east, north in ((BLUE, -3.0, 2.0), (GREEN, 3.0, -2.0)):
        rows, columns = places_of(picture, colour, 0.06)
        place = (430 - east * px_arcmin, 430 - north * px_arcmin)
        distance_px = np.hypot(columns - place[0], rows - place[1])
        ring = distance_px[distance_px < 22]
        assert ring.mean() == pytest.approx(5.0 * ARCSEC_PX / 60 * px_arcmin, abs=1.0)
        assert len(ring) > 60


def test_description_says_what_is_where(tmp_path: Path) -> None:
    """And stands in the file, as text that every reader of PNG knows."""
    nearest, other = star_at(0.0, 4.0, name="TYC 9"), star_at(-8.0, 0.0)
    check = star_at(3.0, -3.0, is_check=True, name="K")
    told = draw_chart(scene(wcs_of(20.0, 1), nearest, other, check), tmp_path / "k.png")
    assert text_chunks(tmp_path / "k.png")["Description"] == told
    assert "Blue circles mark 2 comparison stars of magnitude 11.3 to 11.3" in told
    assert "the nearest is TYC 9, magnitude 11.3, 4.0 arcmin north of the target" in told
    assert "check star, in green, is K, magnitude 11.3, 4.2 arcmin south-east of the target" in told
    assert "aperture, 15 arcsec in radius, and the ring of sky from 33 to 54 arcsec" in told


def test_enlarged_part_shows_circle_and_ring(tmp_path: Path) -> None:
    """Their sizes are to each other as they were measured."""
    draw_chart(scene(wcs_of(0.0, 1)), tmp_path / "k.png")
    inset = pixels(tmp_path / "k.png")[20:270, 1330:1580]
    (rows, _), (ring_rows, _) = places_of(inset, RED, 0.06), places_of(inset, BLUE, 0.06)
    assert np.ptp(ring_rows) / np.ptp(rows) == pytest.approx(18.0 / 5.0, rel=0.05)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(125, abs=2)


def test_chart_without_stars_says_so(tmp_path: Path) -> None:
    """The target is shown all the same."""
    assert "No comparison stars are marked." in draw_chart(
        scene(wcs_of(0.0, 1)), tmp_path / "k.png"
    )
    x, y = middle_of(pixels(tmp_path / "k.png"), RED)
    assert (x, y) == pytest.approx((430, 430), abs=40)


def test_measured_frame_is_charted_where_the_target_is(tmp_path: Path) -> None:
    """The target's centroid is the middle of the plane, within the solution's error."""
    path = write_scene(tmp_path / "a.fits")
    photometer = Photometer(PhotometrySettings())
    exposure = photometer.expose(path)
    found = photometer.measure_exposure(exposure)
    subject = subject_of(MeasuredFrame(path=path, exposure=exposure, found=found))
    assert subject.plane.from_pixels(*subject.target_xy) == pytest.approx((0, 0), abs=0.05)
    assert subject.plane.arcmin_px * 60 == pytest.approx(exposure.scale_arcsec_px, rel=1e-3)
    assert subject.source == "a.fits"
    told = found.to_dict()
    aperture = subject.aperture
    assert [aperture.inner_px, aperture.outer_px] == pytest.approx(told["annulus_px"], abs=0.01)
    checks = [star for star in subject.stars if star.is_check]
    assert [star.name for star in checks] == [told["check_star"]["name"]]
    others = {(star.ra_deg, star.dec_deg) for star in subject.stars if not star.is_check}
    assert others == {(star.ra_deg, star.dec_deg) for star in found.comparisons}
    assert "2026-07-01 22:00 UTC" in subject.facts[1]
    assert draw_chart(subject, tmp_path / "k.png").startswith("Finding chart of ")


def test_plane_counts_arcminutes_from_the_target() -> None:
    """Also across right ascension 0, and of a frame that is mirrored."""
    for turned_deg, parity in ORIENTATIONS:
        wcs = wcs_of(turned_deg, parity)
        wcs.wcs.crval = [0.01, 10.0]
        plane = SkyPlane.of(wcs, 359.99, 10.0, SIDE_PX, SIDE_PX)
        assert plane.from_sky(0.01, 10.0) == pytest.approx(
            (1.2 * np.cos(np.radians(10)), 0), abs=1e-3
        )
        assert plane.from_sky(359.99, 10.1) == pytest.approx((0, 6.0), abs=1e-3)


@pytest.mark.parametrize(
    ("east", "north", "way"),
    [
        (0, 1, "north"),
        (1, 1, "north-east"),
        (1, 0, "east"),
        (-1, -1, "south-west"),
        (-1, 0.1, "west"),
    ],
)
def test_directions_are_those_of_the_sky(east: float, north: float, way: str) -> None:
    """Counted from north over east."""
    assert direction(east, north) == way


def test_positions_are_written_in_full() -> None:
    """Rounding carries on, and a small negative declination keeps its sign."""
    assert sexagesimal_hours(31.04275) == "02h 04m 10.3s"
    assert sexagesimal_hours(359.99999) == "00h 00m 00.0s"
    assert sexagesimal_degrees(46.68783) == "+46° 41′ 16″"
    assert sexagesimal_degrees(-0.5) == "−00° 30′ 00″"
    assert sexagesimal_degrees(59.99999) == "+60° 00′ 00″"

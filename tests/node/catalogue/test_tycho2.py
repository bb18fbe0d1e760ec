"""The packed catalogue."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.catalogue.tycho2 import BUNDLED, pack, separation_deg

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def scattered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalogue, np.ndarray]:
    """20,000 stars all over the sky, packed, and as they were."""
    rng = np.random.default_rng(7)
    ra = rng.uniform(0.0, 360.0, 20_000)
    dec = np.degrees(np.arcsin(rng.uniform(-1.0, 1.0, 20_000)))
    mag = rng.uniform(-1.0, 14.0, 20_000)
    path = tmp_path_factory.mktemp("catalogue") / "scattered.bin"
    path.write_bytes(pack(ra, dec, mag))
    return Catalogue.load(path), np.array([ra, dec, mag])


@given(
    ra_deg=st.one_of(st.floats(0.0, 359.999), st.sampled_from([0.0, 1e-9, 359.9999])),
    dec_deg=st.one_of(st.floats(-90.0, 90.0), st.sampled_from([-90.0, -0.0, 0.25, 90.0])),
    radius_deg=st.floats(0.01, 12.0),
)
def test_cone_holds_the_stars_within_and_no_others(
    scattered: tuple[Catalogue, np.ndarray], ra_deg: float, dec_deg: float, radius_deg: float
) -> None:
    """Also over the poles, over 0 h and over the zones' edges, to 0.2″."""
    catalogue, (ra, dec, _) = scattered
    apart = separation_deg(ra, dec, ra_deg, dec_deg)
    rounding_deg = 0.2 / 3600
    found = len(catalogue.cone(ra_deg, dec_deg, radius_deg))
    surely, perhaps = (apart < radius_deg - rounding_deg), (apart < radius_deg + rounding_deg)
    assert surely.sum() <= found <= perhaps.sum()


def test_packing_keeps_positions_and_magnitudes(
    scattered: tuple[Catalogue, np.ndarray],
) -> None:
    """0.1″ and half a millimagnitude."""
    catalogue, (ra, dec, mag) = scattered
    for index in range(0, len(ra), 2000):
        star = catalogue.cone(ra[index], dec[index], 0.2 / 3600)
        assert star.mag[0] == pytest.approx(mag[index], abs=6e-4)


def test_stars_come_brightest_first_and_down_to_the_limit(
    scattered: tuple[Catalogue, np.ndarray],
) -> None:
    """So that a caller can take the first few."""
    stars = scattered[0].cone(100.0, 20.0, 10.0, mag_limit=9.0)
    assert len(stars) > 5
    assert (np.diff(stars.mag) >= 0).all()
    assert stars.mag.max() <= 9.0


def test_an_empty_place_gives_no_stars(scattered: tuple[Catalogue, np.ndarray]) -> None:
    """Empty arrays, not an error."""
    assert len(scattered[0].cone(10.0, 10.0, 1e-6)) == 0


def test_the_bundled_catalogue_is_tycho_2() -> None:
    """Its size, and stars that we know: HAT-P-32 and T Sex."""
    catalogue = Catalogue.load()
    assert len(catalogue) == 1_871_011
    hat_p_32 = catalogue.cone(31.04275, 46.68783, 2.0 / 3600)
    t_sex = catalogue.cone(148.36838, 2.05733, 2.0 / 3600)
    assert hat_p_32.mag == pytest.approx([11.48], abs=0.01)
    assert t_sex.mag == pytest.approx([10.02], abs=0.01)


def test_the_bundled_catalogue_covers_the_whole_sky() -> None:
    """Any square of a few degrees holds stars enough to solve and calibrate on."""
    catalogue = Catalogue.load()
    for ra_deg, dec_deg in [(0, 0), (192.9, 27.1), (12.9, -27.1), (0, 90), (0, -90), (266, -29)]:
        assert len(catalogue.cone(ra_deg, dec_deg, 1.0)) > 30


def test_the_bundled_file_is_small_and_names_its_source() -> None:
    """At most 20 MB; source and licence stand beside it."""
    assert BUNDLED.stat().st_size < 20 * MEGABYTE
    notice = (BUNDLED.parent / "NOTICE").read_text()
    assert "Tycho-2" in notice
    assert "Redistribution" in notice


def test_another_file_is_refused(tmp_path: Path) -> None:
    """A text file is no catalogue."""
    path = tmp_path / "other.bin"
    path.write_text("something else altogether")
    with pytest.raises(ValueError, match="no packed star catalogue"):
        Catalogue.load(path)


def test_a_cut_catalogue_is_refused(tmp_path: Path) -> None:
    """Half an installation shall not look like an empty sky."""
    path = tmp_path / "cut.bin"
    path.write_bytes(pack(np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([5.0, 6.0]))[:-3])
    with pytest.raises(ValueError, match="install the package again"):
        Catalogue.load(path)


def test_separation_is_right_near_the_pole() -> None:
    """Two degrees across the pole."""
    apart = separation_deg(np.array([180.0]), np.array([89.0]), 0.0, 89.0)
    assert math.isclose(apart[0], 2.0, abs_tol=1e-9)

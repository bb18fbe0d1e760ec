"""Which catalogue a night stands on, and what becomes of the magnitudes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.support.capture_server import Answer
from tests.support.catalogue_server import SkyServer, chart_star, sky_server
from tests.support.scenes import DEC_DEG, RA_DEG, write_scene
from tests.support.starfields import Observation, StarField

from boundless_skies.node.catalogue import Catalogue, Stars
from boundless_skies.node.catalogue.comparison_star import ComparisonStar
from boundless_skies.node.catalogue.online import networked
from boundless_skies.node.catalogue.online.services import Vsp
from boundless_skies.node.catalogue.online.vizier import Apass, Vsx
from boundless_skies.node.photometry.aperture import Aperture
from boundless_skies.node.photometry.comparison import choose, faintest_mag
from boundless_skies.node.photometry.photometer import FrameMeasurement, Photometer
from boundless_skies.node.photometry.settings import PhotometrySettings, Target

SHIFT_MAG = 0.25
"""How much fainter the servers list the stars than the bundled catalogue does."""


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render a frame of a target of magnitude 10.5."""
    return write_scene(tmp_path_factory.mktemp("catalogues") / "a.fits")


@pytest.fixture
def sky(monkeypatch: pytest.MonkeyPatch) -> Iterator[SkyServer]:
    """Run a server for VSP and APASS that lists the rendered stars, 0.25 mag fainter."""
    with sky_server() as server:
        stars = Catalogue.load().cone(RA_DEG, DEC_DEG, 1.5, mag_limit=11.5)
        rows = zip(stars.ra_deg.tolist(), stars.dec_deg.tolist(), stars.mag.tolist(), strict=True)
        for number, (ra, dec, mag) in enumerate(rows):
            listed = mag + SHIFT_MAG
            server.chart.append(chart_star(f"000-BBB-{number:03d}", ra, dec, {"V": (listed, 0.02)}))
            server.tables.setdefault("II/336/apass9", []).append(
                {"recno": number, "RAJ2000": ra, "DEJ2000": dec, "Vmag": listed, "e_Vmag": 0.02}
                | {"Bmag": listed + 0.7, "e_Bmag": 0.02}
            )
        services = {"vsp": lambda: Vsp(server.vsp_url), "apass": lambda: Apass(server.tap_url)}
        for name, make in services.items():
            monkeypatch.setitem(networked.SERVICES, name, make)
        monkeypatch.setattr(networked, "VARIABLES", lambda: Vsx(server.tap_url))
        yield server


def _measure(frame: Path, folder: Path, *wished: str, filter_name: str = "") -> FrameMeasurement:
    config = {
        "photometry": {
            "catalogues": list(wished),
            "catalogue_cache": str(folder),
            "filter_name": filter_name,
        }
    }
    return Photometer(PhotometrySettings.from_config(config)).measure(frame)


def test_the_first_wished_catalogue_ties_the_frame(
    sky: SkyServer, frame: Path, tmp_path: Path
) -> None:
    """The target is as much fainter as the catalogue's stars are; the report names them."""
    bundled = _measure(frame, tmp_path)
    assert sky.asked == 0
    found = _measure(frame, tmp_path, "vsp", "apass", "bundled")
    shift = found.measurement.magnitude - bundled.measurement.magnitude
    assert shift == pytest.approx(SHIFT_MAG, abs=0.01)
    assert found.provenance["catalogue"] == "AAVSO VSP"
    assert {star.band for star in found.comparisons} == {"V"}
    assert found.comparisons[0].name is not None
    assert found.comparisons[0].name.startswith("000-BBB")
    assert sky.asked == 2
    assert found.provenance["comparisons_dropped"] == []


def test_a_sequence_with_too_few_stars_gives_way(
    sky: SkyServer, frame: Path, tmp_path: Path
) -> None:
    """Three stars of the VSP in the frame hold no check star: APASS is taken whole."""
    del sky.chart[3:]
    found = _measure(frame, tmp_path, "vsp", "apass")
    assert found.provenance["catalogue"] == "APASS DR9"
    assert sky.asked == 3


def _list_in_vsx(sky: SkyServer, star: ComparisonStar, kind: str, flag: int = 0) -> None:
    sky.tables.setdefault("B/vsx/vsx", []).append(
        {"OID": 7, "Name": f"V{star.name}", "V": flag, "RAJ2000": star.ra_deg + 0.0005}
        | {"DEJ2000": star.dec_deg - 0.0005, "Type": kind, "max": star.magnitude}
    )


@pytest.mark.parametrize("wished", ["vsp", "apass"])
def test_a_star_that_vsx_lists_is_not_compared_with(
    sky: SkyServer, frame: Path, tmp_path: Path, wished: str
) -> None:
    """It is told with its type; one that VSX found constant stays, and so do all others."""
    before = _measure(frame, tmp_path / "without", wished)
    varies, suspected, constant, *_ = before.comparisons
    for star, kind, flag in ((varies, "EA", 0), (suspected, "", 1), (constant, "CST", 2)):
        _list_in_vsx(sky, star, kind, flag)
    found = _measure(frame, tmp_path / "with", wished)
    told = {entry["name"]: entry["why"] for entry in found.provenance["comparisons_dropped"]}
    assert told == {
        varies.name: f"AAVSO VSX: V{varies.name} (EA)",
        suspected.name: f"AAVSO VSX: V{suspected.name}",
    }
    kept = {star.name for star in found.comparisons}
    assert kept.isdisjoint(told)
    assert {star.name for star in before.comparisons} - kept <= set(told)
    assert constant.name in kept


def test_the_bundled_catalogue_asks_vsx_where_a_network_is_wished(
    sky: SkyServer, frame: Path, tmp_path: Path
) -> None:
    """Where no catalogue answers with enough stars, variables are left out all the same."""
    sky.chart.clear()
    before = _measure(frame, tmp_path / "without", "vsp")
    _list_in_vsx(sky, before.comparisons[0], "RRAB")
    found = _measure(frame, tmp_path / "with", "vsp")
    assert found.provenance["catalogue"] == "Tycho-2"
    (dropped,) = found.provenance["comparisons_dropped"]
    assert dropped["why"].endswith(" (RRAB)")
    assert before.comparisons[0] not in found.comparisons
    asked = sky.asked
    assert _measure(frame, tmp_path / "offline").provenance["comparisons_dropped"] == []
    assert sky.asked == asked


def test_without_a_network_the_night_goes_on(
    sky: SkyServer, frame: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The bundled catalogue gives the same as if nothing else had been wished."""
    sky.answer_always(Answer(503))
    found = _measure(frame, tmp_path, "vsp", "apass")
    assert found.provenance["catalogue"] == "Tycho-2"
    assert found.measurement == _measure(frame, tmp_path).measurement
    assert len(caplog.records) == 2


@pytest.mark.usefixtures("sky")
def test_a_blue_filter_stands_on_blue_magnitudes(frame: Path, tmp_path: Path) -> None:
    """B of APASS is 0.7 mag fainter than its V."""
    blue = _measure(frame, tmp_path, "apass", filter_name="B")
    clear = _measure(frame, tmp_path, "apass")
    assert {star.band for star in blue.comparisons} == {"B"}
    fainter = blue.measurement.magnitude - clear.measurement.magnitude
    assert fainter == pytest.approx(0.7, abs=0.01)


def test_what_stands_behind_bundled_is_not_asked(
    sky: SkyServer, frame: Path, tmp_path: Path
) -> None:
    """The bundled catalogue always answers."""
    assert _measure(frame, tmp_path, "bundled", "vsp").provenance["catalogue"] == "Tycho-2"
    assert sky.asked == 0


def test_a_deep_catalogue_is_cut_where_the_frame_ends() -> None:
    """A magnitude beyond the stars of a signal to noise of 20."""
    rng = np.random.default_rng(5)
    field = StarField.spread(rng, np.linspace(10.5, 15.0, 60), np.array([12.0]), apart_deg=0.012)
    exposure = field.expose(Observation(), rng)
    aperture = Aperture.around(4.0, 3.0)
    limit = faintest_mag(exposure, field.stars, aperture) - 1.0
    snr = exposure.fluxes(*exposure.places(field.stars), aperture).snr
    near_limit = np.abs(field.stars.mag - limit) < 0.3
    assert near_limit.sum() >= 5
    assert np.median(snr[near_limit]) == pytest.approx(20.0, rel=0.15)


def _listed(dec_deg: float, magnitude: float, bp_rp: float | None = None) -> ComparisonStar:
    return ComparisonStar(
        ra_deg=10.0, dec_deg=dec_deg, magnitude=magnitude, colour_bp_rp=bp_rp, catalogue="Gaia DR3"
    )


def test_faint_neighbours_of_a_deep_catalogue_still_count() -> None:
    """They are not chosen, but their light falls into the circle of those that could be."""
    known = [_listed(0.2, 10.0), _listed(0.2 + 2 / 3600, 12.5), _listed(0.4, 10.0)]
    nothing = Stars(np.empty(0), np.empty(0), np.empty(0))
    chosen = choose(known, nothing, Target("T", 10.0, 0.0), 6 / 3600, 1 / 3600, faint_mag=11.0)
    assert [star.dec_deg for star in chosen] == [0.4]


def test_gaia_s_stars_of_odd_colour_are_left_out() -> None:
    """A carbon star among stars like the Sun."""
    known = [_listed(0.1 * n, 10.0, 0.8) for n in range(1, 6)] + [_listed(0.9, 10.0, 3.5)]
    nothing = Stars(np.empty(0), np.empty(0), np.empty(0))
    chosen = choose(known, nothing, Target("T", 10.0, 0.0), 6 / 3600, 1 / 3600)
    assert len(chosen) == 5
    assert 0.9 not in [star.dec_deg for star in chosen]

"""What travels beside a magnitude: comparison stars, check star, aperture, software."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from astropy.wcs import WCS
from tests.support.starfields import Observation, StarField, catalogue_of

from boundless_skies.cloud.domain.provenance import read_provenance
from boundless_skies.node.catalogue import Stars
from boundless_skies.node.photometry.check_star import CheckStar
from boundless_skies.node.photometry.comparison import CatalogueSource, ComparisonStar
from boundless_skies.node.photometry.photometer import FrameMeasurement, Photometer
from boundless_skies.node.photometry.provenance import MOST_STARS_TOLD, solution_facts, star_name
from boundless_skies.node.photometry.settings import PhotometrySettings

TARGET_MAG = 11.0


class Night:
    """Frames of one target among some comparison stars."""

    def __init__(
        self,
        stars: int,
        frames: int = 8,
        source: Any = None,
        wave_mag: float = 0.0,
    ) -> None:
        rng = np.random.default_rng(31)
        self.field = StarField.spread(rng, rng.uniform(10.0, 12.0, stars), np.array([TARGET_MAG]))
        catalogue = catalogue_of(self.field.stars)
        photometer = Photometer(
            PhotometrySettings(), catalogue, source=source and source(catalogue, self.field)
        )
        self.found: list[FrameMeasurement] = []
        for frame in range(frames):
            changes_mag = np.zeros(stars + 1)
            changes_mag[0] = wave_mag * np.sin(2 * np.pi * frame / 20)
            exposure = self.field.expose(Observation(), rng, minutes=frame, changes_mag=changes_mag)
            self.found.append(photometer.measure_exposure(exposure))

    @property
    def told(self) -> dict[str, Any]:
        """What the last frame tells."""
        return self.found[-1].to_dict()


@pytest.fixture(scope="module")
def night() -> Night:
    """Thirty comparison stars, more than are told one by one."""
    return Night(stars=30)


@pytest.fixture(scope="module")
def lonely() -> Night:
    """Five comparison stars: none can be spared."""
    return Night(stars=5)


def test_the_plate_solution_leads_back_to_the_stars(night: Night) -> None:
    """From its six numbers each comparison star is found where it was measured."""
    exposure = night.field.expose(Observation(), np.random.default_rng(3))
    told = solution_facts(exposure.frame, exposure.solution)["plate_solution"]
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [told["ra_deg"], told["dec_deg"]]
    wcs.wcs.crpix = [told["x_px"] + 1.0, told["y_px"] + 1.0]
    wcs.wcs.cd = told["cd_deg_px"]
    for star in night.told["comparisons"]:
        sky = (star["ra_deg"], star["dec_deg"])
        place = exposure.frame.to_file_px(*exposure.solution.wcs.wcs_world2pix(*sky, 0))
        assert wcs.wcs_world2pix(*sky, 0) == pytest.approx(place, abs=0.05)


def test_the_cloud_reads_what_the_node_tells(night: Night) -> None:
    """Every field that the measurement's page has a place for, from the node's own keys."""
    found = night.found[-1]
    over_the_wire = json.loads(json.dumps(night.told, allow_nan=False))
    read = read_provenance(over_the_wire)
    assert read.exposure_s == 60.0
    assert read.aperture_px == pytest.approx(found.aperture_px, abs=0.01)
    assert read.zero_point == found.measurement.zero_point
    assert read.comparison_count == found.measurement.comparison_stars == 29
    assert read.catalogue == "Tycho-2"
    assert read.software == "Boundless Skies node"
    assert read.software_version
    assert len(read.comparison_stars) == MOST_STARS_TOLD
    assert read.check_star is not None
    assert read.check_star.name == over_the_wire["check_star"]["name"]
    for star in (*read.comparison_stars, read.check_star):
        assert star.measured_mag == pytest.approx(star.catalogue_mag, abs=0.05)
        assert star.ra_deg == pytest.approx(150.0, abs=0.2)
        assert star.dec_deg == pytest.approx(20.0, abs=0.2)


def test_it_is_small(night: Night) -> None:
    """A queue of 500 stays below 3 MB."""
    assert len(json.dumps(night.told)) < 6000
    assert night.told["comparisons_not_told"] == 29 - MOST_STARS_TOLD


def test_each_comparison_star_tells_how_it_behaved(night: Night) -> None:
    """The weightiest first; residuals are small, and no star scatters more than it should."""
    stars = night.told["comparisons"]
    weights = [star["weight"] for star in stars]
    assert weights == sorted(weights, reverse=True)
    assert 0.5 < sum(weights) < 1.0
    assert max(abs(star["residual_mag"]) for star in stars) < 0.03
    assert max(star["scatter_in_errors"] for star in stars) < 1.8
    assert night.told["comparisons_varying"] == []


class TestCheckStar:
    """A star measured as if it were the target."""

    def test_it_is_like_the_target_and_stands_apart(self, night: Night) -> None:
        """Of nearly its brightness, and none of the comparison stars."""
        check = night.told["check_star"]
        assert check["held_out"]
        assert check["name"] not in {star["name"] for star in night.told["comparisons"]}
        assert check["catalogue_mag"] == pytest.approx(TARGET_MAG, abs=0.15)
        assert night.told["check_star_mag"] == check["measured_mag"]

    def test_it_scatters_as_the_target_does(self, night: Night) -> None:
        """Over the series so far."""
        check = night.told["check_star"]
        assert check["frames"] == len(night.found)
        assert check["scatter_mag"] == pytest.approx(
            night.found[-1].measurement.uncertainty, rel=0.8
        )
        assert check["mean_mag"] == pytest.approx(check["catalogue_mag"], abs=0.01)

    def test_it_is_the_same_star_all_night(self, night: Night) -> None:
        """Or its scatter would say nothing."""
        assert len({found.to_dict()["check_star"]["name"] for found in night.found}) == 1

    def test_a_star_that_cannot_be_spared_is_left_out_by_calculation(self, lonely: Night) -> None:
        """It counts for the target, and for its own magnitude it does not."""
        check, told = lonely.told["check_star"], lonely.told
        own = next(star for star in told["comparisons"] if star["name"] == check["name"])
        assert not check["held_out"]
        assert told["comparison_stars"] == 5
        assert check["measured_mag"] != own["measured_mag"]
        # Without itself a star of the weight w misses by 1 / (1 - w) as much.
        assert check["measured_mag"] - own["measured_mag"] == pytest.approx(
            own["weight"] / (1.0 - own["weight"]) * own["residual_mag"], abs=3e-4
        )

    def test_the_colour_counts(self) -> None:
        """Of two stars as bright as the target, the one of its colour."""
        stars = [
            ComparisonStar(
                ra_deg=1.0, dec_deg=1.0, magnitude=11.0, colour_bv=colour, catalogue="a chart"
            )
            for colour in (1.6, 0.6, None)
        ]
        chosen = CheckStar.choose(stars[:2], np.array([-9.0, -9.1]), -9.0, colour_bv=0.6)
        assert chosen is not None
        assert chosen.index == 1
        assert CheckStar.choose(stars, np.full(3, np.nan), -9.0) is None


class TestWhichStarsAreUsed:
    """Variables, known and unknown, and stars that are not alone."""

    def test_a_star_that_varies_unknown_to_all_is_weighted_down(self) -> None:
        """It says so itself within a night; the target's curve does not follow it."""
        quiet, waving = Night(stars=8, frames=40), Night(stars=8, frames=40, wave_mag=0.12)
        name = star_name(_as_comparison(waving.field, 0))
        assert name in waving.told["comparisons_varying"]
        assert name not in {star["name"] for star in waving.told["comparisons"]}
        wave = np.sin(2 * np.pi * np.arange(40) / 20)[10:]
        followed = np.array([
            np.polyfit(wave, [f.measurement.magnitude for f in night.found[10:]], 1)[0]
            for night in (quiet, waving)
        ])  # fmt: skip
        # An eighth of 0.12 mag would be 15 mmag; chance makes 2.4 of the difference.
        assert abs(followed[1] - followed[0]) < 0.006

    def test_a_known_variable_is_never_used(self) -> None:
        """Where the source says that it is one."""

        class Warned(CatalogueSource):
            def __init__(self, catalogue: Any, field: StarField) -> None:
                super().__init__(catalogue)
                self._variable = field.stars.mag[0]

            def stars(self, *where: Any) -> list[ComparisonStar]:
                return [
                    replace(star, is_variable=abs(star.magnitude - self._variable) < 0.002)
                    for star in super().stars(*where)
                ]

        night = Night(stars=12, frames=1, source=Warned)
        used = {star["name"] for star in night.told["comparisons"]}
        assert len(used) == 10
        assert star_name(_as_comparison(night.field, 0)) not in used | {
            night.told["check_star"]["name"]
        }


class TestOddStars:
    """What a source tells of colours, and what the frame shows beside a star."""

    def test_a_star_of_odd_colour_is_not_used(self) -> None:
        """It would drift against the others with the airmass; an unknown colour is no reason."""

        class Coloured(CatalogueSource):
            def __init__(self, catalogue: Any, field: StarField) -> None:
                super().__init__(catalogue)
                self._odd, self._unknown = field.stars.mag[0], field.stars.mag[1]

            def stars(self, *where: Any) -> list[ComparisonStar]:
                return [replace(star, colour_bv=self._bv(star)) for star in super().stars(*where)]

            def _bv(self, star: ComparisonStar) -> float | None:
                if abs(star.magnitude - self._unknown) < 0.002:
                    return None
                return 2.1 if abs(star.magnitude - self._odd) < 0.002 else 0.7

        night = Night(stars=12, frames=1, source=Coloured)
        told = night.told
        names = {star["name"] for star in told["comparisons"]} | {told["check_star"]["name"]}
        assert len(names) == 11
        assert star_name(_as_comparison(night.field, 0)) not in names
        assert star_name(_as_comparison(night.field, 1)) in names

    def test_a_blend_is_not_used(self) -> None:
        """A star with another of nearly its light in its circle; the target does not feel it."""
        rng = np.random.default_rng(33)
        field = StarField.spread(rng, rng.uniform(10.0, 12.0, 12), np.array([TARGET_MAG]))
        beside = Stars(
            field.stars.ra_deg[:1] + 9.0 / 3600.0,
            field.stars.dec_deg[:1],
            field.stars.mag[:1] + 1.0,
        )
        blended = replace(field, stars=field.stars + beside)
        photometer = Photometer(PhotometrySettings(), catalogue_of(blended.stars))
        found = photometer.measure_exposure(blended.expose(Observation(), rng))
        told = found.to_dict()
        names = {star["name"] for star in told["comparisons"]} | {told["check_star"]["name"]}
        assert len(names) == 11
        assert star_name(_as_comparison(field, 0)) not in names
        miss = found.measurement.magnitude - TARGET_MAG
        assert abs(miss) < 3.0 * found.measurement.uncertainty < 0.05


def _as_comparison(field: StarField, index: int) -> ComparisonStar:
    return ComparisonStar(
        ra_deg=float(field.stars.ra_deg[index]),
        dec_deg=float(field.stars.dec_deg[index]),
        magnitude=float(field.stars.mag[index]),
        catalogue="Tycho-2",
    )


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ((150.0, 20.0), "J100000.0+200000"),
        ((359.9999999, -0.5), "J000000.0-003000"),
        ((31.04275, 46.68783), "J020410.3+464116"),
    ],
)
def test_a_star_without_a_name_is_called_by_its_place(
    place: tuple[float, float], name: str
) -> None:
    """Hours, minutes and seconds, then degrees."""
    star = ComparisonStar(ra_deg=place[0], dec_deg=place[1], magnitude=9.0, catalogue="Tycho-2")
    assert star_name(star) == name

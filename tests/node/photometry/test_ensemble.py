"""The ensemble: comparison stars that come and go leave no step in a light curve."""

import numpy as np
import pytest

from boundless_skies.node.catalogue import Stars
from boundless_skies.node.photometry.aperture import Aperture
from boundless_skies.node.photometry.ensemble import Ensemble

COUNT = 20
CATALOGUE_ERROR_MAG = 0.15
NOISE_MAG = 0.005
ZERO = 21.0


class Night:
    """Comparison stars as a camera with colours of its own sees them."""

    def __init__(self, seed: int = 1, *, gain_known: bool = True) -> None:
        self.rng = np.random.default_rng(seed)
        mag = np.sort(self.rng.uniform(8.0, 11.0, COUNT))
        self.own_offset = self.rng.normal(0.0, CATALOGUE_ERROR_MAG, COUNT)
        places = np.arange(COUNT, dtype=float)
        stars = Stars(places, places, mag)
        self.ensemble = Ensemble(stars, Aperture.around(4.0, 3.0), gain_known=gain_known)

    def expose(
        self,
        missing: list[int] | None = None,
        *,
        clouds_mag: float = 0.0,
        noise_mag: float = NOISE_MAG,
        said_noise_mag: float = NOISE_MAG,
        spoilt: int | None = None,
    ) -> tuple[float, float, int]:
        """Tie one frame; return the error of its zero point, what was said of it, and the stars."""
        mag = self.ensemble.stars.mag + self.own_offset - ZERO + clouds_mag
        mag = mag + self.rng.normal(0.0, noise_mag, COUNT)
        if spoilt is not None:
            mag[spoilt] -= 1.0
        mag[missing or []] = np.nan
        error = np.where(np.isfinite(mag), said_noise_mag, np.nan)
        found = self.ensemble.tie(mag, error)
        assert found is not None
        return found.value - (ZERO - clouds_mag), found.error, found.stars


def test_stars_that_drop_out_leave_no_step() -> None:
    """Ten of twenty go, and others come back: the zero point stays within its noise."""
    night = Night()
    before = np.array([night.expose()[0] for _ in range(8)])
    without = np.array([night.expose(list(range(10)))[0] for _ in range(8)])
    others = np.array([night.expose(list(range(10, 20)))[0] for _ in range(8)])
    # Each star's own 0.15 mag would otherwise move the mean by 0.15 / √20 and more.
    assert np.mean(without) == pytest.approx(np.mean(before), abs=0.003)
    assert np.mean(others) == pytest.approx(np.mean(before), abs=0.004)


def test_a_star_that_comes_late_joins_without_a_step() -> None:
    """It is taken at the ensemble's word, not at the catalogue's."""
    night = Night(seed=4)
    missing = list(range(5, 20))
    before = np.array([night.expose(missing)[0] for _ in range(8)])
    after = np.array([night.expose()[0] for _ in range(8)])
    assert np.mean(after) == pytest.approx(np.mean(before), abs=0.004)


def test_clouds_are_followed() -> None:
    """The zero point takes up what all stars lose."""
    night = Night(seed=2)
    start = night.expose()[0]
    misses = [night.expose(clouds_mag=mag)[0] - start for mag in (0.2, 1.0, 2.0, 0.1)]
    assert np.abs(misses).max() < 0.006


def test_a_spoilt_star_is_left_out() -> None:
    """A cosmic ray in one star's circle does not move the others."""
    night = Night(seed=3)
    start = np.mean([night.expose()[0] for _ in range(5)])
    miss, _, stars = night.expose(spoilt=0)
    assert stars == COUNT - 1
    assert miss == pytest.approx(start, abs=0.006)


def test_a_star_that_changed_for_good_comes_back() -> None:
    """After some frames it starts afresh."""
    night = Night(seed=6)
    for _ in range(10):
        night.expose()
    night.own_offset[0] += 0.5
    used = [night.expose()[2] for _ in range(12)]
    assert used[0] == COUNT - 1
    assert used[-1] == COUNT


def test_the_error_is_the_scatter_from_frame_to_frame() -> None:
    """Not that of the catalogue, which is the same in all frames."""
    night = Night(seed=7)
    found = np.array([night.expose() for _ in range(60)])
    assert np.std(found[10:, 0]) <= np.mean(found[10:, 1]) < 3 * np.std(found[10:, 0])


def test_the_scatter_is_the_catalogues() -> None:
    """How far the stars lie from the catalogue in this camera's colours."""
    night = Night(seed=8)
    zero_point = night.ensemble.tie(
        night.ensemble.stars.mag + night.own_offset - ZERO, np.full(COUNT, NOISE_MAG)
    )
    assert zero_point is not None
    assert zero_point.scatter == pytest.approx(np.std(night.own_offset, ddof=1), rel=0.3)


@pytest.mark.parametrize(
    ("gain_known", "said", "expected"), [(True, 2.0, 2.0), (False, 2.0, 1.0), (True, 0.5, 1.0)]
)
def test_the_noise_is_learnt_from_the_comparison_stars(
    gain_known: bool, said: float, expected: float
) -> None:
    """Upwards always, downwards only where the gain was a guess."""
    night = Night(seed=9, gain_known=gain_known)
    for _ in range(20):
        night.expose(said_noise_mag=said * NOISE_MAG)
    own_mag = night.ensemble.noise_factor * said * NOISE_MAG
    learnt_mag = np.hypot(own_mag, night.ensemble.floor_mag)
    assert learnt_mag == pytest.approx(expected * NOISE_MAG, rel=0.12)


def test_what_photons_do_not_tell_is_learnt_from_the_bright_stars() -> None:
    """Faint stars scatter as their photons say, bright ones by the flat field's 6 mmag."""
    night = Night(seed=10)
    photons_mag = np.geomspace(0.001, 0.03, COUNT)
    for _ in range(40):
        noise_mag = night.rng.normal(0.0, np.hypot(photons_mag, 0.006))
        seen = night.ensemble.stars.mag + night.own_offset - ZERO + noise_mag
        assert night.ensemble.tie(seen, photons_mag) is not None
    assert night.ensemble.floor_mag == pytest.approx(0.006, rel=0.15)
    assert night.ensemble.noise_factor == pytest.approx(1.0, rel=0.1)


class TestVariableStar:
    """A comparison star that varies by 0.05 mag, slowly, while nobody knew."""

    def night(self, amplitude_mag: float) -> tuple[Night, np.ndarray]:
        """Expose 60 frames; return the night and the zero point's error in each."""
        night = Night(seed=13)
        misses = []
        for frame in range(60):
            mag = night.ensemble.stars.mag + night.own_offset - ZERO
            mag = mag + night.rng.normal(0.0, NOISE_MAG, COUNT)
            mag[4] += amplitude_mag * np.sin(2 * np.pi * frame / 40)
            tied = night.ensemble.tie(mag, np.full(COUNT, NOISE_MAG))
            assert tied is not None
            assert tied.behaviour is not None
            misses.append((tied.value - ZERO, tied.behaviour.weight[4]))
        return night, np.array(misses)

    def test_it_loses_its_say(self) -> None:
        """Within 20 frames it counts for less than a quarter of the others, or nothing."""
        night, found = self.night(0.05)
        assert night.ensemble.scatter[4] > 1.8
        assert np.median(night.ensemble.scatter) < 1.2
        assert (found[20:, 1] < 0.25 / COUNT).mean() > 0.9

    def test_the_zero_point_does_not_follow_it(self) -> None:
        """Its twentieth part would be 2.5 mmag up and down."""
        _, found = self.night(0.05)
        wave = np.sin(2 * np.pi * np.arange(60) / 40)[15:]
        slope = np.polyfit(wave, found[15:, 0], 1)[0]
        assert abs(slope) < 0.0008

    def test_a_constant_star_keeps_its_say(self) -> None:
        """About a twentieth."""
        night, found = self.night(0.0)
        assert found[30:, 1].mean() == pytest.approx(1 / COUNT, rel=0.25)
        assert night.ensemble.scatter.max() < 1.5


def test_fewer_than_three_stars_tie_nothing() -> None:
    """Two stars cannot tell which of them is wrong."""
    night = Night()
    mag = np.full(COUNT, np.nan)
    mag[:2] = 1.0
    assert night.ensemble.tie(mag, np.full(COUNT, 0.01)) is None


def test_a_field_that_moved_away_is_tied_to_the_catalogue_anew() -> None:
    """Where no three known stars are left, the catalogue decides."""
    night = Night(seed=5)
    night.expose(list(range(10, 20)))
    miss, _, stars = night.expose(list(range(10)))
    assert stars >= 8
    assert abs(miss) < 3 * CATALOGUE_ERROR_MAG / np.sqrt(8)


class TestDriftingField:
    """A field that drifts over a vignetted frame."""

    SLOPE_MAG = 0.04

    def misses(self, *, with_places: bool) -> np.ndarray:
        """Tie 12 frames whose zero point slopes ever more; the target lies off their middle."""
        night = Night(seed=11)
        away = night.rng.uniform(-0.3, 0.9, (COUNT, 2))
        mag = night.ensemble.stars.mag + night.own_offset - ZERO
        found = []
        for step in np.linspace(0.0, 1.0, 12):
            noise = night.rng.normal(0.0, NOISE_MAG, COUNT)
            seen = mag + noise + step * self.SLOPE_MAG * away.sum(axis=1)
            places = away if with_places else None
            zero_point = night.ensemble.tie(seen, np.full(COUNT, NOISE_MAG), places)
            assert zero_point is not None
            found.append(zero_point.value)
        return np.array(found) - found[0]

    def test_a_sloping_zero_point_counts_where_the_target_is(self) -> None:
        """Not where the comparison stars are on the mean."""
        assert np.abs(self.misses(with_places=True)).max() < 0.008
        assert np.abs(self.misses(with_places=False)).max() > 0.01


class TestFieldStars:
    """Stars that no catalogue knows."""

    def ensemble(self, known: int) -> tuple[Ensemble, np.ndarray, np.random.Generator]:
        """Make an ensemble of twenty stars, the first few of which have a magnitude."""
        rng = np.random.default_rng(12)
        mag = rng.uniform(8.0, 11.0, COUNT)
        places = np.arange(COUNT, dtype=float)
        stars = Stars(places, places, np.where(np.arange(COUNT) < known, mag, np.nan))
        return Ensemble(stars, Aperture.around(4.0, 3.0), gain_known=True), mag, rng

    def test_they_steady_the_zero_point(self) -> None:
        """Three catalogue stars give the level, twenty stars the course."""
        ensemble, mag, rng = self.ensemble(known=3)
        found = []
        for _ in range(60):
            noise = rng.normal(0.0, 0.02, COUNT)
            zero_point = ensemble.tie(mag + noise - ZERO, np.full(COUNT, 0.02))
            assert zero_point is not None
            found.append(zero_point)
        assert (found[-1].stars, found[-1].field_stars) == (3, COUNT - 3)
        assert np.std([point.value for point in found[20:]]) < 0.02 / np.sqrt(12)
        assert found[0].value == pytest.approx(ZERO, abs=3 * 0.02 / np.sqrt(3))

    def test_they_alone_tie_nothing_to_the_catalogue(self) -> None:
        """Without three known magnitudes there is no level."""
        ensemble, mag, _ = self.ensemble(known=2)
        assert ensemble.tie(mag - ZERO, np.full(COUNT, 0.02)) is None

"""Stars by name: the list, and the ways in which people write."""

import re

import pytest

from boundless_skies.sky.names import name_key
from boundless_skies.sky.targets import NamedStar, find_target, named_stars

REPEATING = [star for star in named_stars() if star.period_d is not None]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        *((spelling, "HAT-P-32") for spelling in ["HAT-P-32", "HATP-32", "hat-p-32", "HAT-P-32b"]),
        *((spelling, "HAT-P-32") for spelling in [" HAT P 32 ", "HAT-P-32 b"]),
        *((spelling, "bet Per") for spelling in ["Algol", "β Persei", "* bet Per", "ALGOL"]),
        *((spelling, "R CrB") for spelling in ["r crb", "R Coronae Borealis", "RCrB"]),
        ("r leo", "R Leo"),
        ("mira", "omi Cet"),
    ],
)
def test_a_name_is_found_however_it_is_written(written: str, name: str) -> None:
    """Spaces, hyphens, capitals, Greek letters and the planet's letter do not matter."""
    star = find_target(written)
    assert star is not None
    assert star.name == name


def test_capitals_matter_where_they_tell_two_stars_apart() -> None:
    """R Car is a Mira star; r Car is another star, which the list does not have."""
    assert find_target("R Car") is not None
    assert find_target("r Car") is None


@pytest.mark.parametrize("unknown", ["", "M 94", "NGC 7023", "J0312+40", "b", "HAT-P-32 B"])
def test_unknown_names_are_not_guessed(unknown: str) -> None:
    """What the list does not have is None."""
    assert find_target(unknown) is None


def test_no_name_belongs_to_two_stars() -> None:
    """Each name and alias leads to one star."""
    names = [name for star in named_stars() for name in (star.name, *star.aliases)]
    owners = {(name_key(name), find_target(name)) for name in names}
    assert len(owners) == len({key for key, _ in owners})
    assert all(find_target(star.name) is star for star in named_stars())


@pytest.mark.parametrize("star", REPEATING, ids=lambda star: star.name)
def test_elements_are_complete_and_of_a_sane_size(star: NamedStar) -> None:
    """A period has its source; an epoch is a full Julian date, not a truncated one."""
    assert star.source
    assert star.period_d is not None
    assert 0.05 < star.period_d < 500
    assert star.epoch_bjd is None or 2_430_000 < star.epoch_bjd < 2_460_000


def test_every_star_has_a_kind() -> None:
    """In the catalogues' letters."""
    assert all(re.fullmatch(r"[A-Z]+(\+[A-Z]+)?", star.kind) for star in named_stars())


def test_a_transit_of_hat_p_32_falls_where_it_was_seen() -> None:
    """The transit of 2007-11-15 onwards leads to that of BJD 2455867.40274 within a minute."""
    star = find_target("HAT-P-32")
    assert star is not None
    assert star.epoch_bjd is not None
    assert star.period_d is not None
    cycles = (2_455_867.40274 - star.epoch_bjd) / star.period_d
    assert abs(cycles - round(cycles)) * star.period_d * 1440 < 1.0

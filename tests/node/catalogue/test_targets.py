"""Stars by name: the list, and the ways in which people write."""

import csv
from importlib.resources import files

import numpy as np
import pytest

from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.catalogue.targets import find_target

TOO_FAINT = {"SS Cyg"}
ROWS = list(
    csv.DictReader(
        files("boundless_skies.node.catalogue")
        .joinpath("data/targets.csv")
        .read_text("utf-8")
        .splitlines()
    )
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_each_position_is_that_of_a_catalogue_star(row: dict[str, str]) -> None:
    """No position was mistyped: a star of the catalogue stands within an arcsecond."""
    if row["name"] in TOO_FAINT:
        pytest.skip("fainter than the catalogue")
    ra_deg, dec_deg = float(row["ra_deg"]), float(row["dec_deg"])
    stars = Catalogue.load().cone(ra_deg, dec_deg, 0.01)
    east = (stars.ra_deg - ra_deg) * np.cos(np.radians(dec_deg))
    assert np.min(np.hypot(east, stars.dec_deg - dec_deg)) * 3600 < 1.0


@pytest.mark.parametrize(
    "written", ["HAT-P-32", "HATP-32", "hat-p-32", "HAT-P-32 b", "HAT-P-32b", " HAT P 32 "]
)
def test_a_name_is_found_however_it_is_written(written: str) -> None:
    """Spaces, hyphens, capitals and the planet's letter do not matter."""
    star = find_target(written)
    assert star is not None
    assert star.name == "HAT-P-32"


def test_capitals_matter_where_they_tell_two_stars_apart() -> None:
    """R Car is a Mira star; r Car is another star, which the list does not have."""
    assert find_target("R Car") is not None
    assert find_target("r Car") is None


@pytest.mark.parametrize("unknown", ["", "M 94", "NGC 7023", "J0312+40", "b"])
def test_unknown_names_are_not_guessed(unknown: str) -> None:
    """What the list does not have is None."""
    assert find_target(unknown) is None

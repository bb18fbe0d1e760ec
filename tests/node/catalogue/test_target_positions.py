"""The list of named stars and the star catalogue agree."""

import numpy as np
import pytest

from boundless_skies.node.catalogue import Catalogue
from boundless_skies.sky.targets import NamedStar, named_stars

TOO_FAINT = {"SS Cyg"}


@pytest.mark.parametrize("star", named_stars(), ids=lambda star: star.name)
def test_each_position_is_that_of_a_catalogue_star(star: NamedStar) -> None:
    """No position was mistyped: a star of the catalogue stands within an arcsecond."""
    if star.name in TOO_FAINT:
        pytest.skip("fainter than the catalogue")
    stars = Catalogue.load().cone(star.ra_deg, star.dec_deg, 0.01)
    east = (stars.ra_deg - star.ra_deg) * np.cos(np.radians(star.dec_deg))
    assert np.min(np.hypot(east, stars.dec_deg - star.dec_deg)) * 3600 < 1.0

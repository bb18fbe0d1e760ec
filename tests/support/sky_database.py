"""The catalogue's sky as the database that the Alpaca simulators draw their frames from."""

import sqlite3
from contextlib import closing
from pathlib import Path

from boundless_skies.node.catalogue import Catalogue


def write_sky(path: Path, ra_deg: float, dec_deg: float, radius_deg: float) -> Path:
    """Write the bundled catalogue's stars around a place into an SQLite file.

    Tycho-2's V stands for Gaia's G: the simulators ask for the brightest stars only, and
    draw them with that magnitude.
    """
    stars = Catalogue.load().cone(ra_deg, dec_deg, radius_deg)
    rows = (
        (float(ra), float(dec), 0.0, 0.0, float(mag))
        for ra, dec, mag in zip(stars.ra_deg, stars.dec_deg, stars.mag, strict=True)
    )
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE gaia_sources (ra REAL, dec REAL, pmra REAL, pmdec REAL, "
            "phot_g_mean_mag REAL)"
        )
        database.executemany("INSERT INTO gaia_sources VALUES (?, ?, ?, ?, ?)", rows)
        database.execute("CREATE INDEX place ON gaia_sources (dec, ra)")
    return path

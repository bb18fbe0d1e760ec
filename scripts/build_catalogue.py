"""Pack Tycho-2 into src/boundless_skies/node/catalogue/data/tycho2.bin.

The stars come from the astrometry.net index of Debian's package
astrometry-data-tycho2-07-littleendian, which needs no installing::

    apt-get download astrometry-data-tycho2-07-littleendian
    dpkg -x astrometry-data-tycho2-07-littleendian_*.deb tycho2
    python scripts/build_catalogue.py \
        tycho2/usr/share/astrometry/index-tycho2-07.littleendian.fits
"""

import sys
from pathlib import Path

import numpy as np
from astropy.io import fits

from boundless_skies.node.catalogue.tycho2 import BUNDLED, pack


def read_index(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return right ascension, declination (degrees) and V_T of an index's stars."""
    with fits.open(path) as index:
        # The index keeps its arrays as opaque bytes in the one column of a table.
        tables = {table.columns.names[0]: table for table in index[1:]}
        scale = np.frombuffer(_bytes(tables["kdtree_range_stars"]), "<f8")
        grid = np.frombuffer(_bytes(tables["kdtree_data_stars"]), "<u4").reshape(-1, 3)
        mag = np.asarray(tables["MAG_VT"].data["MAG_VT"], np.float64)
    x, y, z = (scale[:3] + grid / scale[6]).T
    return np.degrees(np.arctan2(y, x)) % 360.0, np.degrees(np.arctan2(z, np.hypot(x, y))), mag


def _bytes(table: fits.BinTableHDU) -> bytes:
    return np.ascontiguousarray(table.data).tobytes()


def main() -> None:
    """Pack the index named on the command line."""
    ra_deg, dec_deg, mag = read_index(Path(sys.argv[1]))
    packed = pack(ra_deg, dec_deg, mag)
    BUNDLED.write_bytes(packed)
    print(f"{len(mag):,} stars, {len(packed):,} bytes: {BUNDLED}")


if __name__ == "__main__":
    main()

"""Frames for tests: rendered ones, the committed real one, and where the others lie."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

import boundless_skies.demo
from boundless_skies.demo.rendering import Camera, render_frame
from boundless_skies.node.catalogue import Catalogue

REAL_FRAME = Path(boundless_skies.demo.__file__).parent / "data" / "t_sex.fits.fz"
MORE_FRAMES = Path(__file__).resolve().parents[3] / "shared" / "frames"

MIDDLE = dt.datetime(2026, 7, 1, 22, tzinfo=dt.UTC)
RA_DEG, DEC_DEG = 300.0, 35.0
SMALL_CAMERA = Camera(height_px=400, width_px=400)


def write_scene(
    path: Path, *, seed: int = 1, changes: dict[str, Any] | None = None, **scene: Any
) -> Path:
    """Render a frame of a target of magnitude 10.5 into a file.

    `changes` are header cards to set; None takes a card out.
    """
    scene = {
        "rng": np.random.default_rng(seed),
        "mid_exposure_utc": MIDDLE,
        "target_magnitude": 10.5,
        "camera": SMALL_CAMERA,
        "ra_deg": RA_DEG,
        "dec_deg": DEC_DEG,
    } | scene
    data, header = render_frame(Catalogue.load(), **scene)
    for key, value in (changes or {}).items():
        if value is None:
            del header[key]
        else:
            header[key] = value
    fits.PrimaryHDU(data, header).writeto(path, overwrite=True)
    return path


def write_fits(path: Path, data: np.ndarray, **cards: Any) -> Path:
    """Write an array with the cards that a measurement needs, and those given."""
    header = fits.Header()
    for key, value in ({"DATE-OBS": "2026-07-01T22:00:00", "EXPTIME": 10.0} | cards).items():
        if value is not None:
            header[key] = value
    fits.PrimaryHDU(data, header).writeto(path, overwrite=True)
    return path

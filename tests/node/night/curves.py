"""Light curves with a known course, and readers of what is made of them."""

import datetime as dt
import struct
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.image import imread

from boundless_skies.node.night.result import LightCurve
from boundless_skies.node.photometry.settings import Target

TARGET = Target("SS Cyg", 325.678333, 43.586111)
BEGIN = dt.datetime(2026, 7, 1, 21, 10, tzinfo=dt.UTC)
BEGIN_BJD = 2_461_223.3823
ERROR_MAG = 0.006


def point_at(hours: float, magnitude: float, **others: Any) -> dict[str, Any]:
    """Make a measurement so many hours after the begin of the night."""
    return {
        "target_name": TARGET.name,
        "bjd": BEGIN_BJD + hours / 24,
        "magnitude": magnitude,
        "uncertainty": ERROR_MAG,
        "filter": "CV",
        "airmass": 1.25,
        "fwhm": 2.5,
        "snr": 100.0,
        "comparison_stars": 8,
        "quality_flag": "good",
        "node_id": "test-node",
        "zero_point": 20.0,
        "zp_scatter": 0.05,
        "fits_file": "a.fits",
    } | others


def curve_of(points: list[dict[str, Any]]) -> LightCurve:
    """Make a light curve of measurements."""
    hours = [24 * (point["bjd"] - BEGIN_BJD) for point in points]
    middles = [BEGIN + dt.timedelta(hours=hour) for hour in hours]
    return LightCurve(target=TARGET, filter="CV", points=points, middles_utc=middles)


def noisy(magnitudes: np.ndarray, seed: int = 1) -> np.ndarray:
    """Add what the stated errors say."""
    return magnitudes + np.random.default_rng(seed).normal(0.0, ERROR_MAG, len(magnitudes))


def transit(points: int = 48, hours: float = 7.0) -> LightCurve:
    """Make a star that dims by 0.025 mag from 2.2 to 4.7 hours."""
    times = np.linspace(0.0, hours, points)
    magnitudes = noisy(11.4 + 0.025 * ((times > 2.2) & (times < 4.7)))
    return curve_of(
        [point_at(*row) for row in zip(times.tolist(), magnitudes.tolist(), strict=True)]
    )


def pixels(path: Path) -> np.ndarray:
    """Read a PNG as red, green and blue between 0 and 1, shape (height, width, 3)."""
    return imread(path)[:, :, :3]


def places_of(picture: np.ndarray, colour: str, tolerance: float = 0.03) -> tuple[Any, Any]:
    """Return rows and columns of the pixels that have a colour such as #0072B2."""
    wished = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.nonzero((np.abs(picture - wished) < tolerance).all(axis=2))


def text_chunks(path: Path) -> dict[str, str]:
    """Read a PNG's tEXt chunks as the standard has them."""
    raw, at, found = path.read_bytes(), 8, {}
    while at < len(raw):
        size, kind = struct.unpack(">I4s", raw[at : at + 8])
        if kind == b"tEXt":
            keyword, _, text = raw[at + 8 : at + 8 + size].partition(b"\0")
            found[keyword.decode("latin-1")] = text.decode("latin-1")
        at += 12 + size
    return found

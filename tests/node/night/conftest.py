"""A short night, rendered once for all tests of this room."""

import datetime as dt
from pathlib import Path

import pytest
from tests.support.scenes import MIDDLE, write_scene

MAGNITUDES = (10.4, 10.6, 10.3, 10.7, 10.5)


@pytest.fixture(scope="session")
def night_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five frames of a star that varies; their names run against the time."""
    folder = tmp_path_factory.mktemp("night")
    for index, magnitude in enumerate(MAGNITUDES):
        write_scene(
            folder / f"frame_{9 - index}.fits",
            seed=index,
            mid_exposure_utc=MIDDLE + dt.timedelta(minutes=10 * index),
            target_magnitude=magnitude,
        )
    return folder

"""The frames of a night: which files they are, and in which order they were taken."""

import datetime as dt
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from astropy.io import fits

from boundless_skies.node.fits.frame import image_header
from boundless_skies.node.fits.headers import read_facts
from boundless_skies.node.frame_names import is_frame_name

_LATEST = dt.datetime.max.replace(tzinfo=dt.UTC)


def frames_in(places: Iterable[Path], patterns: Sequence[str]) -> list[Path]:
    """Find the frames in files and folders.

    Parameters
    ----------
    places : iterable of Path
        Files, which are taken as they are, and folders, which are searched.
    patterns : sequence of str
        ``image_watcher.patterns`` of the config, for the files in folders.

    Returns
    -------
    list of Path
        In the order of their exposures; a file whose time cannot be read comes last. Each
        file once, however often it is named.
    """
    found = {path.resolve(): path for place in places for path in _expanded(place, patterns)}
    return sorted(found.values(), key=lambda path: (_time_of(path), path.name))


def _expanded(place: Path, patterns: Sequence[str]) -> Iterator[Path]:
    if not place.is_dir():
        yield place
        return
    for path in sorted(place.rglob("*")):
        if path.is_file() and is_frame_name(path.name, patterns):
            yield path


def _time_of(path: Path) -> dt.datetime:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _middle_of_exposure(path) or _LATEST
    except Exception:  # noqa: BLE001 - what is wrong with a file is told when it is measured
        return _LATEST


def _middle_of_exposure(path: Path) -> dt.datetime | None:
    # Opened here, for astropy leaves a damaged file open.
    with path.open("rb") as file, fits.open(file, memmap=False) as hdus:
        header = image_header(hdus)
        return None if header is None else read_facts(header).mid_exposure_utc

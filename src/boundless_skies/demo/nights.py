"""What the demo's telescope sees: an owner's frames, or a night that is rendered."""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
from astropy.io import fits

from boundless_skies.demo.narration import DemoFailure
from boundless_skies.demo.rendering import Camera, render_frame
from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.config import defaults
from boundless_skies.node.errors import FrameError
from boundless_skies.node.fits.frame import read_frame
from boundless_skies.node.frame_names import is_frame_name
from boundless_skies.sky import Site, airmass, altitude_azimuth_deg, bjd_tdb

_LEAST_FRAMES = 3

HOME = Site(28.76, -17.88, 2300.0)
"""Where the demo's telescope stands, where no frame says otherwise: on La Palma."""


@dataclass(frozen=True)
class Shot:
    """One exposure to come.

    Attributes
    ----------
    name : str
        File name.
    write : callable
        Writes the whole file to a path.
    """

    name: str
    write: Callable[[Path], object]


@dataclass(frozen=True, kw_only=True)
class Night:
    """A night's exposures.

    Attributes
    ----------
    opening : Shot or None
        A real frame that comes before all others.
    shots : sequence of Shot
        In the order of their times.
    story : str
        What there is to see, in one line.
    site : Site
        Where the telescope stands.
    target : dict
        ``photometry.target`` of the config; empty where the frames say it.
    truth : tuple of (bjd, magnitude) or None
        The curve that the points should lie on, where it is known.
    """

    shots: Sequence[Shot]
    story: str
    site: Site
    target: Mapping[str, object]
    truth: tuple[Sequence[float], Sequence[float]] | None = None
    opening: Shot | None = None


def take_shot(shot: Shot, folder: Path) -> None:
    """Put a finished frame into the watched folder, as a telescope does: write, then rename.

    Parameters
    ----------
    shot : Shot
        The exposure.
    folder : Path
        The watched folder.
    """
    draft = folder / f".{shot.name}.part"
    shot.write(draft)
    draft.replace(folder / shot.name)


def night_from_folder(folder: Path, target: Mapping[str, object]) -> Night:
    """Make a night of an owner's frames.

    Parameters
    ----------
    folder : Path
        FITS files, in the order of their names.
    target : dict
        ``name``, ``ra_deg``, ``dec_deg``; each may be missing.

    Returns
    -------
    Night
        Copies of the frames.

    Raises
    ------
    DemoFailure
        If there are fewer than three frames in the folder: one for each part of the night.
    """
    patterns: list[str] = defaults()["image_watcher"]["patterns"]
    paths = sorted(
        path for path in folder.iterdir() if path.is_file() and is_frame_name(path.name, patterns)
    )
    if len(paths) < _LEAST_FRAMES:
        raise DemoFailure(
            f"there are {len(paths)} FITS files in {folder}; the demo needs {_LEAST_FRAMES}."
        )
    return Night(
        shots=[Shot(path.name, partial(shutil.copyfile, path)) for path in paths],
        story=f"frames from {folder.name}",
        site=_site_of(paths[0]),
        target=target,
    )


def _site_of(path: Path) -> Site:
    try:
        return read_frame(path).facts.site or HOME
    except FrameError:
        return HOME


@dataclass(frozen=True, kw_only=True)
class ContactBinary:
    """Two stars that touch, circling each other: the light never stands still.

    Attributes
    ----------
    name : str
        As catalogues call it.
    ra_deg, dec_deg : float
        Position, J2000.
    period_d : float
        Time from one deeper minimum to the next (days).
    middle_mag, swing_mag, uneven_mag, sharpness_mag : float
        The middle between the extremes; amplitude of the wave of half a period, of the one of a
        whole period, and of the one of a quarter, which makes minima sharp.
    """

    name: str
    ra_deg: float
    dec_deg: float
    period_d: float
    middle_mag: float
    swing_mag: float
    uneven_mag: float
    sharpness_mag: float

    def magnitude(self, days: float) -> float:
        """Return the magnitude so many days after a deeper minimum."""
        turn = 2.0 * math.pi * days / self.period_d
        return (
            self.middle_mag
            + self.swing_mag * math.cos(2.0 * turn)
            + self.uneven_mag * math.cos(turn)
            + self.sharpness_mag * math.cos(4.0 * turn)
        )


# Position and period of the real star (General Catalogue of Variable Stars, V 8.51-9.39).
SW_LAC = ContactBinary(
    name="SW Lac",
    ra_deg=343.4236,
    dec_deg=37.9384,
    period_d=0.32071,
    middle_mag=8.92,
    swing_mag=0.37,
    uneven_mag=0.04,
    sharpness_mag=0.07,
)

_REAL_FRAME = Path(__file__).parent / "data" / "t_sex.fits.fz"
_DUSK = datetime(2025, 10, 10, 20, 0, tzinfo=UTC)
_NIGHT_D = 0.335
_MINIMUM_AFTER_DUSK_D = 0.10
_EXTINCTION_MAG = 0.2
_DRIFT_ARCSEC = 40.0
_SEED = 20251010
_EXPOSURE_S = 10.0


def rendered_night(count: int) -> Night:
    """Make a night of a star that varies, on the bundled catalogue's sky.

    Parameters
    ----------
    count : int
        How many frames.

    Returns
    -------
    Night
        Frames that are rendered when they are taken.
    """
    catalogue = Catalogue.load()
    step_d = _NIGHT_D / (count - 1)
    shots = [
        Shot(
            f"SW_Lac_{number:04d}.fits",
            partial(_render, catalogue, _DUSK + timedelta(days=(number - 1) * step_d), number),
        )
        for number in range(1, count + 1)
    ]
    return Night(
        shots=shots,
        story=f"a rendered night of {SW_LAC.name}, two stars that touch",
        site=HOME,
        target={},
        truth=_truth(),
        opening=Shot(_REAL_FRAME.name, partial(shutil.copyfile, _REAL_FRAME)),
    )


def _render(catalogue: Catalogue, middle: datetime, number: int, path: Path) -> None:
    rng = np.random.default_rng((_SEED, number))
    data, header = render_frame(
        catalogue,
        SW_LAC.ra_deg,
        SW_LAC.dec_deg,
        rng=rng,
        mid_exposure_utc=middle,
        exposure_s=_EXPOSURE_S,
        target_name=SW_LAC.name,
        target_magnitude=_magnitude_at(middle),
        camera=_camera_at(middle),
        pointing_offset_arcsec=tuple(rng.normal(0.0, _DRIFT_ARCSEC, 2)),
        site=HOME,
    )
    fits.PrimaryHDU(data, header).writeto(path)


def _camera_at(middle: datetime) -> Camera:
    """Let the air take its part of the light, more of it towards the horizon."""
    altitude_deg, _ = altitude_azimuth_deg(middle, SW_LAC.ra_deg, SW_LAC.dec_deg, HOME)
    layers = airmass(altitude_deg) or 1.0
    clear = Camera()
    return replace(clear, zero_point=clear.zero_point - _EXTINCTION_MAG * layers)


def _magnitude_at(middle: datetime) -> float:
    return SW_LAC.magnitude((middle - _DUSK) / timedelta(days=1) - _MINIMUM_AFTER_DUSK_D)


def _truth() -> tuple[list[float], list[float]]:
    moments = [_DUSK + timedelta(days=_NIGHT_D * step / 300) for step in range(301)]
    times = [bjd_tdb(moment, SW_LAC.ra_deg, SW_LAC.dec_deg, HOME) for moment in moments]
    return times, [_magnitude_at(moment) for moment in moments]

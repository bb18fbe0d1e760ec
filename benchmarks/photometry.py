"""How quickly the node measures a frame, and how well, against the plain way of the field.

Run as ``python -m benchmarks.photometry WAY FOLDER``, it measures a folder's frames in one
way in a process of its own, and prints what that took: ``ours`` and ``plain`` on one core,
``night1`` and ``night2`` as a whole night with one and two workers.
"""

import datetime as dt
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from benchmarks.rounds import row
from boundless_skies.demo.rendering import Camera, render_frame
from boundless_skies.node.catalogue import Catalogue

TITLE = "Photometry"
FRAMES = 24
ROUNDS = 5
WORKERS = (1, 2)
CAMERA = Camera(
    height_px=1920, width_px=1080, scale_arcsec_px=2.39, focal_length_mm=250.0, fwhm_px=3.0
)
RA_DEG, DEC_DEG, MAGNITUDE = 300.0, 35.0, 11.0
CADENCE_S, EXPOSURE_S = 12.0, 10.0
BEGIN = dt.datetime(2026, 7, 1, 22, tzinfo=dt.UTC)
DRIFT_ARCSEC = 3.0
APERTURE_FWHM = 1.5
_NIGHTS = {f"night{workers}": workers for workers in WORKERS}
_WAYS = ("ours", "plain", *_NIGHTS)
_NOTES = f"""{FRAMES} rendered frames of 1080 × 1920 pixels with some hundred stars of the bundled
catalogue, photon, sky and read-out noise, drifting by {DRIFT_ARCSEC:g}″ a frame; each has a plate
solution in its header, so that neither way solves. Ours is `Photometer.measure`: reading, finding
stars, checking and refining the solution, centroids, the ensemble with its zero point, uncertainty
and flags. The plain way is `benchmarks/plain_photometry.py`: astropy and photutils as their guides
show it (Background2D, DAOStarFinder, apertures with clipped rings, a median zero point), without
uncertainty or flags. One process each, kept to one core and one thread, in turn, the first frame
not counted. Memory is the process's peak. The scatter is the standard deviation of the constant
target's magnitudes; photon noise is what a perfect instrument with this aperture would leave: the
target's and the sky's electrons and the read-out noise within {APERTURE_FWHM:g} times the stars'
width. A night is what `boundless node measure --workers N` does: processes read, find and solve,
the one that asked measures in the order of time; its second pass over the frames counts, when all
processes have loaded their libraries."""


def section() -> str:
    """Measure both ways in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _render(folder)
        taken: dict[str, list[dict[str, Any]]] = {way: [] for way in _WAYS}
        for number in range(ROUNDS):
            for way in _WAYS if number % 2 else reversed(_WAYS):
                taken[way].append(_run(way, folder))
    ours, plain, *nights = (taken[way] for way in _WAYS)
    return "\n".join([*_rows(ours, plain), _night_row(*nights), "", _NOTES])


def _ratio(fast: list[dict[str, Any]], slow: list[dict[str, Any]]) -> str:
    ratios = sorted(b["frame_s"] / a["frame_s"] for a, b in zip(fast, slow, strict=True))
    return f"{statistics.median(ratios):.1f} ({ratios[0]:.1f}–{ratios[-1]:.1f})"


def _night_row(one: list[dict[str, Any]], two: list[dict[str, Any]]) -> str:
    cores = min(len(os.sched_getaffinity(0)), max(WORKERS))
    what = f"frames a second of a night, 2 workers on {cores} cores; the other: 1 worker"
    return row(what, _rate(two), _rate(one), _ratio(two, one))


def _rows(ours: list[dict[str, Any]], plain: list[dict[str, Any]]) -> list[str]:
    ratio = _ratio(ours, plain)
    memory = [statistics.median(each["memory_mb"] for each in way) for way in (ours, plain)]
    scatter = [statistics.stdev(way[0]["magnitudes"]) * 1e3 for way in (ours, plain)]
    photons = _photon_noise_mag() * 1e3
    return [
        "| what | ours | the other | ratio | aim |",
        "|---|---|---|---|---|",
        row("frames a second and core", _rate(ours), _rate(plain), ratio, "≥ 3"),
        row("peak memory", f"{memory[0]:.0f} MB", f"{memory[1]:.0f} MB"),
        row(
            f"scatter of a constant star of {MAGNITUDE:g} mag",
            f"{scatter[0]:.2f} mmag",
            f"{scatter[1]:.2f} mmag",
        ),
        row(
            "the same over photon noise",
            f"{scatter[0] / photons:.2f}",
            f"{scatter[1] / photons:.2f}",
        ),
    ]


def _rate(taken: list[dict[str, Any]]) -> str:
    return f"{1.0 / statistics.median(each['frame_s'] for each in taken):.2f}"


def _run(way: str, folder: Path) -> dict[str, Any]:
    threads = ("OMP", "OPENBLAS", "MKL", "NUMEXPR")
    alone = {f"{name}_NUM_THREADS": "1" for name in threads}
    command = [sys.executable, "-m", "benchmarks.photometry", way, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, env=os.environ | alone)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _render(folder: Path) -> None:
    catalogue = Catalogue.load()
    for number in range(FRAMES):
        middle = BEGIN + dt.timedelta(seconds=number * CADENCE_S)
        data, header = render_frame(
            catalogue,
            RA_DEG,
            DEC_DEG,
            rng=np.random.default_rng(number),
            mid_exposure_utc=middle,
            exposure_s=EXPOSURE_S,
            target_magnitude=MAGNITUDE,
            camera=CAMERA,
            pointing_offset_arcsec=(number * DRIFT_ARCSEC, number * DRIFT_ARCSEC / 2),
            with_wcs=True,
        )
        fits.PrimaryHDU(data, header).writeto(folder / f"frame_{number:03d}.fits")


def _photon_noise_mag() -> float:
    electrons = math.pow(10.0, -0.4 * (MAGNITUDE - CAMERA.zero_point)) * CAMERA.gain_e_per_adu
    radius_px = APERTURE_FWHM * CAMERA.fwhm_px
    inside = 1.0 - math.exp(-4.0 * math.log(2.0) * APERTURE_FWHM**2)
    sky = math.pi * radius_px**2 * (CAMERA.sky_adu * CAMERA.gain_e_per_adu + CAMERA.read_noise_e**2)
    return 2.5 / math.log(10.0) * math.sqrt(electrons * inside + sky) / (electrons * inside)


def _ours() -> Callable[[str], float]:
    from boundless_skies.node.photometry.photometer import Photometer  # noqa: PLC0415
    from boundless_skies.node.photometry.settings import (  # noqa: PLC0415
        PhotometrySettings,
        Target,
    )

    photometer = Photometer(PhotometrySettings.from_config({}))
    target = Target.at(RA_DEG, DEC_DEG, "Target")
    return lambda path: float(photometer.measure(path, target=target).measurement.magnitude)


def _plain() -> Callable[[str], float]:
    from astropy import units  # noqa: PLC0415
    from astropy.coordinates import SkyCoord  # noqa: PLC0415

    from benchmarks import plain_photometry  # noqa: PLC0415

    near = Catalogue.load().cone(RA_DEG, DEC_DEG, 1.0)
    stars = SkyCoord(near.ra_deg * units.deg, near.dec_deg * units.deg)
    target = SkyCoord(RA_DEG * units.deg, DEC_DEG * units.deg)
    return lambda path: plain_photometry.measure(path, target, stars, near.mag)


def main(way: str, folder: Path) -> None:
    """Measure a folder's frames in one way."""
    print(json.dumps(_by_night(way, folder) if way in _NIGHTS else _on_one_core(way, folder)))


def _by_night(way: str, folder: Path) -> dict[str, Any]:
    """Measure a folder as a night, in as many processes as the way says."""
    from boundless_skies.node.night.run import MeasuredFrame, Night  # noqa: PLC0415

    target = {"name": "Target", "ra_deg": RA_DEG, "dec_deg": DEC_DEG}
    paths = sorted(folder.glob("*.fits"))
    with Night({"photometry": {"target": target}}, workers=_NIGHTS[way]) as night:
        list(night.measure(paths))
        begin = time.perf_counter()
        found = list(night.measure(paths))
        frame_s = (time.perf_counter() - begin) / len(paths)
    points = [frame for frame in found if isinstance(frame, MeasuredFrame)]
    if len(points) != len(paths):
        raise RuntimeError(f"{len(paths) - len(points)} frames gave no measurement: {found}")
    return {"frame_s": frame_s, "magnitudes": [p.found.measurement.magnitude for p in points]}


def _on_one_core(way: str, folder: Path) -> dict[str, Any]:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    measure = {"ours": _ours, "plain": _plain}[way]()
    first, *rest = sorted(map(str, folder.glob("*.fits")))
    magnitudes = [measure(first)]
    begin = time.perf_counter()
    magnitudes += [measure(path) for path in rest]
    frame_s = (time.perf_counter() - begin) / len(rest)
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"frame_s": frame_s, "memory_mb": memory_mb, "magnitudes": magnitudes}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

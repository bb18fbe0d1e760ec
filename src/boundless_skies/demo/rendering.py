"""Frames that a telescope could have taken: the catalogue's sky, a star that varies, and noise."""

import datetime as dt
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.wcs import WCS

from boundless_skies.node.catalogue import Catalogue, Stars
from boundless_skies.node.catalogue.tycho2 import separation_deg
from boundless_skies.node.solving.verification import inside, places
from boundless_skies.sky import Site

_FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
_STAMP_SIGMAS = 6.0
_TARGET_CLEARANCE_DEG = 15.0 / 3600.0
_ARCSEC_PER_RADIAN = 206_264.806
_FULL_SCALE_ADU = 65_535

_erf = np.vectorize(math.erf, otypes=[np.float64])


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A telescope with its camera.

    Attributes
    ----------
    height_px, width_px : int
        Size of the image.
    scale_arcsec_px : float
        Size of a pixel on the sky.
    focal_length_mm : float
        With the scale it gives the size of the pixel that the header tells.
    rotation_deg : float
        Turn of the image against north up, east left.
    fwhm_px : float
        Full width at half maximum of the stars, Gaussian.
    elongation : float
        Longer over shorter axis of the stars; they are drawn out along x.
    zero_point : float
        Magnitude of a star that gives one unit of the file in the whole exposure.
    sky_adu, bias_adu : float
        Level of the sky above the bias, and the bias.
    gain_e_per_adu, read_noise_e : float
        Electrons per unit, and read-out noise in electrons.
    saturation_adu : int
        Highest value that the file holds.
    """

    height_px: int = 960
    width_px: int = 540
    scale_arcsec_px: float = 4.78
    focal_length_mm: float = 250.0
    rotation_deg: float = 0.0
    fwhm_px: float = 2.6
    elongation: float = 1.0
    zero_point: float = 22.3
    sky_adu: float = 800.0
    bias_adu: float = 300.0
    gain_e_per_adu: float = 0.8
    read_noise_e: float = 2.0
    saturation_adu: int = _FULL_SCALE_ADU


def render_frame(
    catalogue: Catalogue,
    ra_deg: float,
    dec_deg: float,
    *,
    rng: np.random.Generator,
    mid_exposure_utc: dt.datetime,
    exposure_s: float = 10.0,
    target_name: str = "Target",
    target_magnitude: float | None = None,
    camera: Camera | None = None,
    pointing_offset_arcsec: tuple[float, float] = (0.0, 0.0),
    site: Site | None = None,
    with_wcs: bool = False,
) -> tuple[npt.NDArray[np.uint16], fits.Header]:
    """Render one exposure of the catalogue's sky.

    Equal arguments and an equal state of `rng` give equal frames.

    Parameters
    ----------
    catalogue : Catalogue
        The stars to draw, each with its catalogue magnitude.
    ra_deg, dec_deg : float
        The target, J2000; the header's RA and DEC say the same.
    rng : Generator
        Where the noise is drawn from.
    mid_exposure_utc : datetime
        The middle of the exposure, aware.
    exposure_s : float, optional
        Its length, for the header: brightness goes by the camera's zero point alone.
    target_name : str, optional
        The header's OBJECT.
    target_magnitude : float, optional
        Brightness of the target, which is then drawn instead of any catalogue star
        within 15″; without it the sky stays as in the catalogue.
    camera : Camera, optional
        Telescope and camera; one like a folded Seestar frame by default.
    pointing_offset_arcsec : tuple of float, optional
        How far east and north of the target the frame's centre lies.
    site : Site, optional
        For the header.
    with_wcs : bool, optional
        Whether the header tells the plate solution.

    Returns
    -------
    tuple of ndarray of uint16 and Header
        Pixels of shape (height, width), and a header.
    """
    camera = camera or Camera()
    wcs = camera_wcs(camera, ra_deg, dec_deg, pointing_offset_arcsec)
    stars = _sky(catalogue, ra_deg, dec_deg, camera, target_magnitude)
    light = _draw(stars, wcs, camera) + camera.sky_adu
    header = _header(camera, ra_deg, dec_deg, mid_exposure_utc, exposure_s, target_name)
    if site is not None:
        _put_site(header, site)
    if with_wcs:
        header.update(wcs.to_header())
    return _expose(light, camera, rng), header


def camera_wcs(
    camera: Camera,
    ra_deg: float,
    dec_deg: float,
    pointing_offset_arcsec: tuple[float, float] = (0.0, 0.0),
) -> WCS:
    """Return where the pixels of a camera lie.

    Parameters
    ----------
    camera : Camera
        Telescope and camera.
    ra_deg, dec_deg : float
        The target, J2000.
    pointing_offset_arcsec : tuple of float, optional
        How far east and north of the target the frame's centre lies.

    Returns
    -------
    WCS
        A gnomonic (TAN) projection.
    """
    east_deg, north_deg = (offset / 3600.0 for offset in pointing_offset_arcsec)
    scale_deg, turn = camera.scale_arcsec_px / 3600.0, math.radians(camera.rotation_deg)
    cos, sin = scale_deg * math.cos(turn), scale_deg * math.sin(turn)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crval = [ra_deg + east_deg / math.cos(math.radians(dec_deg)), dec_deg + north_deg]
    wcs.wcs.crpix = [(camera.width_px + 1) / 2, (camera.height_px + 1) / 2]
    wcs.wcs.cd = [[-cos, sin], [sin, cos]]
    wcs.wcs.set()
    return wcs


def _sky(
    catalogue: Catalogue,
    ra_deg: float,
    dec_deg: float,
    camera: Camera,
    target_magnitude: float | None,
) -> Stars:
    diagonal_deg = math.hypot(camera.height_px, camera.width_px) * camera.scale_arcsec_px / 3600.0
    stars = catalogue.cone(ra_deg, dec_deg, min(diagonal_deg, 60.0))
    if target_magnitude is None:
        return stars
    apart = separation_deg(stars.ra_deg, stars.dec_deg, ra_deg, dec_deg)
    others = stars[apart > _TARGET_CLEARANCE_DEG]
    return Stars(
        np.append(others.ra_deg, ra_deg),
        np.append(others.dec_deg, dec_deg),
        np.append(others.mag, target_magnitude),
    )


def _draw(stars: Stars, wcs: WCS, camera: Camera) -> npt.NDArray[np.float64]:
    image = np.zeros((camera.height_px, camera.width_px))
    sigma_px = camera.fwhm_px / _FWHM_PER_SIGMA
    sigma_x, sigma_y = sigma_px * camera.elongation**0.5, sigma_px / camera.elongation**0.5
    margin_px = -_STAMP_SIGMAS * max(sigma_x, sigma_y)
    x, y = places(wcs, stars)
    near = inside(x, y, camera.width_px, camera.height_px, margin_px)
    adu = 10.0 ** (-0.4 * (stars.mag - camera.zero_point))
    for star_x, star_y, flux in zip(x[near], y[near], adu[near], strict=True):
        columns, across = _profile(star_x, sigma_x, camera.width_px)
        rows, along = _profile(star_y, sigma_y, camera.height_px)
        image[rows, columns] += flux * np.outer(along, across)
    return image


def _profile(centre: float, sigma: float, size: int) -> tuple[slice, npt.NDArray[np.float64]]:
    """Integrate a Gaussian over pixels in one dimension; return which, and the light in each."""
    first = max(math.floor(centre - _STAMP_SIGMAS * sigma), 0)
    last = max(min(math.ceil(centre + _STAMP_SIGMAS * sigma) + 1, size), first)
    edges = np.arange(first, last + 1) - 0.5 - centre
    return slice(first, last), np.diff(_erf(edges / (sigma * math.sqrt(2.0)))) / 2.0


def _expose(
    light_adu: npt.NDArray[np.float64], camera: Camera, rng: np.random.Generator
) -> npt.NDArray[np.uint16]:
    photons = rng.poisson(light_adu * camera.gain_e_per_adu)
    electrons = photons + rng.normal(0.0, camera.read_noise_e, light_adu.shape)
    values = np.rint(electrons / camera.gain_e_per_adu + camera.bias_adu)
    return np.clip(values, 0, camera.saturation_adu).astype(np.uint16)


def _header(
    camera: Camera,
    ra_deg: float,
    dec_deg: float,
    mid_exposure_utc: dt.datetime,
    exposure_s: float,
    target_name: str,
) -> fits.Header:
    start = mid_exposure_utc.astimezone(dt.UTC) - dt.timedelta(seconds=exposure_s / 2)
    pixel_um = camera.scale_arcsec_px * camera.focal_length_mm / _ARCSEC_PER_RADIAN * 1000.0
    return fits.Header(
        [
            ("CREATOR", "Boundless Skies demo", "A rendered frame, not an observation"),
            ("INSTRUME", "Rendered camera", "Camera model"),
            ("OBJECT", target_name, "Name of the object"),
            ("RA", ra_deg, "[deg] Object right ascension"),
            ("DEC", dec_deg, "[deg] Object declination"),
            ("DATE-OBS", start.strftime("%Y-%m-%dT%H:%M:%S.%f"), "UTC start of exposure"),
            ("EXPTIME", exposure_s, "[s] Exposure time"),
            ("FOCALLEN", camera.focal_length_mm, "[mm] Focal length"),
            ("XPIXSZ", pixel_um, "[um] Pixel size"),
            ("YPIXSZ", pixel_um, "[um] Pixel size"),
            ("EGAIN", camera.gain_e_per_adu, "[e-/ADU] Electrons per unit"),
            ("FILTER", "CV", "Clear, zero point in V"),
            ("IMAGETYP", "Light", "Type of image"),
        ]
    )


def _put_site(header: fits.Header, site: Site) -> None:
    header["SITELAT"] = (site.latitude_deg, "[deg] Latitude, north positive")
    header["SITELONG"] = (site.longitude_deg, "[deg] Longitude, east positive")
    header["SITEELEV"] = (site.elevation_m, "[m] Height above the sea")

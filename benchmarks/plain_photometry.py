"""One frame by astropy and photutils, in the way that their guides show and the field writes it."""

import warnings

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.stats import SigmaClip
from astropy.wcs import WCS
from photutils.aperture import ApertureStats, CircularAnnulus, CircularAperture, aperture_photometry
from photutils.background import Background2D, MedianBackground
from photutils.detection import DAOStarFinder

FWHM_PX = 3.0
MATCH_ARCSEC = 5.0
BRIGHTEST_MAG, FAINTEST_MAG = 6.0, 12.0


def measure(path: str, target: SkyCoord, stars: SkyCoord, magnitudes: np.ndarray) -> float:
    """Return the target's magnitude in one frame, whose header has its plate solution.

    Sky by a mesh, stars by DAOFIND, apertures of 1.5 times the stars' width, a clipped ring
    around each, stars matched with the catalogue, the zero point their median.
    """
    with fits.open(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pixels, wcs = file[0].data.astype(float), WCS(file[0].header)
    clip = SigmaClip(sigma=3.0)
    sky = Background2D(
        pixels, (64, 64), filter_size=(3, 3), sigma_clip=clip, bkg_estimator=MedianBackground()
    )
    finder = DAOStarFinder(threshold=5.0 * sky.background_rms_median, fwhm=FWHM_PX)
    found = finder(pixels - sky.background)
    places = np.transpose([found["x_centroid"], found["y_centroid"]])
    apertures = CircularAperture(places, r=1.5 * FWHM_PX)
    ring = CircularAnnulus(places, r_in=4.0 * FWHM_PX, r_out=6.0 * FWHM_PX)
    level = ApertureStats(pixels, ring, sigma_clip=clip).median
    total = aperture_photometry(pixels, apertures)["aperture_sum"]
    light = np.asarray(total - level * apertures.area)
    seen = SkyCoord(wcs.pixel_to_world(places[:, 0], places[:, 1]))
    own = -2.5 * np.log10(np.maximum(light, 1.0))
    index, apart, _ = seen.match_to_catalog_sky(stars)
    near = (apart < MATCH_ARCSEC * units.arcsec) & (magnitudes[index] > BRIGHTEST_MAG)
    near &= (magnitudes[index] < FAINTEST_MAG) & (seen.separation(target) > 20 * units.arcsec)
    zero_point = np.median(magnitudes[index][near] - own[near])
    mine, _, _ = target.match_to_catalog_sky(seen)
    return float(own[mine] + zero_point)

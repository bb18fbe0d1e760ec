"""The facts of a header, however the camera spells them.

Each fact has a list of spellings, the most trustworthy first; ``docs/photometry.md``
shows them as a table.
"""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from boundless_skies.node.fits.channel import BAYER_LETTERS, pattern_in_file
from boundless_skies.node.fits.coordinates import (
    angle_deg,
    declination_deg,
    right_ascension_deg,
)
from boundless_skies.node.fits.dates import from_mjd, parse_utc
from boundless_skies.sky import Site, altitude_azimuth_deg

MID_KEYS = ("DATE-AVG", "DATE-MID")
# UT-OBS says by its name what it is; DATE-OBS beside it may be local time without an offset.
START_KEYS = ("UT-OBS", "DATE-OBS", "DATE-BEG")
MJD_KEYS = ("MJD-OBS",)
END_KEYS = ("DATE-END",)
TIME_OF_DAY_KEYS = ("TIME-OBS", "UT", "UTC", "UTSTART", "UT-OBS")
EXPOSURE_KEYS = ("EXPTIME", "EXPOSURE")
POSITION_KEYS = (("OBJCTRA", "OBJCTDEC"), ("RA", "DEC"), ("TELRA", "TELDEC"))
SCALE_KEYS = ("IM_SCALE", "PIXSCALE", "SCALE", "SECPIX", "SECPIX1")
LATITUDE_KEYS = ("SITELAT", "OBSGEO-B", "LAT-OBS", "LATITUDE", "OBSLAT", "GEOLAT")
LONGITUDE_KEYS = ("SITELONG", "OBSGEO-L", "LONG-OBS", "LONGITUD", "OBSLONG", "GEOLON")
ELEVATION_KEYS = ("SITEALT", "SITEELEV", "OBSGEO-H", "ALT-OBS", "ELEVATIO")
ALTITUDE_KEYS = ("TELALT", "OBJCTALT", "CENTALT", "ALTITUDE")
SATURATION_KEYS = ("SATURATE", "DATAMAX", "SATLEVEL")
TEMPERATURE_KEYS = ("CCD-TEMP", "CCDTEMP", "SET-TEMP")
BAYER_KEYS = ("BAYERPAT", "COLORTYP")
BAYER_OFFSET_KEYS = ("XBAYROFF", "YBAYROFF")

_UTC_NAMES = {"", "UTC", "UT", "UT1", "GMT"}
_ARCSEC_PER_RADIAN_UM_MM = 206.264806
# How far a header's altitude may lie from the computed one before its longitude is doubted.
_ALTITUDE_TOLERANCE_DEG = 1.5


class Cards(Protocol):
    """A header as it is read here: values by keyword, and their comments."""

    @property
    def comments(self) -> Mapping[str, str]:
        """The comment of each card."""

    def get(self, keyword: str, default: Any = None) -> Any:
        """Return the value of a card, or the default."""


@dataclass(frozen=True, kw_only=True)
class HeaderFacts:
    """What a header says; None where it does not.

    Attributes
    ----------
    mid_exposure_utc : datetime or None
        The middle of the exposure.
    exposure_s : float or None
        Its length.
    filter_name, object_name, instrument : str
        As the camera wrote them; empty where it did not.
    position_deg : tuple of float or None
        Right ascension and declination of the object, or where the mount thought it pointed.
    scales_arcsec_px : tuple of float
        Scales that the file's pixels may have, the likeliest first; empty where unknown.
    gain_e_per_adu : float or None
        Electrons per unit of the file.
    saturation_adu : float or None
        Where the pixels of the file saturate.
    bayer_pattern : str
        The colours of the first two rows of the file, four letters such as GRBG; empty
        for a mono camera.
    site : Site or None
        Where the telescope stands.
    """

    mid_exposure_utc: dt.datetime | None
    exposure_s: float | None
    filter_name: str
    object_name: str
    instrument: str
    position_deg: tuple[float, float] | None
    scales_arcsec_px: tuple[float, ...]
    gain_e_per_adu: float | None
    saturation_adu: float | None
    bayer_pattern: str
    site: Site | None


@dataclass(frozen=True, kw_only=True)
class CameraFacts:
    """What a header says of how the camera was set, to match darks and flats by.

    Attributes
    ----------
    exposure_s : float or None
        Exposure time.
    temperature_c : float or None
        Of the sensor, degrees Celsius.
    gain_setting : float or None
        The number that the camera's gain was set to.
    filter_name : str
        Empty where unknown.
    bayer_pattern : str
        As the file's rows hold it; empty for a mono camera.
    """

    exposure_s: float | None
    temperature_c: float | None
    gain_setting: float | None
    filter_name: str
    bayer_pattern: str


def read_camera(header: Cards) -> CameraFacts:
    """Gather how the camera was set.

    Parameters
    ----------
    header : Cards
        An astropy Header.

    Returns
    -------
    CameraFacts
        A value that cannot be meant counts as absent.
    """
    warmth = (_number(header, key) for key in TEMPERATURE_KEYS)
    return CameraFacts(
        exposure_s=_exposure_s(header, _start(header)),
        temperature_c=next((celsius for celsius in warmth if celsius is not None), None),
        gain_setting=_number(header, "GAIN"),
        filter_name=_text(header, "FILTER"),
        bayer_pattern=_bayer_pattern(header),
    )


def read_facts(header: Cards) -> HeaderFacts:
    """Gather the facts of a header.

    Parameters
    ----------
    header : Cards
        An astropy Header.

    Returns
    -------
    HeaderFacts
        A value that cannot be meant counts as absent.
    """
    start = _start(header)
    exposure_s = _exposure_s(header, start)
    middle = _first_stamp(header, MID_KEYS) or _middle(start, exposure_s)
    position = _position(header)
    return HeaderFacts(
        mid_exposure_utc=middle,
        exposure_s=exposure_s,
        filter_name=_text(header, "FILTER"),
        object_name=_text(header, "OBJECT"),
        instrument=_text(header, "INSTRUME"),
        position_deg=position,
        scales_arcsec_px=_scales(header),
        gain_e_per_adu=_gain(header),
        saturation_adu=_first_positive(header, SATURATION_KEYS),
        bayer_pattern=_bayer_pattern(header),
        site=_trusted_site(header, middle, position),
    )


def time_scale(header: Cards) -> str:
    """Return the header's time scale where it is another than UTC, else an empty string."""
    name = _text(header, "TIMESYS").upper()
    return "" if name in _UTC_NAMES else name


def _start(header: Cards) -> dt.datetime | None:
    stamp = _first_stamp(header, START_KEYS)
    if stamp is not None:
        return stamp
    days = (_number(header, key) for key in MJD_KEYS)
    return next((from_mjd(mjd) for mjd in days if mjd is not None), None)


def _first_stamp(header: Cards, keys: tuple[str, ...]) -> dt.datetime | None:
    time_of_day = next((text for key in TIME_OF_DAY_KEYS if (text := _text(header, key))), "")
    stamps = (parse_utc(_text(header, key), time_of_day) for key in keys)
    return next((stamp for stamp in stamps if stamp is not None), None)


def _exposure_s(header: Cards, start: dt.datetime | None) -> float | None:
    for key in EXPOSURE_KEYS:
        seconds = _number(header, key)
        if seconds is not None and seconds >= 0:
            return seconds
    end = _first_stamp(header, END_KEYS)
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds()


def _middle(start: dt.datetime | None, exposure_s: float | None) -> dt.datetime | None:
    if start is None or exposure_s is None:
        return None
    try:
        return start + dt.timedelta(seconds=exposure_s / 2)
    except OverflowError:
        return None


def _position(header: Cards) -> tuple[float, float] | None:
    for ra_key, dec_key in POSITION_KEYS:
        if header.get(ra_key) is None:
            continue
        ra_deg = right_ascension_deg(header.get(ra_key), header.comments[ra_key])
        dec_deg = declination_deg(header.get(dec_key))
        if ra_deg is not None and dec_deg is not None:
            return ra_deg, dec_deg
    return None


def _scales(header: Cards) -> tuple[float, ...]:
    stated = _first_positive(header, SCALE_KEYS)
    if stated is not None:
        return (stated,)
    pixel_um, focal_mm = (_number(header, key) or 0.0 for key in ("XPIXSZ", "FOCALLEN"))
    if pixel_um <= 0 or focal_mm <= 0:
        return ()
    scale = _ARCSEC_PER_RADIAN_UM_MM * pixel_um / focal_mm
    binning = _number(header, "XBINNING") or 1.0
    # Most programs write the size of the binned pixel, some the sensor's own.
    return (scale,) if binning <= 1 else (scale, scale * binning)


def _gain(header: Cards) -> float | None:
    stated = _first_positive(header, ("EGAIN",))
    if stated is not None:
        return stated
    # In amateur headers GAIN is mostly the number of a camera's setting.
    if header.get("GAIN") is not None and "e-" in header.comments["GAIN"].lower():
        return _first_positive(header, ("GAIN",))
    if "seestar" in _text(header, "INSTRUME").lower():
        return _seestar_gain(_number(header, "GAIN"))
    return None


def _seestar_gain(setting: float | None) -> float | None:
    """Electrons per unit of a Seestar S50's 16-bit raw files.

    0.07 at setting 80, from the growth of the sky's variance with its level over the
    colours of three raw frames of three telescopes (0.064, 0.074, 0.080); a setting
    is 0.1 dB.
    """
    return None if setting is None else 0.07 * 10 ** ((80.0 - setting) / 200.0)


def _bayer_pattern(header: Cards) -> str:
    """Return the pattern as the rows lie in the file.

    The cards describe the picture with its top row first. Without ROWORDER the file's
    first row is that top row, as every capture program writes it; BOTTOM-UP turns the
    pattern around where the number of rows is even.
    """
    stated = next((text.upper() for key in BAYER_KEYS if (text := _text(header, key))), "")
    if sorted(stated) != sorted(BAYER_LETTERS):
        return ""
    columns, rows = (round(_number(header, key) or 0.0) for key in BAYER_OFFSET_KEYS)
    bottom_up = _text(header, "ROWORDER").upper() == "BOTTOM-UP"
    if bottom_up and round(_number(header, "NAXIS2") or 0.0) % 2 == 0:
        rows += 1
    return pattern_in_file(stated, moved_columns=columns, moved_rows=rows)


def _trusted_site(
    header: Cards, middle: dt.datetime | None, position: tuple[float, float] | None
) -> Site | None:
    """Return the header's site; one that counts longitude westward is turned around.

    The header's own altitude decides: where it fits only the mirrored longitude,
    that is taken.
    """
    site = _site(header)
    stated = next((deg for key in ALTITUDE_KEYS if (deg := _angle(header, key)) is not None), None)
    if site is None or stated is None or middle is None or position is None:
        return site
    mirrored = replace(site, longitude_deg=-site.longitude_deg)
    misses = [
        abs(altitude_azimuth_deg(middle, *position, place)[0] - stated)
        for place in (site, mirrored)
    ]
    westward = misses[0] > _ALTITUDE_TOLERANCE_DEG > misses[1]
    return mirrored if westward else site


def _site(header: Cards) -> Site | None:
    latitude = next(
        (deg for key in LATITUDE_KEYS if (deg := declination_deg(header.get(key))) is not None),
        None,
    )
    longitude = next(
        (deg for key in LONGITUDE_KEYS if (deg := _angle(header, key)) is not None), None
    )
    if latitude is None or longitude is None or latitude == longitude == 0.0:
        return None
    elevation_m = next(
        (height for key in ELEVATION_KEYS if (height := _number(header, key)) is not None), 0.0
    )
    return Site(latitude, (longitude + 180.0) % 360.0 - 180.0, elevation_m)


def _angle(header: Cards, key: str) -> float | None:
    return angle_deg(header.get(key))


def _text(header: Cards, key: str) -> str:
    value = header.get(key)
    return re.sub(r"\s+", " ", value).strip() if isinstance(value, str) else ""


def _number(header: Cards, key: str) -> float | None:
    value = header.get(key)
    if isinstance(value, str) and ":" in value:
        return None
    return angle_deg(value)


def _first_positive(header: Cards, keys: tuple[str, ...]) -> float | None:
    return next(
        (number for key in keys if (number := _number(header, key)) is not None and number > 0),
        None,
    )

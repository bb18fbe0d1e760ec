"""What the photometry takes from the node's config: one table with every default."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self, TypeVar

from boundless_skies.node.calibration.paths import CalibrationPaths
from boundless_skies.node.catalogue_names import NAMES
from boundless_skies.node.errors import WrongSetting
from boundless_skies.node.fits.channel import Channel
from boundless_skies.sky.site import Site


class Method(StrEnum):
    """How a target's light is measured."""

    APERTURE = "aperture"
    PSF = "psf"
    AUTO = "auto"


@dataclass(frozen=True)
class Target:
    """A star to measure.

    Attributes
    ----------
    name : str
        As it shall stand on the light curve.
    ra_deg, dec_deg : float
        Position, J2000 (ICRS), degrees.
    from_header : bool
        Whether only the frame's header tells the position: it may be where the mount
        pointed, so that no star seen there does not say that the target is faint.
    """

    name: str
    ra_deg: float
    dec_deg: float
    from_header: bool = field(default=False, compare=False)

    @classmethod
    def at(
        cls, ra_deg: float, dec_deg: float, name: str = "", *, from_header: bool = False
    ) -> Self:
        """Make a target; one without a name is called by its position."""
        ra_deg = ra_deg % 360.0 % 360.0
        return cls(name or f"J{ra_deg:.4f}{dec_deg:+.4f}", ra_deg, dec_deg, from_header)

    @property
    def position_deg(self) -> tuple[float, float]:
        """Right ascension and declination."""
        return self.ra_deg, self.dec_deg


@dataclass(frozen=True, kw_only=True)
class PhotometrySettings:
    """Every key of the config that the photometry reads; None means "not given".

    Attributes
    ----------
    node_id : str
        ``photometry.node_id``: who measured.
    filter_name : str
        ``photometry.filter_name``: AAVSO abbreviation of the band; without it the
        header's FILTER where that is such an abbreviation, else CV.
    channel : Channel
        ``photometry.channel``: what is measured of a colour image.
    method : Method
        ``photometry.method``: the light in a circle, or a fit of the stars' own image to the
        target and its neighbours, or that where a neighbour is seen.
    target : Target or None
        ``photometry.target`` (``name``, ``ra_deg``, ``dec_deg``); without it the header's.
    target_name : str
        ``photometry.target.name`` alone: renames the header's target.
    site : Site or None
        ``observatory.latitude``, ``longitude`` (degrees), ``elevation`` (m); without it
        the header's.
    telescope_aperture_mm : float or None
        ``observatory.aperture_mm``: adds scintillation to the uncertainty where given.
    scale_arcsec_px : float or None
        ``photometry.scale_arcsec_px``: of the file's pixels; wins over the header's.
    aperture_radius_px : float or None
        ``photometry.aperture_radius_px``, in the file's pixels; without it the best radius
        for the first frame of a target, kept for the night.
    gain_e_per_adu : float or None
        ``photometry.gain_e_per_adu``: electrons per unit of the file; wins over the header's.
    saturation_adu : float or None
        ``photometry.saturation_adu``: wins over what header and pixels say.
    calibration : CalibrationPaths
        ``photometry.calibration.dark``, ``flat``, ``bias``: files, or folders of exposures.
    catalogues : tuple of str
        ``photometry.catalogues``: whose comparison stars are taken, the first of which the
        frame shows enough; the bundled catalogue comes last of itself.
    catalogue_cache : str
        ``photometry.catalogue_cache``: folder for their answers; empty: see `data_dir`.
    data_dir : str
        ``cloud.data_dir``: the node's data folder, whose ``catalogues`` keeps the answers
        where the folder is there; else the user's cache folder does.
    """

    node_id: str = "node_001"
    filter_name: str = ""
    channel: Channel = Channel.LUMINANCE
    method: Method = Method.APERTURE
    target: Target | None = None
    target_name: str = ""
    site: Site | None = None
    telescope_aperture_mm: float | None = None
    scale_arcsec_px: float | None = None
    aperture_radius_px: float | None = None
    gain_e_per_adu: float | None = None
    saturation_adu: float | None = None
    calibration: CalibrationPaths = field(default_factory=CalibrationPaths)
    catalogues: tuple[str, ...] = ()
    catalogue_cache: str = ""
    data_dir: str = ""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read the settings from the node's whole config.

        Parameters
        ----------
        config : Mapping
            Absent keys and None mean the default.

        Returns
        -------
        PhotometrySettings
            The settings.

        Raises
        ------
        WrongSetting
            If a key holds what it cannot mean; the message says what it may be.
        """
        photometry = config.get("photometry") or {}
        observatory = config.get("observatory") or {}
        target = photometry.get("target") or {}
        return cls(
            node_id=str(photometry.get("node_id") or cls.node_id),
            filter_name=str(photometry.get("filter_name") or ""),
            channel=_choice(photometry, "channel", cls.channel),
            method=_choice(photometry, "method", cls.method),
            target=_target(target),
            target_name=str(target.get("name") or ""),
            site=_site(observatory),
            telescope_aperture_mm=_positive(observatory, "observatory.aperture_mm"),
            scale_arcsec_px=_positive(photometry, "photometry.scale_arcsec_px"),
            aperture_radius_px=_positive(photometry, "photometry.aperture_radius_px"),
            gain_e_per_adu=_positive(photometry, "photometry.gain_e_per_adu"),
            saturation_adu=_positive(photometry, "photometry.saturation_adu"),
            calibration=_calibration(photometry.get("calibration") or {}),
            catalogues=_catalogues(photometry),
            catalogue_cache=str(photometry.get("catalogue_cache") or ""),
            data_dir=str((config.get("cloud") or {}).get("data_dir") or ""),
        )


_Choice = TypeVar("_Choice", bound=StrEnum)


def _choice(block: Mapping[str, Any], name: str, default: _Choice) -> _Choice:
    value = block.get(name) or default
    try:
        return type(default)(value)
    except ValueError:
        wanted = "one of " + ", ".join(type(default))
        raise WrongSetting(f"photometry.{name}", value, wanted) from None


def _catalogues(block: Mapping[str, Any]) -> tuple[str, ...]:
    wished = block.get("catalogues") or ()
    if isinstance(wished, str) or not set(wished) <= set(NAMES):
        raise WrongSetting("photometry.catalogues", wished, "a list of " + ", ".join(NAMES))
    return tuple(wished)


def _calibration(block: Mapping[str, Any]) -> CalibrationPaths:
    return CalibrationPaths(*(str(block.get(kind) or "") for kind in ("dark", "flat", "bias")))


def _target(block: Mapping[str, Any]) -> Target | None:
    ra_deg = _number(block, "photometry.target.ra_deg")
    dec_deg = _number(block, "photometry.target.dec_deg")
    if ra_deg is None or dec_deg is None:
        return None
    return Target.at(ra_deg, dec_deg, str(block.get("name") or ""))


def _site(block: Mapping[str, Any]) -> Site | None:
    latitude = _number(block, "observatory.latitude")
    longitude = _number(block, "observatory.longitude")
    if latitude is None or longitude is None:
        return None
    # 0/0 is what an unset config of this field says; nobody observes from there.
    if latitude == 0.0 and longitude == 0.0:
        return None
    return Site(latitude, longitude, _number(block, "observatory.elevation") or 0.0)


def _positive(block: Mapping[str, Any], key: str) -> float | None:
    number = _number(block, key)
    return number if number is not None and math.isfinite(number) and number > 0 else None


def _number(block: Mapping[str, Any], key: str) -> float | None:
    """Return a number by the last part of its key; None where there is none."""
    value = block.get(key.rpartition(".")[2])
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise WrongSetting(key, value, "a number") from None

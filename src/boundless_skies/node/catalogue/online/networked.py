"""Catalogues on the network as sources of comparison stars: cache, then network, then nothing.

A night must not wait for a network. A query takes at most :data:`LIMIT_S`; a service that
fails is left alone for an hour, with one line in the log; what it answered before is on disk.
"""

import logging
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from boundless_skies.node.catalogue.comparison_star import ComparisonStar
from boundless_skies.node.catalogue.known_variables import KnownVariable, named_variables
from boundless_skies.node.catalogue.online.cache import AnswerCache
from boundless_skies.node.catalogue.online.fetching import CatalogueUnreachable, Fetch, fetch
from boundless_skies.node.catalogue.online.listed_star import ListedStar
from boundless_skies.node.catalogue.online.services import Cone, Service, Vsp
from boundless_skies.node.catalogue.online.vizier import Apass, Gaia, Vsx
from boundless_skies.node.catalogue.tycho2 import separation_deg
from boundless_skies.node.catalogue_names import APASS, GAIA, VSP

SERVICES: Mapping[str, Callable[[], Service]] = {VSP: Vsp, APASS: Apass, GAIA: Gaia}
"""The catalogues on the network by their names in the config."""
VARIABLES: Callable[[], Service] = Vsx
"""Who is asked which stars vary, wherever any catalogue on the network is wished."""

PAUSE_S = 3600.0
"""A service that failed is not asked again for so long (s)."""

# Neighbouring targets and repeated nights ask the same question.
_GRID_DEG = 0.1
_MAG_STEP = 0.5
_VARIABLES_TO_MAG = 16.0

_CATALOGUE_BANDS = {
    **dict.fromkeys(("B", "TB"), "B"),
    **dict.fromkeys(("R", "TR", "CR"), "R"),
    "I": "I",
}

_log = logging.getLogger(__name__)


def catalogue_band(filter_name: str) -> str:
    """Return the band of a catalogue that is nearest to a filter.

    Parameters
    ----------
    filter_name : str
        As the AAVSO abbreviates it.

    Returns
    -------
    str
        B for B and TB; R for R, TR and CR; I for I; V for all others, which a clear filter
        is reported in too.
    """
    return _CATALOGUE_BANDS.get(filter_name.upper(), "V")


def default_cache_folder(
    data_folder: str | os.PathLike[str] | None = None, name: str = "catalogues"
) -> Path:
    """Return where answers of catalogues, or others of the photometry's records, are kept.

    Parameters
    ----------
    data_folder : path-like, optional
        The node's; counts where it is there.
    name : str, optional
        What is kept.

    Returns
    -------
    Path
        A folder of that name in it, else in the user's cache folder.
    """
    if data_folder and (own := Path(data_folder).expanduser()).is_dir():
        return own / name
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "boundless-skies" / name


class NetworkedCatalogues:
    """Catalogues on the network, asked in the order in which they are wished.

    Parameters
    ----------
    services : sequence of Service
        The wished ones; where there are none, nothing is asked at all.
    cache : AnswerCache
        Where answers are kept.
    get : callable, optional
        Fetches an address, or raises CatalogueUnreachable.
    clock : callable, optional
        Seconds that never go back.
    """

    def __init__(
        self,
        services: Sequence[Service],
        cache: AnswerCache,
        get: Fetch = fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services = tuple(services)
        self._variable_index = VARIABLES()
        self._cache = cache
        self._get = get
        self._clock = clock
        self._paused_until_s: dict[str, float] = {}

    def sources(self, band: str) -> "list[NetworkedSource]":
        """Return those that have a band, as sources of comparison stars.

        Parameters
        ----------
        band : str
            Of the catalogue; see :func:`catalogue_band`.

        Returns
        -------
        list of NetworkedSource
            In the wished order.
        """
        return [
            NetworkedSource(self, service, band)
            for service in self._services
            if band in service.bands
        ]

    def variables(
        self, field_center: tuple[float, float], radius_deg: float
    ) -> list[KnownVariable]:
        """Return the known variables around a position.

        Parameters
        ----------
        field_center : tuple of float
            Right ascension and declination, J2000, degrees.
        radius_deg : float
            How far from it they may lie.

        Returns
        -------
        list of KnownVariable
            VSX's to magnitude 16 where a catalogue on the network is wished and VSX can be
            asked, or is on disk; then those that need no network. Never raises.
        """
        known = named_variables(field_center, radius_deg)
        if not self._services:
            return known
        cone = Cone(*field_center, radius_deg, _VARIABLES_TO_MAG)
        index = self._variable_index
        return [_known_variable(index, star) for star in self.listed(index, cone)] + known

    def listed(self, service: Service, cone: Cone) -> list[ListedStar]:
        """Return what a catalogue lists, from the disk or from the network.

        Parameters
        ----------
        service : Service
            The catalogue.
        cone : Cone
            Where, and how faint.

        Returns
        -------
        list of ListedStar
            Also some beyond the cone; empty where neither disk nor network has an answer.
        """
        wider = _rounded(cone)
        question = f"{service.name} {wider}"
        kept = self._cache.get(question)
        if kept and kept.is_fresh:
            return kept.stars
        answer = self._asked(service, wider)
        if answer is None:
            return kept.stars if kept else []
        self._cache.put(question, answer)
        return answer

    def _asked(self, service: Service, cone: Cone) -> list[ListedStar] | None:
        if self._clock() < self._paused_until_s.get(service.host, -math.inf):
            return None
        try:
            return service.read(self._get(service.address(cone)))
        except CatalogueUnreachable as error:
            self._paused_until_s[service.host] = self._clock() + PAUSE_S
            _log.warning(
                "%s gives no %s stars: %s. Measuring goes on with what is on disk; "
                "asked again in %.0f minutes.",
                service.name,
                "comparison" if service.bands else "variable",
                error,
                PAUSE_S / 60.0,
            )
            return None


class NetworkedSource:
    """One catalogue on the network, in one band.

    Parameters
    ----------
    catalogues : NetworkedCatalogues
        Asks it.
    service : Service
        The catalogue.
    band : str
        The band.
    """

    def __init__(self, catalogues: NetworkedCatalogues, service: Service, band: str) -> None:
        self._catalogues, self._service, self._band = catalogues, service, band

    def stars(
        self, field_center: tuple[float, float], radius_deg: float, bright: float, faint: float
    ) -> list[ComparisonStar]:
        """Return the catalogue's stars around a position, brightest first.

        Parameters
        ----------
        field_center : tuple of float
            Right ascension and declination, J2000, degrees.
        radius_deg : float
            How far from it they may lie.
        bright, faint : float
            The brightest and the faintest magnitude in the band.

        Returns
        -------
        list of ComparisonStar
            Empty where the catalogue cannot be asked; never raises.
        """
        listed = self._catalogues.listed(self._service, Cone(*field_center, radius_deg, faint))
        stars = [self._comparison(star) for star in listed if self._band in star.magnitudes]
        places = np.array([(star.ra_deg, star.dec_deg) for star in stars]).reshape(-1, 2)
        near = separation_deg(places[:, 0], places[:, 1], *field_center) <= radius_deg
        wanted = [
            star
            for star, is_near in zip(stars, near.tolist(), strict=True)
            if is_near and bright <= star.magnitude <= faint
        ]
        return sorted(wanted, key=lambda star: star.magnitude)

    def _comparison(self, star: ListedStar) -> ComparisonStar:
        magnitude, uncertainty = star.magnitudes[self._band]
        return ComparisonStar(
            ra_deg=star.ra_deg,
            dec_deg=star.dec_deg,
            magnitude=magnitude,
            uncertainty=uncertainty,
            band=self._band,
            colour_bv=star.colour_bv,
            colour_bp_rp=star.colour_bp_rp,
            name=star.name,
            catalogue=self._service.name,
            is_variable=star.is_variable,
            variability=f"{self._service.name} calls it variable" if star.is_variable else "",
        )


def _known_variable(index: Service, star: ListedStar) -> KnownVariable:
    told = f"{index.name}: {star.name}" if star.name else index.name
    return KnownVariable(ra_deg=star.ra_deg, dec_deg=star.dec_deg, told=told)


def _rounded(cone: Cone) -> Cone:
    """Return a cone on a grid that holds the other."""
    dec_deg = min(max(_on_grid(cone.dec_deg), -90.0), 90.0)
    # The corners of a grid's cell are half its diagonal away.
    reach_deg = cone.radius_deg + _GRID_DEG / math.sqrt(2.0)
    return Cone(
        ra_deg=_on_grid(cone.ra_deg) % 360.0,
        dec_deg=dec_deg,
        radius_deg=round(math.ceil(reach_deg / _GRID_DEG) * _GRID_DEG, 1),
        faint_mag=math.ceil(cone.faint_mag / _MAG_STEP) * _MAG_STEP,
    )


def _on_grid(angle_deg: float) -> float:
    return round(round(angle_deg / _GRID_DEG) * _GRID_DEG, 1)

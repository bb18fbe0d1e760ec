"""How a magnitude came about, as far as the node told it.

A measurement is kept with every key that its node wrote. Here an astronomer's
questions meet the keys under which programs in the field answer them; what is
missing or makes no sense is left out, and nothing is refused.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from boundless_skies.cloud.domain.reading import clean_text, finite_number
from boundless_skies.wire.quality_reasons import REASONS, reasons_of

TEXT_MAX_CHARS = 200
STARS_MAX = 100
"""So many comparison stars are told one by one; the count is told in any case."""
REMARKS_MAX = 40
"""So many reasons of a node's own are read, and stars left out; nodes of ours tell fewer."""
COUNT_MAX = 2**31 - 1
_KEYS_MAX = 500
_NUMBER_NAME_MAX = 10**20

_STAR_NAME = ("name", "id", "label", "auid", "source_id")
_CATALOGUE_MAG = ("catalogue_mag", "catalog_mag", "cat_mag", "mag", "magnitude", "ref_mag")
_MEASURED_MAG = ("measured_mag", "instrumental_mag", "inst_mag")
_VARIES = "known to vary"
_SCATTERS = "scatters over the series by at least twice its errors"
_REGISTRY = {reason.name: reason for reason in REASONS}


@dataclass(frozen=True, kw_only=True)
class Star:
    """A comparison or check star: degrees (J2000) and mag, None where not told."""

    name: str | None = None
    ra_deg: float | None = None
    dec_deg: float | None = None
    catalogue_mag: float | None = None
    measured_mag: float | None = None


@dataclass(frozen=True, kw_only=True)
class QualityRemark:
    """A reason why a measurement is less than good.

    Attributes
    ----------
    name : str
        The registry's name of it, or the node's own words.
    meaning : str or None
        When the registry's reason holds; None for a reason that is not in it.
    found : str or None
        What the node found, where it told.
    """

    name: str
    meaning: str | None = None
    found: str | None = None

    @property
    def sentence(self) -> str:
        """The name with what was found, or else with what it means."""
        told = self.found or self.meaning
        return f"{self.name}: {told}" if told else self.name


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A star that was not compared with, and why, as its node told it."""

    name: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How a magnitude came about; None, or no star, where the node did not tell.

    Attributes
    ----------
    filter : str or None
        The filter as the node named it.
    exposure_s : float or None
        Exposure time, seconds.
    aperture_px : float or None
        Radius of the aperture, pixels.
    aperture : str or None
        The aperture in the node's own words, where it is no number.
    zero_point, zp_scatter : float or None
        Zero point and its scatter from star to star, mag.
    comparison_count : int or None
        How many comparison stars there were.
    comparison_stars : tuple of Star
        The first of them, where the node named them.
    check_star : Star or None
        The star measured like the target as a check.
    catalogue : str or None
        Where the comparison stars' magnitudes come from.
    chart : str or None
        The AAVSO's chart that was used.
    software, software_version : str or None
        What measured.
    solver : str or None
        What found the place in the sky.
    fits_file : str or None
        The frame.
    left_out : tuple of LeftOut
        Stars that were not compared with because they vary.
    quality_bits : int or None
        The node's reasons for less than good quality as a mask.
    quality_reasons : tuple of QualityRemark
        The same with names and sentences: first those of the registry, then others.
    """

    filter: str | None
    exposure_s: float | None
    aperture_px: float | None
    aperture: str | None
    zero_point: float | None
    zp_scatter: float | None
    comparison_count: int | None
    comparison_stars: tuple[Star, ...]
    check_star: Star | None
    catalogue: str | None
    chart: str | None
    software: str | None
    software_version: str | None
    solver: str | None
    fits_file: str | None
    left_out: tuple[LeftOut, ...]
    quality_bits: int | None
    quality_reasons: tuple[QualityRemark, ...]


def read_provenance(payload: Any) -> Provenance:
    """Pick from a kept measurement what tells how it was made.

    Parameters
    ----------
    payload : Any
        The measurement as its node wrote it; anything.

    Returns
    -------
    Provenance
        Bounded in size, whatever the payload is.
    """
    told = _by_small_key(payload)
    software = _object(told, "software", "pipeline", "program")
    bits = _read_bits(told)
    return Provenance(
        filter=_text(told, "filter", "filter_name", "band"),
        exposure_s=_positive(told, "exposure_s", "exposure", "exptime", "exposure_time"),
        aperture_px=_positive(told, "aperture_px", "aperture_radius_px", "aperture_radius")
        or _positive(told, "aperture"),
        aperture=_words(told, "aperture"),
        zero_point=_number(told, "zero_point", "zp"),
        zp_scatter=_number(told, "zp_scatter", "zero_point_scatter", "zp_std"),
        comparison_count=_read_count(told),
        comparison_stars=_read_stars(told),
        check_star=_read_check_star(told),
        catalogue=_text(told, "catalogue", "catalog", "reference_catalog", "star_catalog"),
        chart=_text(told, "chart", "chart_id"),
        software=_text(told, "software", "software_name", "pipeline", "program")
        or _text(software, "name"),
        software_version=_text(told, "software_version", "pipeline_version", "version")
        or _text(software, "version"),
        solver=_text(told, "solver", "plate_solver", "wcs_source")
        or _text(_object(told, "solver", "plate_solver"), "name"),
        fits_file=_text(told, "fits_file", "filename"),
        left_out=tuple(_read_left_out(told)),
        quality_bits=bits,
        quality_reasons=_read_reasons(told, bits or 0),
    )


def _read_left_out(told: Mapping[str, Any]) -> Iterator[LeftOut]:
    for star in _first_of(told.get("comparisons_dropped")):
        entry = _by_small_key(star)
        if name := _star_name(entry):
            yield LeftOut(name=name, why=_text(entry, "why", "reason") or _VARIES)
    for star in _first_of(told.get("comparisons_varying")):
        if name := _star_name({"name": star}):
            yield LeftOut(name=name, why=_SCATTERS)


def _first_of(value: Any) -> list[Any]:
    return value[:REMARKS_MAX] if isinstance(value, list) else []


def _read_bits(told: Mapping[str, Any]) -> int | None:
    bits = _number(told, "quality_bits")
    if bits is None or not 0 <= bits <= COUNT_MAX or bits != int(bits):
        return None
    return int(bits)


def _read_reasons(told: Mapping[str, Any], bits: int) -> tuple[QualityRemark, ...]:
    """Put the mask's reasons together with what the node found; each reason is told once."""
    found = dict(_split_remarks(told.get("quality_reasons")))
    known = {reason.name: reason for reason in reasons_of(bits)}
    known |= {name: _REGISTRY[name] for name in found if name in _REGISTRY}
    in_order = sorted(known.values(), key=lambda reason: reason.bit)
    remarks = [
        QualityRemark(name=one.name, meaning=one.meaning, found=found.get(one.name))
        for one in in_order
    ]
    others = [QualityRemark(name=name, found=found[name]) for name in found if name not in known]
    return (*remarks, *others)


def _split_remarks(value: Any) -> Iterator[tuple[str, str | None]]:
    """Take "name: what was found" apart, as a node writes it for each reason."""
    for remark in [value] if isinstance(value, str) else _first_of(value):
        name, _, found = remark.partition(":") if isinstance(remark, str) else ("", "", "")
        if shown := _printable(name):
            yield shown, _printable(found) or None


def _by_small_key(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {}
    told: dict[str, Any] = {}
    for key, entry in list(value.items())[:_KEYS_MAX]:
        told.setdefault(str(key)[:TEXT_MAX_CHARS].lower(), entry)
    return told


def _text(told: Mapping[str, Any], *keys: str) -> str | None:
    """Return the first text under the keys, cut to a bearable length, without odd characters."""
    for key in keys:
        value = told.get(key)
        if isinstance(value, str) and (text := _printable(value)):
            return text
    return None


def _printable(text: str) -> str:
    cut = clean_text(text[:TEXT_MAX_CHARS])
    return "".join(char for char in cut if char.isprintable())[:TEXT_MAX_CHARS].strip()


def _number(told: Mapping[str, Any], *keys: str) -> float | None:
    numbers = (finite_number(_bounded(told.get(key))) for key in keys)
    return next((number for number in numbers if number is not None), None)


def _bounded(value: Any) -> Any:
    return value[:TEXT_MAX_CHARS] if isinstance(value, str) else value


def _positive(told: Mapping[str, Any], *keys: str) -> float | None:
    number = _number(told, *keys)
    return number if number is not None and number > 0 else None


def _words(told: Mapping[str, Any], key: str) -> str | None:
    return None if _number(told, key) is not None else _text(told, key)


def _object(told: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    objects = (_by_small_key(told.get(key)) for key in keys)
    return next(filter(None, objects), {})


def _read_count(told: Mapping[str, Any]) -> int | None:
    stars = told.get("comparison_stars")
    if isinstance(stars, list):
        return len(stars)
    count = _number(told, "comparison_stars", "n_comparison_stars", "comparison_count", "n_comps")
    return int(count) if count is not None and 0 <= count <= COUNT_MAX else None


def _read_stars(told: Mapping[str, Any]) -> tuple[Star, ...]:
    lists = (told.get(key) for key in ("comparison_stars", "comparisons", "comps"))
    stars = next((value for value in lists if isinstance(value, list)), [])
    read = (_read_star(star) for star in stars[:STARS_MAX])
    return tuple(star for star in read if star is not None)


def _read_check_star(told: Mapping[str, Any]) -> Star | None:
    star = _read_star(told.get("check_star"))
    name = (star.name if star else None) or _text(told, "check_star_name", "check_name", "kname")
    measured = _number(told, "check_star_mag", "check_mag", "kmag")
    if star is None:
        return Star(name=name, measured_mag=measured) if name else None
    own = star.measured_mag
    return replace(star, measured_mag=measured if own is None else own)


def _read_star(value: Any) -> Star | None:
    """Return a star given as an object or by its name alone; None for anything else."""
    told = {"name": value} if isinstance(value, str) else _by_small_key(value)
    star = Star(
        name=_star_name(told),
        ra_deg=_number(told, "ra_deg", "ra"),
        dec_deg=_number(told, "dec_deg", "dec"),
        catalogue_mag=_number(told, *_CATALOGUE_MAG),
        measured_mag=_number(told, *_MEASURED_MAG),
    )
    return None if star == Star() else star


def _star_name(told: Mapping[str, Any]) -> str | None:
    """Return a star's name; a catalogue's number is one, too."""
    for key in _STAR_NAME:
        value = told.get(key)
        if type(value) is int and abs(value) < _NUMBER_NAME_MAX:
            return str(value)
    return _text(told, *_STAR_NAME)

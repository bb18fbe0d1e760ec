"""An exposure as a FITS file that is whole or not there at all."""

import datetime as dt
import errno
import hashlib
import io
import math
import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from astropy.io import fits

from boundless_skies import __version__
from boundless_skies.node.devices.capabilities import Exposure
from boundless_skies.node.errors import NodeError
from boundless_skies.sky import Site
from cloud_communicator.disk import sync_folder

_DEG_PER_HOUR = 15.0
_PATH_TO_MEND = "Give the node another folder."
_FAULTS = {
    errno.ENOSPC: ("the disk is full", "Make room on it."),
    errno.EDQUOT: ("your share of the disk is used up", "Make room on it."),
    errno.EROFS: ("the disk is read-only", _PATH_TO_MEND),
    errno.EACCES: ("this program may not write there", _PATH_TO_MEND),
}
_UNFINISHED = (".frame-", ".part")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._+-]+")
# FITS 4.0, section 4.2.1: a text that fits into one card, quotes doubled, is read by every program.
_TEXT_CHARACTERS = 68
_SHORTEST_TEXT = 8
_UNSPELT = str.maketrans({"ß": "ss", "æ": "ae", "Æ": "Ae", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"})


Card = tuple[str, str | int | float | None, str]


class FrameNotWritten(NodeError):  # noqa: N818 - the name says the fault
    """A frame could not be written; nothing of it is left on the disk."""


@dataclass(frozen=True, kw_only=True)
class FrameFacts:
    """What a frame's header says beside the camera's own facts; None or empty is left out.

    Attributes
    ----------
    object_name : str
        Name of the target.
    ra_deg, dec_deg : float or None
        Where the telescope pointed, J2000, degrees: the place that the plate solution found,
        else the mount's own word.
    target_ra_deg, target_dec_deg : float or None
        Where the target is, J2000, degrees.
    site : Site or None
        Where the telescope stands.
    telescope : str
        Make and model.
    filter_name : str
        What the camera's filter wheel does not say.
    focal_length_mm : float or None
        Millimetres.
    plan_id, item_id : str
        The plan's item that the frame belongs to.
    number : int or None
        Which exposure of the item it is, from 1.
    is_light : bool
        False for a dark.
    """

    object_name: str = ""
    ra_deg: float | None = None
    dec_deg: float | None = None
    target_ra_deg: float | None = None
    target_dec_deg: float | None = None
    site: Site | None = None
    telescope: str = ""
    filter_name: str = ""
    focal_length_mm: float | None = None
    plan_id: str = ""
    item_id: str = ""
    number: int | None = None
    is_light: bool = True


def write_frame(path: Path, exposure: Exposure, facts: FrameFacts) -> None:
    """Write an exposure.

    The file appears under its name only once all of it is on the disk, and outlasts a power
    cut from then on. A file that is there already is replaced.

    Parameters
    ----------
    path : Path
        Where; its folder is made if need be.
    exposure : Exposure
        What the camera gave.
    facts : FrameFacts
        What else the header should say.

    Raises
    ------
    FrameNotWritten
        If the disk does not take it.
    """
    content = _serialised(exposure, facts)
    unfinished = path.with_name(_digest(path.name).join(_UNFINISHED))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_durably(unfinished, content)
        unfinished.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        why = (error.strerror or str(error), _PATH_TO_MEND)
        fault, remedy = _FAULTS.get(error.errno or 0, why)
        raise FrameNotWritten(
            f"The frame {path.name} could not be written to {path.parent}: {fault}. {remedy}"
        ) from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> int:
    """Remove what writes that a power cut ended have left behind.

    Parameters
    ----------
    folder : Path
        Where frames are written, by nobody at this moment.

    Returns
    -------
    int
        How many files were removed.
    """
    removed = 0
    for path in folder.glob("*".join(_UNFINISHED)):
        with suppress(OSError):
            path.unlink()
            removed += 1
    return removed


def frame_file_name(object_name: str, plan_id: str, item_id: str, number: int) -> str:
    """Return the name of an exposure's file; the same for the same exposure, and for no other.

    Parameters
    ----------
    object_name, plan_id, item_id : str
        Any texts.
    number : int
        Which exposure of the item it is.

    Returns
    -------
    str
        Letters that every disk takes, at most 120 of them.
    """
    words = _NOT_IN_NAMES.sub("_", plain(f"{object_name}_{plan_id}_{item_id}")).strip("._")
    identity = _digest(f"{plan_id}\0{item_id}")
    return f"{words}_{identity}_{number:04d}.fits"


def frame_header(exposure: Exposure, facts: FrameFacts) -> fits.Header:
    """Return the header of an exposure.

    Parameters
    ----------
    exposure : Exposure
        What the camera gave.
    facts : FrameFacts
        What else is known.

    Returns
    -------
    Header
        Texts in ASCII and short enough for one card each, as FITS wants them.
    """
    cards = (
        *_time_cards(exposure),
        *_target_cards(facts),
        *_camera_cards(exposure, facts),
        *_site_cards(facts.site),
        *_plan_cards(facts),
        ("SWCREATE", f"Boundless Skies {__version__}", "Program that wrote this file"),
    )
    return fits.Header([_fitting(card) for card in cards if _is_known(card[1])])


def _fitting(card: Card) -> Card:
    """Cut the comment where a long text leaves it no room, which astropy warns of."""
    keyword, value, comment = card
    if not isinstance(value, str):
        return card
    room = _TEXT_CHARACTERS - len(" / ") - max(len(value) + value.count("'"), _SHORTEST_TEXT)
    return keyword, value, comment[: max(room, 0)].rstrip()


def _time_cards(exposure: Exposure) -> Iterator[Card]:
    yield "DATE-OBS", _stamp(exposure.start_utc), "UTC start of the exposure"
    yield "DATE-AVG", _stamp(exposure.mid_utc), "UTC middle of the exposure"
    yield "TIMESYS", "UTC", "Time scale"
    yield "EXPTIME", exposure.exposure_s, "[s] Exposure time"


def _target_cards(facts: FrameFacts) -> Iterator[Card]:
    yield "OBJECT", plain(facts.object_name), "Name of the target"
    yield "IMAGETYP", "Light" if facts.is_light else "Dark", "Kind of frame"
    if facts.ra_deg is not None and facts.dec_deg is not None:
        yield "RA", facts.ra_deg % 360.0, "[deg] Where the telescope pointed, J2000"
        yield "DEC", facts.dec_deg, "[deg] Where the telescope pointed, J2000"
        yield "RADESYS", "ICRS", "Reference frame of the positions"
        yield "EQUINOX", 2000.0, "[yr] Equinox of the positions"
    target = _target(facts)
    if target is not None:
        yield "OBJCTRA", _hours(target[0]), "[h m s] Right ascension of the target, J2000"
        yield "OBJCTDEC", _degrees(target[1]), "[d m s] Declination of the target, J2000"


def _target(facts: FrameFacts) -> tuple[float, float] | None:
    if facts.target_ra_deg is not None and facts.target_dec_deg is not None:
        return facts.target_ra_deg, facts.target_dec_deg
    if facts.ra_deg is not None and facts.dec_deg is not None:
        return facts.ra_deg, facts.dec_deg
    return None


def _camera_cards(exposure: Exposure, facts: FrameFacts) -> Iterator[Card]:
    pixel_um = exposure.pixel_size_um
    binned_um = None if pixel_um is None else pixel_um * exposure.binning
    yield "INSTRUME", plain(exposure.camera), "Camera"
    yield "TELESCOP", plain(facts.telescope), "Telescope"
    yield "FILTER", plain(exposure.filter_name or facts.filter_name), "Filter"
    yield "FOCALLEN", facts.focal_length_mm, "[mm] Focal length"
    yield "XPIXSZ", binned_um, "[um] Width of a pixel of this image"
    yield "YPIXSZ", binned_um, "[um] Height of a pixel of this image"
    yield "XBINNING", exposure.binning, "Pixels of the sensor in a pixel, across"
    yield "YBINNING", exposure.binning, "Pixels of the sensor in a pixel, down"
    yield "GAIN", exposure.gain_setting, "Gain that the camera was set to"
    yield "OFFSET", exposure.offset, "Offset that the camera was set to"
    yield "EGAIN", exposure.gain_e_per_adu, "[e-/ADU] Electrons per unit"
    yield "CCD-TEMP", exposure.temperature_c, "[degC] Temperature of the sensor"
    yield "SATURATE", exposure.saturation_adu, "[ADU] Highest value of the camera"
    yield "BAYERPAT", exposure.bayer_pattern, "Colours of the first two rows of this file"
    yield "ROWORDER", "TOP-DOWN", "The file's first row is the top of the picture"


def _site_cards(site: Site | None) -> Iterator[Card]:
    if site is not None:
        yield "SITELAT", site.latitude_deg, "[deg] Latitude, north positive"
        yield "SITELONG", site.longitude_deg, "[deg] Longitude, east positive"
        yield "SITEELEV", site.elevation_m, "[m] Height above the sea"


def _plan_cards(facts: FrameFacts) -> Iterator[Card]:
    yield "PLANID", plain(facts.plan_id), "Plan"
    yield "ITEMID", plain(facts.item_id), "Item of the plan"
    yield "EXPNUM", facts.number, "Exposure of the item, from 1"


def _is_known(value: str | float | None) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is not None and value != ""


def plain(text: str) -> str:
    """Return a text as a FITS header can hold it.

    Parameters
    ----------
    text : str
        Any.

    Returns
    -------
    str
        ASCII on one line: accents are taken off, Greek letters spelt out, other letters become
        question marks. Cut to
        what one card has room for.
    """
    bare = unicodedata.normalize("NFKD", text.translate(_UNSPELT))
    letters = (char for char in bare if not unicodedata.combining(char))
    printable = "".join(char if " " <= char <= "~" else _instead(char) for char in letters)
    words = " ".join(printable.split())
    while len(words) + words.count("'") > _TEXT_CHARACTERS:
        words = words[:-1].rstrip()
    return words


def _instead(char: str) -> str:
    """Spell what is no ASCII: Greek letters, which many stars are named by, by their names."""
    if char.isspace():
        return " "
    name = unicodedata.name(char, "")
    return name.rpartition(" ")[2].lower() if name.startswith("GREEK ") else "?"


def _stamp(instant: dt.datetime) -> str:
    """Return an instant as FITS writes UTC: without an offset, to the microsecond."""
    return instant.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def _hours(ra_deg: float) -> str:
    hours, minutes, seconds = _parts(ra_deg / _DEG_PER_HOUR, 3)
    return f"{hours % 24:02d} {minutes:02d} {seconds:06.3f}"


def _degrees(dec_deg: float) -> str:
    degrees, minutes, seconds = _parts(abs(dec_deg), 2)
    return f"{'-' if dec_deg < 0.0 else '+'}{degrees:02d} {minutes:02d} {seconds:05.2f}"


def _parts(value: float, decimals: int) -> tuple[int, int, float]:
    """Return whole, minutes and seconds; rounded first, so that no second is 60."""
    seconds = round(value * 3600.0, decimals)
    minutes, second = divmod(seconds, 60.0)
    whole, minute = divmod(int(minutes), 60)
    return whole, minute, second


def _serialised(exposure: Exposure, facts: FrameFacts) -> memoryview:
    """Return the file's bytes: astropy hides from a caller why a disk does not take them."""
    hdu = fits.PrimaryHDU(exposure.pixels, frame_header(exposure, facts))
    content = io.BytesIO()
    hdu.writeto(content, output_verify="exception", checksum=True)
    return content.getbuffer()


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()


def _write_durably(path: Path, content: memoryview) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())

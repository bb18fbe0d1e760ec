"""The node's config.yaml: one table of its keys, and the reading and checking of a file.

The table feeds three things, so that they cannot drift apart: the defaults and
checks here, the annotated file that ``boundless node init`` writes, and the
reference in ``docs/config.md`` (both in :mod:`boundless_skies.node.config_text`).
"""

import difflib
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from boundless_skies.node.catalogue_names import BUNDLED, NAMES
from boundless_skies.node.errors import NodeError
from boundless_skies.node.fits.channel import Channel
from boundless_skies.node.photometry.settings import Method

DEFAULT_PATH = Path("config.yaml")


class ConfigFileError(NodeError):
    """A config file that is missing, or that cannot be meant as it stands.

    Attributes
    ----------
    problems : list of str
        One sentence for each thing that is wrong, each saying what to do.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class Kind(StrEnum):
    """What a value of the config may be, in the words of a message."""

    TEXT = "text"
    NUMBER = "a number"
    WHOLE = "a whole number"
    SWITCH = "true or false"
    TEXTS = "a list of texts"


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key of config.yaml.

    Attributes
    ----------
    path : str
        Blocks and name, joined by dots.
    kind : Kind
        What its value may be; None always means the default.
    default : Any
        Value where the file says nothing.
    meaning : str
        What it does, for an owner who is no programmer.
    low, high : float or None
        Least and greatest number that is taken.
    choices : tuple of str
        The only texts that are taken; empty where any is.
    """

    path: str
    kind: Kind
    default: Any
    meaning: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """The block that the key stands in."""
        return self.path.rpartition(".")[0]

    @property
    def name(self) -> str:
        """The key without its block."""
        return self.path.rpartition(".")[2]


def _text(path: str, default: str, meaning: str) -> Key:
    return Key(path=path, kind=Kind.TEXT, default=default, meaning=meaning)


def _choice(path: str, default: str, choices: Iterable[str], meaning: str) -> Key:
    return Key(path=path, kind=Kind.TEXT, default=default, meaning=meaning, choices=tuple(choices))


def _switch(path: str, default: bool, meaning: str) -> Key:
    return Key(path=path, kind=Kind.SWITCH, default=default, meaning=meaning)


def _number(path: str, default: float | None, low: float, high: float, meaning: str) -> Key:
    return Key(path=path, kind=Kind.NUMBER, default=default, meaning=meaning, low=low, high=high)


def _whole(path: str, default: int | None, low: int, high: int, meaning: str) -> Key:
    return Key(path=path, kind=Kind.WHOLE, default=default, meaning=meaning, low=low, high=high)


_DAY_S = 86_400.0
_LEAST_S = 0.01

GROUPS: dict[str, str] = {
    "observatory": "Where your telescope stands, and what it is.",
    "photometry": "How the brightness of the star is measured in each frame.",
    "photometry.calibration": (
        "What is taken off your raw frames. Leave it out where the telescope does so itself."
    ),
    "photometry.target": (
        "The star to measure. Leave it empty to take each frame's own target, as the telescope "
        "wrote it into the file."
    ),
    "telescope": (
        "Your telescope, where the node moves it itself. It speaks ASCOM Alpaca; see what answers "
        "with: boundless node telescope"
    ),
    "image_watcher": "The folder in which your telescope's frames arrive.",
    "schedule": "How a night's plan is run on your telescope.",
    "limits": (
        "What your telescope must never do, and in what weather it stops. It then parks, and does "
        "not move again before you say so."
    ),
    "cloud": "The way to the network. Everything here is off until 'enabled' says true.",
    "dashboard": "The pages on which you see your node and steer it, in your own browser.",
}

KEYS: tuple[Key, ...] = (
    _text("observatory.name", "", "What you call your observatory."),
    _text("observatory.observer", "", "Your name. The network never shows it in public."),
    _number(
        "observatory.latitude",
        None,
        -90,
        90,
        "Latitude in degrees, north is positive (Berlin: 52.52). A tenth of a degree would do; "
        "in public the network shows no more than that.",
    ),
    _number(
        "observatory.longitude",
        None,
        -180,
        180,
        "Longitude in degrees, east is positive (Berlin: 13.40, New York: -74.01).",
    ),
    _number("observatory.elevation", 0.0, -500, 9000, "Height above the sea in metres."),
    _text("observatory.telescope", "ZWO Seestar S50", "Make and model of the telescope."),
    _text("observatory.instrument", "", "Make and model of the camera."),
    _number(
        "observatory.aperture_mm",
        None,
        1,
        20_000,
        "Diameter of the telescope's lens or mirror in millimetres (a Seestar S50: 50). Where "
        "given, the twinkling of the stars is counted into the uncertainty.",
    ),
    _switch("photometry.enabled", True, "Measure the frames that arrive."),
    _text(
        "photometry.node_id",
        "node_001",
        "A short name for this telescope: letters, digits, and . _ - (at most 64). If another "
        "telescope has it already, the network gives yours a name of its own.",
    ),
    _text(
        "photometry.filter_name",
        "",
        "The filter, as the AAVSO abbreviates it: CV is no filter (a Seestar without its dual-band "
        "filter), others are B, V, R, I, TG. Left empty, it is what the frame says, else CV.",
    ),
    _choice(
        "photometry.channel",
        Channel.LUMINANCE.value,
        (channel.value for channel in Channel),
        "What is measured of a colour camera's frame: luminance (all colours together, CV), green "
        "(TG, nearest to V), red (TR), or blue (TB). A mono frame is taken as it is.",
    ),
    _choice(
        "photometry.method",
        Method.APERTURE.value,
        (method.value for method in Method),
        "How a star's light is measured: aperture sums it in a circle; psf first takes off the "
        "light of its neighbours, fitted together with it; auto does that for stars that have a "
        "neighbour in the first frame of a series.",
    ),
    _number(
        "photometry.scale_arcsec_px",
        None,
        0.01,
        600,
        "Arcseconds of sky on one pixel (a Seestar S50: 2.4). Only where the frames don't say it.",
    ),
    _number(
        "photometry.aperture_radius_px",
        None,
        0.5,
        100,
        "Radius in pixels of the circle in which a star's light is summed. Left empty, the best "
        "one for the night is found.",
    ),
    _number(
        "photometry.gain_e_per_adu",
        None,
        0.0001,
        10_000,
        "Electrons per unit of the camera's numbers. Only where the frames don't say it.",
    ),
    _number(
        "photometry.saturation_adu",
        None,
        1,
        1e9,
        "The camera's number at which a pixel is full. Only where the frames don't show it.",
    ),
    Key(
        path="photometry.catalogues",
        kind=Kind.TEXTS,
        default=[BUNDLED],
        choices=NAMES,
        meaning="Where the brightness of comparison stars is taken from, the first that has "
        "enough: vsp (the AAVSO's sequences), apass, gaia, each asked over the network (10 s at "
        "most) and then kept on disk; bundled comes with the node, needs no network, and is "
        "always the last. Good with a network: [vsp, apass, gaia, bundled].",
    ),
    _text(
        "photometry.catalogue_cache",
        "",
        "The folder in which answers of catalogues are kept (50 MB at most). Left empty, it is "
        "'catalogues' in the node's data folder, else in your cache folder.",
    ),
    _text(
        "photometry.calibration.dark",
        "",
        "A dark: a FITS file, or a folder of exposures with the lid on, as long and as warm as the "
        "night's, which are combined.",
    ),
    _text(
        "photometry.calibration.flat",
        "",
        "A flat: a FITS file, or a folder of exposures of an evenly lit surface.",
    ),
    _text(
        "photometry.calibration.bias",
        "",
        "A bias: a FITS file, or a folder of the shortest exposures with the lid on. With it a "
        "dark of another exposure time can be used, and flats are right in the corners.",
    ),
    _text(
        "photometry.target.name",
        "",
        "Name of the star, as it should stand on the light curve (SS Cyg).",
    ),
    _number(
        "photometry.target.ra_deg",
        None,
        0,
        360,
        "Right ascension in degrees, J2000 (hours × 15).",
    ),
    _number("photometry.target.dec_deg", None, -90, 90, "Declination in degrees, J2000."),
    _switch("telescope.enabled", False, "Let the node move the telescope and take frames."),
    _text(
        "telescope.address",
        "",
        "Address of the Alpaca server, such as 192.168.1.20:11111. Left empty, it is looked for "
        "in your network.",
    ),
    *(
        _whole(f"telescope.{name}", None, -1, 1_000, meaning)
        for name, meaning in (
            ("mount", "Number of the mount on the server. Left empty, the first."),
            ("camera", "Number of the camera. Left empty, the first."),
            ("focuser", "Number of the focuser; -1 to leave it alone. Left empty, the first."),
            ("filter_wheel", "Number of the filter wheel; -1 for none. Left empty, the first."),
            (
                "weather_station",
                "Number of the weather station; -1 for none. Left empty, the first.",
            ),
            ("safety_monitor", "Number of the safety monitor; -1 for none. Left empty, the first."),
        )
    ),
    _number(
        "telescope.timeout", 10.0, 0.1, 600, "Seconds that a call to a device may take in all."
    ),
    _number(
        "telescope.motion_timeout",
        180.0,
        1,
        3600,
        "Seconds that a slew, the way to the park position, or a move of the focuser may take.",
    ),
    _number(
        "telescope.image_timeout",
        120.0,
        1,
        3600,
        "Seconds that the camera may take to read an exposure out, and again to send it.",
    ),
    _switch("image_watcher.enabled", True, "Watch the folder."),
    _text(
        "image_watcher.watch_path",
        "frames",
        "The folder to watch. A Seestar's own storage, once mounted, is usually /mnt/seestar.",
    ),
    _switch("image_watcher.recursive", True, "Look into the folders inside it too."),
    Key(
        path="image_watcher.patterns",
        kind=Kind.TEXTS,
        default=["*.fit", "*.fits", "*.fts", "*.fit.gz", "*.fits.gz", "*.fits.fz", "*.fit.fz"],
        meaning="Which files are frames; capitals make no difference.",
    ),
    _number(
        "image_watcher.debounce_delay",
        2.0,
        0,
        3600,
        "Seconds that a file must stay unchanged before it counts as finished. Give a slow "
        "network folder more.",
    ),
    _number(
        "image_watcher.poll_interval",
        10.0,
        0.05,
        3600,
        "Seconds between looks at the whole folder. New files are mostly noticed at once; this "
        "finds those on network folders, which tell nothing.",
    ),
    _number(
        "image_watcher.incomplete_timeout",
        60.0,
        0,
        _DAY_S,
        "Seconds to wait for the rest of a file whose end is missing, before it is given up.",
    ),
    _number(
        "schedule.confirm_within",
        12.0,
        0.1,
        72,
        "Hours that a new plan waits for your word, where cloud.auto_run_plans is false.",
    ),
    _number(
        "schedule.interrupt_exposure",
        20.0,
        0.01,
        3600,
        "Seconds of each exposure of an interrupt: the network says where to look, not how long.",
    ),
    _whole("schedule.interrupt_count", 15, 1, 1000, "Number of exposures of an interrupt."),
    _whole(
        "schedule.keep_frames",
        0,
        0,
        3650,
        "Days after which a frame that this node took is removed, once it is measured and nothing "
        "of it waits for the cloud; 0 to keep all. What you put into the folder is never removed.",
    ),
    _number(
        "schedule.keep_free",
        1.0,
        0,
        100_000,
        "Gigabytes that frames leave free on their disk: where they would not, a target waits.",
    ),
    _number(
        "schedule.centring_tolerance",
        3.0,
        0,
        60,
        "How far off the middle a target may stand, in arc minutes; 0 for no centring.",
    ),
    _number(
        "schedule.centring_exposure",
        5.0,
        0.01,
        300,
        "Seconds of the exposures by which targets are centred and the focus is found.",
    ),
    _number(
        "schedule.focus_every",
        60.0,
        0,
        1440,
        "Minutes between two runs of the autofocus, where there is a focuser; 0 for none.",
    ),
    _whole(
        "schedule.focus_step",
        0,
        0,
        100_000,
        "Steps of the focuser between two tries; 0 for a hundredth of its range.",
    ),
    _number(
        "limits.min_altitude",
        25.0,
        0,
        89,
        "Least height above the horizon, in degrees, that the telescope is pointed to.",
    ),
    _text(
        "limits.horizon_mask",
        "",
        "What stands around: heights and directions in degrees (north 0, east 90), in quotes: "
        "'[[30, 0], [45, 90], [20, 180], [30, 270]]' says 30° in the north, and so on.",
    ),
    _number(
        "limits.sun_distance",
        45.0,
        5,
        180,
        "Least distance from the Sun, in degrees. It is never pointed by day either.",
    ),
    _number(
        "limits.sun_altitude",
        -12.0,
        -18,
        -1,
        "Height of the Sun, in degrees, below which it is night: -12 is the end of nautical "
        "twilight, -18 of all of it.",
    ),
    _number("limits.moon_distance", 10.0, 0, 180, "Least distance from the Moon, in degrees."),
    _number(
        "limits.meridian_margin",
        0.0,
        0,
        90,
        "Degrees on either side of the meridian that a mount must not be in which turns over "
        "there; 0 for one that need not.",
    ),
    _switch("limits.stop_at_rain", True, "Stop when the weather station measures rain."),
    _number("limits.max_wind", 12.0, 0, 60, "Strongest wind, in metres per second; 0 for any."),
    _number("limits.max_humidity", 95.0, 0, 100, "Highest humidity, in percent; 0 for any."),
    _number(
        "limits.max_cloud_cover",
        70.0,
        0,
        100,
        "Percent of the sky under clouds, above which it waits for them to go; 0 for any.",
    ),
    _number(
        "limits.look_every",
        10.0,
        1,
        600,
        "Seconds between two looks at the weather and the mount.",
    ),
    _number(
        "limits.lost_after",
        60.0,
        5,
        3600,
        "Seconds that the mount or the weather station may not answer before it stops.",
    ),
    _switch("cloud.enabled", False, "Take part in the network."),
    _text("cloud.url", "", "Address of the network's cloud, such as https://cloud.example.org"),
    _text(
        "cloud.node_id",
        "",
        "The identity that the cloud gave you. Leave it empty: the node signs itself up and "
        "remembers it (in cloud_state.json in its data folder).",
    ),
    _text(
        "cloud.api_key",
        "",
        "The key that goes with it. Leave it empty too. Show it to nobody.",
    ),
    _text(
        "cloud.activation_code",
        "",
        "A code that your network may have given you for signing up; used once.",
    ),
    _number(
        "cloud.heartbeat_interval",
        60,
        _LEAST_S,
        _DAY_S,
        "Seconds between two signs of life to the cloud. What could not be sent is tried again "
        "after each of them.",
    ),
    _number(
        "cloud.plan_poll_interval",
        300,
        _LEAST_S,
        _DAY_S,
        "Seconds between two looks for a new plan or an interrupt.",
    ),
    _switch(
        "cloud.auto_run_plans",
        False,
        "Run a new plan without asking. Where it is false, a plan waits for your word: in the "
        "dashboard, or by boundless node plan.",
    ),
    _switch(
        "cloud.upload_images",
        False,
        "Send each frame itself as well as its measurement. A frame has several megabytes.",
    ),
    _number(
        "cloud.connect_timeout", 5, _LEAST_S, _DAY_S, "Seconds to wait for a connection to open."
    ),
    _number("cloud.timeout", 10, _LEAST_S, _DAY_S, "Seconds that one call may take in all."),
    _switch(
        "cloud.allow_http",
        False,
        "Talk to a public cloud without encryption. Your key can then be read on the way; leave "
        "it false unless you know why.",
    ),
    _text(
        "cloud.data_dir",
        "data",
        "The folder for the node's own records: identity, queue, list of measured frames. Below "
        "the folder in which the node is started, unless it begins with /.",
    ),
    _switch("dashboard.enabled", True, "Serve the pages while the node runs."),
    _text(
        "dashboard.host",
        "127.0.0.1",
        "Who can open them: 127.0.0.1 is this computer only; 0.0.0.0 is everybody in your "
        "network, and needs a password.",
    ),
    _whole(
        "dashboard.port",
        5173,
        1,
        65_535,
        "The number behind the colon in the pages' address, http://127.0.0.1:5173 at first.",
    ),
    _text(
        "dashboard.password",
        "",
        "What the pages ask for before they show anything. Take a long one. Empty: nothing.",
    ),
)

BY_PATH: dict[str, Key] = {key.path: key for key in KEYS}

SECRETS: frozenset[str] = frozenset(
    {"cloud.api_key", "cloud.activation_code", "dashboard.password"}
)
"""The keys whose values no message, page or log shows."""

# Written by other programs of this field. Taken without complaint, so that one
# config.yaml can serve both; without effect here.
OTHER_PROGRAMS: frozenset[str] = frozenset(
    {
        *("alpaca", "devices", "camera", "autofocus", "centering", "stacking"),
        *("logging", "pier_cam", "aavso", "safety"),
        *("photometry.astap_path", "photometry.astap_search_radius", "photometry.fits_export"),
        *("photometry.field_radius", "photometry.mag_limit", "photometry.snr_threshold"),
        *("photometry.max_uncertainty", "photometry.max_airmass", "photometry.gain"),
        *("photometry.read_noise", "photometry.aperture_factor", "photometry.annulus_inner"),
        *("photometry.annulus_outer", "photometry.min_comparison_stars"),
    }
)

# A block that other programs have too: their keys in it are let be, unless they look like a slip
# in one of ours.
SHARED_BLOCKS: frozenset[str] = frozenset({"telescope"})
_SLIP = 0.75


def defaults() -> dict[str, Any]:
    """Return a whole config in which every key has its default."""
    config: dict[str, Any] = {}
    for key in KEYS:
        _put(config, key.path, list(key.default) if key.kind is Kind.TEXTS else key.default)
    return config


def load_config(path: Path) -> dict[str, Any]:
    """Read a config file.

    Parameters
    ----------
    path : Path
        A YAML file with the blocks of :data:`GROUPS`, each of which may be absent.

    Returns
    -------
    dict
        Every key of :data:`KEYS`, nested by block, with the file's value or its default.

    Raises
    ------
    ConfigFileError
        If the file is missing, is no YAML, or has an unknown key or a value that cannot be
        meant; one problem for each.
    """
    raw = _read_yaml(path)
    if raw is None:
        raw = {}
    if not isinstance(raw, Mapping):
        raise ConfigFileError(
            f"{path} must hold blocks such as 'observatory:' and 'cloud:', not {_shown(raw)}. "
            "See how one should look with: boundless node init --config example.yaml"
        )
    config = defaults()
    problems = [f"{path}: {problem}" for problem in _merge(raw, "", config)]
    if problems:
        raise ConfigFileError(*problems)
    return config


def _merge(raw: Mapping[Any, Any], group: str, config: dict[str, Any]) -> Iterator[str]:
    for name, value in raw.items():
        path = f"{group}.{name}" if group else str(name)
        if path in BY_PATH:
            yield from _take(BY_PATH[path], value, config)
        elif path in GROUPS:
            yield from _enter(path, value, config)
        elif path not in OTHER_PROGRAMS and not _is_of_others(path):
            yield _unknown(path)


def _is_of_others(path: str) -> bool:
    group, _, name = path.rpartition(".")
    if group not in SHARED_BLOCKS:
        return False
    ours = [key.name for key in KEYS if key.path.startswith(f"{group}.")]
    return not difflib.get_close_matches(name.lower(), ours, n=1, cutoff=_SLIP)


def _enter(path: str, value: Any, config: dict[str, Any]) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _merge(value, path, config)
    elif value is not None and path not in SHARED_BLOCKS:
        yield (
            f"{path} must be a block of indented keys, not {_shown(value)}. "
            f"Write its keys below '{path.rpartition('.')[2]}:', each two spaces further in."
        )


def _take(key: Key, value: Any, config: dict[str, Any]) -> Iterator[str]:
    if value is None:
        return
    problem = _problem(key, value)
    if problem:
        yield problem
    else:
        _put(config, key.path, value)


def _problem(key: Key, value: Any) -> str:
    if not _fits(key.kind, value):
        return f"{key.path} must be {key.kind}, not {_told(key, value)}.{_hint(key.kind, value)}"
    for text in value if key.kind is Kind.TEXTS else [value]:
        if key.choices and text not in key.choices:
            return f"{key.path} must be one of {', '.join(key.choices)}, not {_told(key, text)}" + (
                _meant(key, text)
            )
    if key.kind not in {Kind.NUMBER, Kind.WHOLE}:
        return ""
    low, high = key.low or 0.0, key.high or 0.0
    if not (math.isfinite(value) and low <= value <= high):
        return f"{key.path} must lie between {low:g} and {high:g}; it is {value!r}."
    return ""


def _meant(key: Key, value: str) -> str:
    near = difflib.get_close_matches(value.lower(), key.choices, n=1)
    return f"; did you mean {near[0]}?" if near else "."


def _fits(kind: Kind, value: Any) -> bool:
    match kind:
        case Kind.TEXT:
            return isinstance(value, str)
        case Kind.SWITCH:
            return isinstance(value, bool)
        case Kind.TEXTS:
            return isinstance(value, list) and all(isinstance(text, str) for text in value)
        case Kind.WHOLE:
            return isinstance(value, int) and not isinstance(value, bool)
        case Kind.NUMBER:
            return isinstance(value, int | float) and not isinstance(value, bool)


def _hint(kind: Kind, value: Any) -> str:
    if kind is Kind.TEXT and isinstance(value, str | int | float | bool):
        return " Put it in quotes."
    if kind is Kind.NUMBER and isinstance(value, str) and "," in value:
        return f" Write it with a point: {value.replace(',', '.')}"
    return ""


def _told(key: Key, value: Any) -> str:
    return f"a {type(value).__name__}" if key.path in SECRETS else _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a block of keys"
    return f"{value!r:.60}"


def _unknown(path: str) -> str:
    near = _nearest(path)
    hint = f"did you mean {near}?" if near else f"the keys are {_siblings(path)}."
    return f"{path} is not a key; {hint}"


def _nearest(path: str) -> str:
    group, _, name = path.rpartition(".")
    elsewhere = [known for known in (*GROUPS, *BY_PATH) if known.rpartition(".")[2] == name]
    if elsewhere:
        return elsewhere[0]
    here = {
        known.rpartition(".")[2]: known
        for known in (*GROUPS, *BY_PATH)
        if known.rpartition(".")[0] == group
    }
    if name.lower() in here:
        return here[name.lower()]
    near = difflib.get_close_matches(name.lower(), here, n=1)
    if near:
        return here[near[0]]
    anywhere = {known.rpartition(".")[2]: known for known in BY_PATH}
    near = difflib.get_close_matches(name.lower(), anywhere, n=1, cutoff=0.75)
    return anywhere[near[0]] if near else ""


def _siblings(path: str) -> str:
    group = path.rpartition(".")[0]
    names = [known for known in (*GROUPS, *BY_PATH) if known.rpartition(".")[0] == group]
    return ", ".join(name.rpartition(".")[2] for name in names)


def _put(config: dict[str, Any], path: str, value: Any) -> None:
    *groups, name = path.split(".")
    block = config
    for group in groups:
        block = block.setdefault(group, {})
    block[name] = value


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice in a block: YAML would drop the first in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            name = key_node.value
            if name in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{name!r} stands here a second time; take one of the two out",
                    problem_mark=key_node.start_mark,
                )
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.load(path.read_bytes(), _StrictLoader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        raise ConfigFileError(f"No config file at {path}. {_make_one(path)}") from None
    except OSError as error:
        raise ConfigFileError(f"{path} cannot be read: {error.strerror}.") from None
    except yaml.YAMLError as error:
        raise ConfigFileError(_syntax_problem(path, error)) from None


def _make_one(path: Path) -> str:
    option = "" if path == DEFAULT_PATH else f" --config {path}"
    return f"Make one with: boundless node init{option}"


def _syntax_problem(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    hint = " Indent with spaces, not with tabs." if "\\t" in problem else ""
    return f"{path}, {where}{problem}.{hint}"

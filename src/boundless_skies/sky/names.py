"""Names of stars: the one form under which the spellings of a name meet.

"SS Cyg", "ss cygni", "SS_Cyg" and "V* SS Cyg" are one star, "R Car" and "r Car" are
two. The key of a name is made for comparing and for an index, not for showing.
"""

import re
import unicodedata
from collections.abc import Callable

_GENITIVES = {
    "and": "andromedae",
    "ant": "antliae",
    "aps": "apodis",
    "aql": "aquilae",
    "aqr": "aquarii",
    "ara": "arae",
    "ari": "arietis",
    "aur": "aurigae",
    "boo": "bootis",
    "cae": "caeli",
    "cam": "camelopardalis",
    "cap": "capricorni",
    "car": "carinae",
    "cas": "cassiopeiae",
    "cen": "centauri",
    "cep": "cephei",
    "cet": "ceti",
    "cha": "chamaeleontis",
    "cir": "circini",
    "cma": "canismajoris",
    "cmi": "canisminoris",
    "cnc": "cancri",
    "col": "columbae",
    "com": "comaeberenices",
    "cra": "coronaeaustralis",
    "crb": "coronaeborealis",
    "crt": "crateris",
    "cru": "crucis",
    "crv": "corvi",
    "cvn": "canumvenaticorum",
    "cyg": "cygni",
    "del": "delphini",
    "dor": "doradus",
    "dra": "draconis",
    "equ": "equulei",
    "eri": "eridani",
    "for": "fornacis",
    "gem": "geminorum",
    "gru": "gruis",
    "her": "herculis",
    "hor": "horologii",
    "hya": "hydrae",
    "hyi": "hydri",
    "ind": "indi",
    "lac": "lacertae",
    "leo": "leonis",
    "lep": "leporis",
    "lib": "librae",
    "lmi": "leonisminoris",
    "lup": "lupi",
    "lyn": "lyncis",
    "lyr": "lyrae",
    "men": "mensae",
    "mic": "microscopii",
    "mon": "monocerotis",
    "mus": "muscae",
    "nor": "normae",
    "oct": "octantis",
    "oph": "ophiuchi",
    "ori": "orionis",
    "pav": "pavonis",
    "peg": "pegasi",
    "per": "persei",
    "phe": "phoenicis",
    "pic": "pictoris",
    "psa": "piscisaustrini",
    "psc": "piscium",
    "pup": "puppis",
    "pyx": "pyxidis",
    "ret": "reticuli",
    "scl": "sculptoris",
    "sco": "scorpii",
    "sct": "scuti",
    "ser": "serpentis",
    "sex": "sextantis",
    "sge": "sagittae",
    "sgr": "sagittarii",
    "tau": "tauri",
    "tel": "telescopii",
    "tra": "trianguliaustralis",
    "tri": "trianguli",
    "tuc": "tucanae",
    "uma": "ursaemajoris",
    "umi": "ursaeminoris",
    "vel": "velorum",
    "vir": "virginis",
    "vol": "volantis",
    "vul": "vulpeculae",
}
_CONSTELLATIONS = {name: name for name in _GENITIVES} | {
    genitive: name for name, genitive in _GENITIVES.items()
}

# Letter; its abbreviation in the GCVS and SIMBAD; its other spellings.
_GREEK = {
    "α": ("alf", "alpha", "alp"),
    "β": ("bet", "beta"),
    "γ": ("gam", "gamma"),
    "δ": ("del", "delta"),
    "ε": ("eps", "epsilon"),
    "ζ": ("zet", "zeta"),
    "η": ("eta",),
    "θ": ("tet", "theta", "the"),
    "ι": ("iot", "iota"),
    "κ": ("kap", "kappa"),
    "λ": ("lam", "lambda"),
    "μ": ("mu",),
    "ν": ("nu",),
    "ξ": ("ksi", "xi"),
    "ο": ("omi", "omicron"),
    "π": ("pi",),
    "ρ": ("rho",),
    "σ": ("sig", "sigma"),
    "τ": ("tau",),
    "υ": ("ups", "upsilon"),
    "φ": ("phi",),
    "χ": ("chi",),
    "ψ": ("psi",),
    "ω": ("ome", "omega"),
}
_GREEK_SPELLINGS = {
    spelling: spellings[0]
    for letter, spellings in _GREEK.items()
    for spelling in (letter, *spellings)
} | {"ς": "sig"}

# How a catalogue is written, and the name that its numbers go by here.
_NUMBERED = {
    "caldwell": "caldwell",
    "corot": "corot",
    "epic": "epic",
    "gj": "gj",
    "gl": "gj",
    "gliese": "gj",
    "hd": "hd",
    "hip": "hip",
    "hr": "hr",
    "ic": "ic",
    "k2": "k2",
    "kelt": "kelt",
    "kepler": "kepler",
    "kic": "kic",
    "koi": "koi",
    "m": "m",
    "messier": "m",
    "ngc": "ngc",
    "nsv": "nsv",
    "qatar": "qatar",
    "sao": "sao",
    "tic": "tic",
    "toi": "toi",
    "tres": "tres",
    "wasp": "wasp",
    "xo": "xo",
    "hatp": "hatp",
    "hats": "hats",
    "ngts": "ngts",
    "trappist": "trappist",
}


def _any_of(words: dict[str, str]) -> str:
    return "|".join(map(re.escape, words))


# ASCII only (a): else a dotless ı would pass for an i, and be found in no table.
_PREFIXES = re.compile(r"^(?:(?:V\*|EM\*|\*|NAME )\s*)*", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s\-]+")
_DASHES = re.compile("[\u2010-\u2015\u2212]")
# A planet's letter is small, a companion star's is capital; a is no planet's.
_SUFFIX = r"(?:[b-h]|(?P<companion>[A-D]))?"
_IN_CONSTELLATION = re.compile(
    rf"(?P<designation>[^\W_][\w.]{{0,11}}?)(?ai:(?P<constellation>{_any_of(_CONSTELLATIONS)}))"
)
_COMPONENT = re.compile(r" (?:[b-h]|([A-D]))$")
_BAYER_GREEK = re.compile(rf"(?ai:({_any_of(_GREEK_SPELLINGS)}))\.?0*([1-9]?[0-9]?)")
_LETTERS = re.compile(r"[A-Za-z]{2}")
_V_NUMBER = re.compile(r"[Vv]0*([1-9][0-9]{0,5})")
_FLAMSTEED = re.compile(r"0*([1-9][0-9]{0,2})")
_NUMBER = re.compile(rf"(?ai:({_any_of(_NUMBERED)}))0*([0-9]{{1,12}}){_SUFFIX}")
_AUID = re.compile(r"(?ai:AAVSO)?(?ai:AUID)?([0-9]{3})-?([A-Za-z]{3})-?([0-9]{3})")
_GAIA = re.compile(r"(?ai:GAIAE?DR)([1-9])\s?0*([0-9]{1,20})")
_GRID = re.compile(r"(?ai:(TYC|GSC))0*([0-9]{1,5})-0*([0-9]{1,5})(?:-([0-9]))?")
_TRANSIENT = re.compile(r"(?ai:SN|AT)([0-9]{4}[A-Za-z]{1,4})")
_COORDINATE_NAME = re.compile(r"(?ai:(2MASS))[Jj]?([0-9]{8}[+-][0-9]{7})")


def name_key(name: str) -> str:
    """Return the form under which the spellings of one name meet.

    Spaces, underscores, hyphens and capitals do not matter, nor does a planet's
    letter behind its host; Greek letters, constellations and catalogues have one
    form; zeros before a number fall away. Capitals are kept where two stars differ
    by them alone: R Car and r Car, MU Cep and mu Cep (μ Cep), 61 Cyg A and 61 Cyg.

    Parameters
    ----------
    name : str
        As somebody wrote it; any text.

    Returns
    -------
    str
        The key; its own key is itself. Empty only for a text of white space.

    Examples
    --------
    >>> name_key("V* V0505 Sgr"), name_key("α Orionis"), name_key("HAT-P-32 b")
    ('v505 sgr', 'alf ori', 'hatp 32')
    """
    plain = _plain(name)
    bare = _PREFIXES.sub("", plain, count=1)
    squashed = _squash(bare)
    keys = (form(squashed) for form in _FORMS)
    key = next(filter(None, keys), None) or _constellation_key(bare)
    return key or _composed(squashed.lower() or plain.lower())


def loose_key(name: str) -> str:
    """Return a name's key without any capitals.

    R Car and r Car share it: it finds a star only where one star alone has it, and
    only if the writer did not tell the two apart (`case_tells`).

    Parameters
    ----------
    name : str
        As somebody wrote it.

    Returns
    -------
    str
        The key in small letters.
    """
    return name_key(name).lower()


def case_tells(name: str) -> bool:
    """Tell whether a name's capitals say which of two stars is meant.

    They do in "r Car" and in "mu Cep"; they do not in "r car", which is written
    without any, and in "ss cyg", which is one star however it is written.

    Parameters
    ----------
    name : str
        As somebody wrote it.

    Returns
    -------
    bool
        Whether only a star with just this key may be meant.
    """
    designation, _, constellation = name_key(name).partition(" ")
    if constellation[:3] not in _GENITIVES:
        return False
    if designation.lower() in ("mu", "nu"):
        return True
    return len(designation) == 1 and designation.isalpha() and name != name.lower()


def _plain(name: str) -> str:
    """Return a text composed, with plain hyphens and single spaces.

    Compatibility composition, so that μ and the micro sign, π¹ and π1 are one.
    """
    return " ".join(_DASHES.sub("-", _composed(name)).replace("_", " ").split())


def _composed(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _squash(text: str) -> str:
    """Drop separators but between digits, where they part numbers or are a sign."""
    return _SEPARATORS.sub(_keep_between_digits, text)


def _keep_between_digits(match: re.Match[str]) -> str:
    before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    if not (before.isdigit() and after.isdigit()):
        return ""
    return "-" if "-" in match.group() else " "


def _constellation_key(bare: str) -> str | None:
    # Only a space makes a last letter a component: ACAra is AC Ara, not A Car A.
    component = _COMPONENT.search(bare)
    if component and (key := _star_key(bare[: component.start()])):
        return f"{key} {component[1]}" if component[1] else key
    return _star_key(bare)


def _star_key(bare: str) -> str | None:
    match = _IN_CONSTELLATION.fullmatch(_squash(bare))
    designation = _designation_key(match["designation"]) if match else None
    if match is None or designation is None:
        return None
    return f"{designation} {_CONSTELLATIONS[match['constellation'].lower()]}"


def _designation_key(written: str) -> str | None:
    """Return the key of what stands before a constellation, None if it is no designation."""
    if len(written) == 1 and written.isascii():
        return written.lstrip("0") or None
    if written in ("MU", "NU"):  # the GCVS has these letters, too; μ and ν are written otherwise
        return written
    if greek := _BAYER_GREEK.fullmatch(written):
        return _GREEK_SPELLINGS[greek[1].lower()] + greek[2]
    if _LETTERS.fullmatch(written):
        return written.lower()
    if v_number := _V_NUMBER.fullmatch(written):
        return f"v{v_number[1]}"
    flamsteed = _FLAMSTEED.fullmatch(written)
    return flamsteed[1] if flamsteed else None


def _number_key(squashed: str) -> str | None:
    match = _NUMBER.fullmatch(squashed)
    if match is None:
        return None
    catalogue, number = _NUMBERED[match[1].lower()], match[2]
    companion = match["companion"]
    return f"{catalogue} {number}{' ' + companion if companion else ''}"


def _auid_key(squashed: str) -> str | None:
    match = _AUID.fullmatch(squashed)
    return f"auid {'-'.join(match.groups())}".lower() if match else None


def _gaia_key(squashed: str) -> str | None:
    # The early third release and the third have the same source numbers.
    match = _GAIA.fullmatch(squashed)
    return f"gaia dr{match[1]} {match[2]}" if match else None


def _grid_key(squashed: str) -> str | None:
    match = _GRID.fullmatch(squashed)
    return f"{match[1].lower()} {'-'.join(filter(None, match.groups()[1:]))}" if match else None


def _transient_key(squashed: str) -> str | None:
    # A transient keeps its letters when it turns out to be a supernova.
    match = _TRANSIENT.fullmatch(squashed)
    return f"sn {match[1].lower()}" if match else None


def _coordinate_name_key(squashed: str) -> str | None:
    match = _COORDINATE_NAME.fullmatch(squashed)
    return f"{match[1].lower()} j{match[2]}" if match else None


_FORMS: tuple[Callable[[str], str | None], ...] = (
    _auid_key,
    _gaia_key,
    _grid_key,
    _transient_key,
    _coordinate_name_key,
    _number_key,
)

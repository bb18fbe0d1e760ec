"""Spellings of one name meet, and names of two stars do not."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from boundless_skies.sky.names import case_tells, loose_key, name_key

SAME = [
    [
        "SS Cyg",
        "ss cyg",
        "SS CYG",
        "SSCyg",
        "SS_Cyg",
        "SS-Cyg",
        "SS Cygni",
        "V* SS Cyg",
        " SS  Cyg ",
    ],
    ["R Car", "R CAR", "R Carinae", "V* R Car", "RCar"],
    ["r Car", "r Carinae", "* r Car"],
    ["V505 Sgr", "V0505 Sgr", "v 505 sgr", "V* V505 Sgr", "V505 Sagittarii", "V505Sgr"],
    ["α Ori", "alf Ori", "alpha Ori", "Alpha Orionis", "* alf Ori", "ALF ORI", "alpha-ori"],
    ["μ Cep", "\u00b5 Cep", "mu Cep", "Mu Cephei", "* mu. Cep"],
    ["MU Cep", "V* MU Cep"],
    ["π¹ Ori", "pi1 Ori", "* pi.01 Ori", "π1 Orionis"],
    ["61 Cyg A", "61 Cygni A"],
    ["ε Eri b", "eps Eri", "epsilon Eridani"],
    ["R CrB", "R Coronae Borealis", "R CRB"],
    ["HAT-P-32", "HATP-32", "hat-p-32 b", "HAT-P-32b", "HAT P 32"],
    ["HD 209458", "hd209458", "HD 0209458", "HD 209458 b", "HD-209458"],
    ["M 31", "M31", "Messier 31", "m 031"],
    ["NGC 7023", "ngc7023"],
    ["TYC 1234-567-1", "TYC 1234-00567-1", "tyc1234-567-1"],
    ["Gaia DR3 1234", "Gaia EDR3 1234", "GaiaDR3_1234", "gaia dr3 1234"],
    ["000-BCD-123", "AUID 000-BCD-123", "AAVSO AUID 000-bcd-123"],
    ["2MASS J12345678+0123456", "2MASSJ12345678+0123456", "2mass 12345678+0123456"],
    ["ASAS-SN 14ae", "ASASSN-14ae", "ASASSN-14AE"],
    ["SN 2023ixf", "AT2023ixf", "SN2023IXF"],
    ["J0312 -40", "J0312\u221240", "j0312-40"],
]


@pytest.mark.parametrize("spellings", SAME, ids=lambda spellings: spellings[0])
def test_spellings_of_one_name_meet(spellings: list[str]) -> None:
    """However it is written, the key is one."""
    assert len({name_key(spelling) for spelling in spellings}) == 1


def test_names_of_two_objects_do_not_meet() -> None:
    """The lists above are of different objects, and so are their close neighbours."""
    near = ["61 Cyg", "61 Cyg B", "HAT-P-32 B", "HD 20945", "SN 2023ix", "J0312+40", "J031240"]
    near += ["TYC 123-4567-1", "Gaia DR2 1234", "V5050 Sgr", "M 3", "pi2 Ori", "SS Cnc"]
    keys = [name_key(spellings[0]) for spellings in SAME] + [name_key(name) for name in near]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("name", "key"),
    [("V* V0505 Sgr", "v505 sgr"), ("R Car", "R car"), ("Barnard's Star", "barnard'sstar")],
)
def test_keys_are_what_an_index_holds(name: str, key: str) -> None:
    """Keys are kept in tables, so their form is a promise."""
    assert name_key(name) == key


def test_the_loose_key_knows_no_capitals() -> None:
    """Stars that capitals tell apart share it."""
    assert loose_key("R Car") == loose_key("r Car") == "r car"


@pytest.mark.parametrize(
    ("name", "tells"),
    [
        ("r Car", True),
        ("R Car", True),
        ("r car", False),
        ("mu cep", True),
        ("ss cyg", False),
        ("x", False),
    ],
)
def test_capitals_tell_only_where_they_were_meant_to(name: str, tells: bool) -> None:
    """Who writes no capitals at all tells nothing by them; μ and MU are always told apart."""
    assert case_tells(name) is tells


@given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9αβμν.* +_-]{1,20}", fullmatch=True))
@example("omıcron Cyg")
@example("ß Cyg")
@example("İ Cyg")
@example("V* V* *")
@example("A\u00b4")
@example("1PS A")
def test_a_key_is_its_own_key(name: str) -> None:
    """Whatever the text: there is a key, and it is the key of itself."""
    key = name_key(name)
    assert name_key(key) == key
    assert bool(key) is bool(name.strip() and name.replace("_", " ").strip())


@given(
    st.sampled_from(["SS", "R", "r", "V1500", "alf", "pi1", "61", "MU"]),
    st.sampled_from(["Cyg", "CYG", "cyg", "Cygni"]),
    st.sampled_from([" ", "_", "-", "  ", " _ "]),
)
def test_separators_and_the_constellations_case_never_matter(
    designation: str, constellation: str, separator: str
) -> None:
    """Any designation, any separator."""
    assert name_key(designation + separator + constellation) == name_key(f"{designation} Cyg")


def test_a_very_long_text_has_a_key() -> None:
    """A megabyte of anything is folded in one pass."""
    for text in ("a" * 1_000_000, "HD " + "9" * 1_000_000, "- " * 500_000, "V* " * 300_000):
        assert name_key(text)

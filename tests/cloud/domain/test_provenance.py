"""What a kept measurement tells of how it was made."""

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cloud_client import make_measurement

from boundless_skies.cloud.domain.provenance import LeftOut, QualityRemark, Star, read_provenance
from boundless_skies.wire.quality_reasons import REASONS

NOTHING = read_provenance({})


def test_a_nodes_own_measurement_tells_its_zero_point_and_filter() -> None:
    """The keys of the wire."""
    told = read_provenance(
        make_measurement() | {"zero_point": 21.5, "zp_scatter": 0.03, "comparison_stars": 12}
    )
    assert (told.zero_point, told.zp_scatter, told.comparison_count) == (21.5, 0.03, 12)
    assert told.filter == make_measurement()["filter"]


def test_a_talkative_node_is_understood() -> None:
    """Stars one by one, a check star, the program, the solver, the aperture."""
    told = read_provenance(
        {
            "comparison_stars": [
                {"name": "000-BCP-144", "ra": 325.5, "dec": 43.5, "mag": 10.1},
                {"source_id": 1978744246012345678, "cat_mag": "11.5"},
                "112",
            ],
            "check_star": {"name": "000-BCP-220", "measured_mag": 11.93},
            "software": {"name": "Night Watch", "version": "2.1"},
            "plate_solver": "ASTAP",
            "aperture": 6.5,
            "EXPTIME": "30",
            "catalog": "APASS DR10",
            "chart": "X26835ABC",
        }
    )
    assert told.comparison_count == 3
    assert told.comparison_stars == (
        Star(name="000-BCP-144", ra_deg=325.5, dec_deg=43.5, catalogue_mag=10.1),
        Star(name="1978744246012345678", catalogue_mag=11.5),
        Star(name="112"),
    )
    assert told.check_star == Star(name="000-BCP-220", measured_mag=11.93)
    assert (told.software, told.software_version) == ("Night Watch", "2.1")
    assert (told.solver, told.aperture_px, told.aperture) == ("ASTAP", 6.5, None)
    assert (told.exposure_s, told.catalogue, told.chart) == (30.0, "APASS DR10", "X26835ABC")


@pytest.mark.parametrize(
    "payload",
    [
        {"check_star": "220", "check_star_mag": 11.9},
        {"check_star_name": "220", "kmag": 11.9},
        {"KNAME": "220", "KMAG": "11.9"},
    ],
)
def test_check_stars_are_told_in_several_ways(payload: dict[str, Any]) -> None:
    """As an object, or as a name and a magnitude beside it."""
    assert read_provenance(payload).check_star == Star(name="220", measured_mag=11.9)


@pytest.mark.parametrize("payload", [None, [], "text", 3, {"exposure": -1}, {"software": [1]}])
def test_what_makes_no_sense_is_left_out(payload: Any) -> None:
    """Nothing is told, and nothing raised."""
    assert read_provenance(payload) == NOTHING


def test_reasons_have_their_name_their_sentence_and_what_was_found() -> None:
    """Mask and words are put together, in the registry's order; other reasons come last."""
    told = read_provenance(
        {
            "quality_bits": 8192 + 16 + 2**30,
            "quality_reasons": [
                "satellite: crosses the ring of sky",
                "clouds: 0.4 mag less light than in the clear frames",
                "windy",
            ],
        }
    )
    assert told.quality_bits == 8192 + 16 + 2**30
    stars, clouds, satellite, windy = told.quality_reasons
    assert (stars.name, stars.found) == ("few comparison stars", None)
    assert stars.sentence == "few comparison stars: fewer than 5 comparison stars"
    assert clouds.meaning is not None
    assert "more than 0.3 mag" in clouds.meaning
    assert clouds.sentence == "clouds: 0.4 mag less light than in the clear frames"
    assert satellite == QualityRemark(name="satellite", found="crosses the ring of sky")
    assert windy.sentence == "windy"


def test_stars_left_out_are_told_with_why() -> None:
    """Those that a list knows to vary, and those that scattered; what is no star is passed over."""
    told = read_provenance(
        {
            "comparisons_dropped": [
                {"name": "TYC 1", "why": "AAVSO VSX: V1 Cyg (EA)"},
                {"name": "TYC 2"},
                {"why": "nameless"},
                7,
            ],
            "comparisons_varying": ["TYC 3", None],
        }
    )
    assert told.left_out == (
        LeftOut(name="TYC 1", why="AAVSO VSX: V1 Cyg (EA)"),
        LeftOut(name="TYC 2", why="known to vary"),
        LeftOut(name="TYC 3", why="scatters over the series by at least twice its errors"),
    )


def test_every_verdict_of_a_node_is_read_back() -> None:
    """What the mask says and what the words say is one list, with nothing told twice."""
    everything = sum(reason.mask for reason in REASONS)
    words = [f"{reason.name}: found" for reason in REASONS]
    for payload in (
        {"quality_bits": everything, "quality_reasons": words},
        {"quality_bits": str(everything)},
        {"quality_reasons": words[::-1]},
    ):
        told = read_provenance(payload)
        assert [reason.name for reason in told.quality_reasons] == [one.name for one in REASONS]


@pytest.mark.parametrize("bits", [-1, 1.5, 2**31, 10**400, True, "many", [8192], None, "nan"])
def test_a_mask_that_is_none_is_left_out(bits: Any) -> None:
    """Negative, broken, too large, no number; what the words say counts all the same."""
    told = read_provenance({"quality_bits": bits, "quality_reasons": "clouds: thin"})
    assert told.quality_bits is None
    assert [reason.sentence for reason in told.quality_reasons] == ["clouds: thin"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
KEYS = [
    *asdict(NOTHING),
    "comparisons_dropped",
    "comparisons_varying",
    "exposure",
    "check_star_mag",
    "kname",
    "pipeline",
    "version",
]


@given(st.dictionaries(st.sampled_from(KEYS), json_values))
def test_any_payload_is_read_to_printable_json(payload: dict[str, Any]) -> None:
    """Finite numbers and printable texts, whatever a node wrote."""
    told = asdict(read_provenance(payload))
    texts = [value for value in told.values() if isinstance(value, str)]
    assert all(text.isprintable() and text for text in texts)
    assert json.dumps(told, allow_nan=False)


def test_a_huge_payload_gives_a_bounded_answer() -> None:
    """Ten thousand stars with long names, ten thousand keys, an endless integer."""
    star = {"name": "x" * 10_000, "mag": 10**400}
    payload = {f"key{n}": n for n in range(400)} | {"comparison_stars": [star] * 10_000}
    payload |= {"software": "y" * 1_000_000, "exposure": "9" * 1_000_000}
    payload |= {"quality_reasons": [f"{n}{'z' * 1_000}: {'z' * 1_000}" for n in range(10_000)]}
    payload |= {"comparisons_dropped": [star] * 10_000, "comparisons_varying": ["w" * 999] * 10_000}
    told = read_provenance(payload)
    assert told.comparison_count == 10_000
    assert len(json.dumps(asdict(told))) < 80_000

"""The quick writer of canonical JSON gives the very bytes that the wire's own gives."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundless_skies.cloud.domain import json_text
from boundless_skies.cloud.domain.json_text import canonical
from boundless_skies.wire import canonical_json

NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(1e-6, 1e-2),
    st.floats(1e14, 1e18),
    st.integers(),
    st.decimals(-1000, 1000, places=4).map(float),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=20,
)


@given(VALUES)
def test_any_value_has_the_same_bytes(value: Any) -> None:
    """Numbers of every size, texts of every script, nested."""
    assert canonical(value) == canonical_json(value)


@pytest.mark.parametrize(
    "value",
    [
        {"b": 1.5, "a": [0.0, -0.0, 12.345, 2461000.501736], "c": {"y": None, "x": "V"}},
        [0.0001, -9999999999999998.0, 10**30, True, ""],
        {"": "plain", "~": "}"},
    ],
)
def test_what_measurements_hold_goes_the_quick_way(
    value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the bytes of Python's own writer."""
    expected = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    monkeypatch.setattr(json_text, "canonical_json", None)
    assert canonical(value) == expected


@pytest.mark.parametrize(
    "value",
    [9.9e-5, -1e16, "é", 'a"b', "\x7f", "\x1f", {"\\": 1}, {"ü": 1}, "\U0001f52d", "\ud800"],
)
def test_what_the_writers_put_in_different_forms(value: Any) -> None:
    """It has the form of the wire's own."""
    assert canonical([value]) == canonical_json([value])


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf], {"a": [math.nan]}])
def test_what_is_no_number_is_refused(value: Any) -> None:
    """As JSON has no form for it."""
    with pytest.raises(ValueError, match="JSON"):
        canonical(value)

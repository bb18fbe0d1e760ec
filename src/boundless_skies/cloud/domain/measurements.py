"""Reading a measurement as a node sent it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.json_text import canonical
from boundless_skies.cloud.domain.reading import (
    Range,
    clean_text,
    finite_number,
    json_object,
    optional_text,
    required_number,
    required_text,
)
from boundless_skies.wire import QualityFlag, idempotency_key
from boundless_skies.wire.limits import (
    BJD_MAX_D,
    BJD_MIN_D,
    MAGNITUDE_MAX,
    MAGNITUDE_MIN,
    UNCERTAINTY_MAX_MAG,
)

BJD = Range(BJD_MIN_D, BJD_MAX_D, open_low=True, open_high=True)
MAGNITUDE = Range(MAGNITUDE_MIN, MAGNITUDE_MAX, open_low=True, open_high=True)
UNCERTAINTY = Range(0.0, UNCERTAINTY_MAX_MAG, open_high=True)
DEFAULT_FILTER = "CV"
TARGET_NAME_MAX_CHARS = 200
COUNT_MAX = 2**31 - 1
SOFTWARE_MAX_CHARS = 200

_FILTER = re.compile(r"[\w.+'/ -]{1,32}")
_QUALITY_FLAGS = frozenset(str(flag) for flag in QualityFlag)
# No kept name has one, and PostgreSQL cannot even compare with them.
_CONTROLS = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), " ")
_HEADER_KEY = re.compile(r"[\x21-\x7e]{1,200}")


@dataclass(kw_only=True, slots=True)
class Reading:
    """A measurement that passed the rules.

    ``bjd`` is BJD_TDB in days, magnitudes in mag, ``fwhm`` in pixels.
    ``payload_json`` is what the node wrote, unknown keys included, in canonical
    form; ``content_hash`` is taken from it, so equal contents are one measurement
    however they come.
    """

    target_name: str
    bjd: float
    magnitude: float
    uncertainty: float
    filter: str
    airmass: float | None
    fwhm: float | None
    snr: float | None
    comparison_stars: int | None
    quality_flag: str | None
    zero_point: float | None
    zp_scatter: float | None
    fits_file: str
    payload_json: str
    conditions: Any
    content_hash: str

    def key_from_content(self) -> str:
        """Return the ``Idempotency-Key`` that a node takes from the whole payload."""
        conditions = canonical(self.conditions)
        whole = b'{"conditions":%b,"measurement":%b}' % (conditions, self.payload_json.encode())
        return idempotency_key(whole)


PointId = tuple[str, float, str, str]
"""Target, BJD_TDB (days), filter, node: what is a revision of what."""


@dataclass(kw_only=True, slots=True)
class Entry:
    """A measurement on its way into the books.

    ``target_name`` is the name under which the target is kept, ``key`` an
    idempotency key that the client made up itself, ``software`` what sent it.
    """

    node_id: str
    target_name: str
    reading: Reading
    key: str | None
    software: str | None
    received_at: datetime

    @property
    def point_id(self) -> PointId:
        """What it would be a revision of."""
        return (self.target_name, self.reading.bjd, self.reading.filter, self.node_id)

    def under(self, target_name: str) -> "Entry":
        """Return this entry under the name that its target is kept by."""
        return self if target_name == self.target_name else replace(self, target_name=target_name)


class Receipt(NamedTuple):
    """What became of a measurement: its number, and whether it was here already."""

    id: int
    duplicate: bool


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of a light curve, as the public sees it.

    ``validation`` says whether other nodes agree: single, consistent, outlier;
    ``review`` is an operator's verdict where there is one.
    """

    bjd: float
    magnitude: float
    uncertainty: float
    filter: str
    node_id: str
    quality_flag: str | None
    airmass: float | None
    snr: float | None
    revision: int
    validation: str
    review: str | None
    id: int


@dataclass(frozen=True, kw_only=True)
class TargetSummary:
    """What is held about one target."""

    name: str
    points: int
    nodes: int
    filters: list[str]
    first_bjd: float
    last_bjd: float


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A measurement that came in, for the list of recent ones."""

    id: int
    target_name: str
    magnitude: float
    uncertainty: float
    filter: str
    node_id: str
    received_at: datetime


def read_target_name(name: str) -> str:
    """Return a target's name in the one form in which it is kept and looked up."""
    return clean_text(name.translate(_CONTROLS))


def read_idempotency_key(header: str | None) -> str | None:
    """Return the ``Idempotency-Key`` of a request, None where it has none.

    Raises
    ------
    InvalidInput
        If it is longer than 200 characters or not printable ASCII.
    """
    if not header:
        return None
    if not _HEADER_KEY.fullmatch(header):
        raise InvalidInput("Idempotency-Key must be 1 to 200 printable ASCII characters.")
    return header


def read_software(user_agent: str | None) -> str | None:
    """Return what a request says of the program that sent it, printable and cut to a length."""
    if not user_agent:
        return None
    return "".join(char for char in user_agent if char.isprintable())[:SOFTWARE_MAX_CHARS]


def read_submission(body: Any) -> Reading:
    """Read ``{"measurement": {…}, "conditions": {…}}`` or a bare measurement.

    Raises
    ------
    InvalidInput
        If a required value is missing, of the wrong type, or out of its range.
    """
    submission = json_object(body, "The measurement")
    if "measurement" not in submission:
        return read_measurement(submission, None)
    measurement = json_object(submission["measurement"], "measurement")
    return read_measurement(measurement, submission.get("conditions"))


def read_measurement(measurement: dict[str, Any], conditions: Any) -> Reading:
    """Read one measurement.

    Required are ``target_name``, ``bjd``, ``magnitude`` and ``uncertainty``; the
    others become None where they are absent or make no sense, and are kept in
    the payload as they came.

    Raises
    ------
    InvalidInput
        If a required value is missing, of the wrong type, or out of its range.
    """
    payload = _canonical(measurement)
    return Reading(
        target_name=required_text(measurement, "target_name", TARGET_NAME_MAX_CHARS),
        bjd=required_number(measurement, "bjd", BJD),
        magnitude=required_number(measurement, "magnitude", MAGNITUDE),
        uncertainty=required_number(measurement, "uncertainty", UNCERTAINTY),
        filter=_read_filter(measurement),
        airmass=finite_number(measurement.get("airmass")),
        fwhm=finite_number(measurement.get("fwhm")),
        snr=finite_number(measurement.get("snr")),
        comparison_stars=_read_count(measurement.get("comparison_stars")),
        quality_flag=_read_quality(measurement.get("quality_flag")),
        zero_point=finite_number(measurement.get("zero_point")),
        zp_scatter=finite_number(measurement.get("zp_scatter")),
        fits_file=_read_file_name(measurement),
        payload_json=payload.decode(),
        conditions=conditions if conditions is not None else {},
        content_hash=idempotency_key(payload),
    )


def _canonical(measurement: Mapping[str, Any]) -> bytes:
    try:
        return canonical(measurement)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The measurement cannot be kept as JSON: {error}.") from None


def _read_filter(measurement: Mapping[str, Any]) -> str:
    name = optional_text(measurement, "filter", DEFAULT_FILTER, max_chars=32)
    if not _FILTER.fullmatch(name):
        raise InvalidInput(f"filter {name!r} must be a name of letters and digits, such as V.")
    return name


def _read_count(value: Any) -> int | None:
    if type(value) is int and 0 <= value <= COUNT_MAX:  # as nearly every one is
        return value
    if isinstance(value, list):
        return len(value)
    number = finite_number(value)
    return int(number) if number is not None and 0 <= number <= COUNT_MAX else None


def _read_quality(value: Any) -> str | None:
    flag = value.strip().lower() if isinstance(value, str) else None
    return flag if flag in _QUALITY_FLAGS else None


def _read_file_name(measurement: Mapping[str, Any]) -> str:
    try:
        return optional_text(measurement, "fits_file", max_chars=1_000)
    except InvalidInput:
        return ""

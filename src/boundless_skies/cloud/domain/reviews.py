"""What an astronomer says of a point that the network disagrees about."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.reading import optional_text, shown
from boundless_skies.cloud.domain.validation import Review

REASON_MAX_CHARS = 1_000
VERDICTS = {
    "accept": Review.ACCEPTED,
    "reject": Review.REJECTED,
    "accepted": Review.ACCEPTED,
    "rejected": Review.REJECTED,
}
"""The words that a verdict is given in."""


@dataclass(frozen=True, kw_only=True)
class NewVerdict:
    """A verdict as an operator gives it."""

    verdict: Review
    reason: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A verdict as it is kept; of several on one point the newest holds."""

    verdict: Review
    reason: str
    operator: str
    at: datetime


def read_verdict(body: Mapping[str, Any]) -> NewVerdict:
    """Read ``{"verdict": "accept" | "reject", "reason": …}``.

    Raises
    ------
    InvalidInput
        If there is no such verdict, or a point is rejected without a reason.
    """
    word = body.get("verdict")
    if not isinstance(word, str) or word not in VERDICTS:
        raise InvalidInput(f"verdict {shown(word)} must be accept or reject.")
    verdict = VERDICTS[word]
    reason = optional_text(body, "reason", max_chars=REASON_MAX_CHARS)
    if verdict is Review.REJECTED and not reason:
        raise InvalidInput("reason is missing. Say why the point is rejected.")
    return NewVerdict(verdict=verdict, reason=reason)

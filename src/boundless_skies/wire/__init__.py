"""The messages that a node and a cloud speak: paths, shapes, limits, units.

Standard library only: the link on a Raspberry Pi and the cloud share this
package, so what one side sends is what the other side reads.
"""

from boundless_skies.wire.canonical import canonical_json, idempotency_key
from boundless_skies.wire.messages import (
    Interrupt,
    ItemState,
    Measurement,
    Plan,
    PlanItem,
    QualityFlag,
    Registration,
)

__all__ = [
    "Interrupt",
    "ItemState",
    "Measurement",
    "Plan",
    "PlanItem",
    "QualityFlag",
    "Registration",
    "canonical_json",
    "idempotency_key",
]

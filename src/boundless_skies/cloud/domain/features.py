"""What this cloud can do beyond the core contract; a node uses only what is named here."""

from boundless_skies.wire import features

FEATURES = [
    features.MEASUREMENTS_BATCH,
    features.INTERRUPTS_WAIT,
    features.PLAN_EVENTS,
    features.KEYS_ROTATE,
    features.HEARTBEAT_QUEUE,
]

"""What this cloud can do beyond the core contract; a node uses only what is named here."""

FEATURES = [
    "measurements.batch",
    "interrupts.wait",
    "plan.events",
    "keys.rotate",
    "heartbeat.queue",
]

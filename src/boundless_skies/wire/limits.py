"""The ranges within which a measurement is taken (both sides agree on them)."""

BJD_MIN_D = 2_400_000.0
"""Exclusive lower bound of ``bjd`` (BJD_TDB, days)."""
BJD_MAX_D = 2_500_000.0
"""Exclusive upper bound of ``bjd`` (BJD_TDB, days)."""
MAGNITUDE_MIN = -5.0
"""Exclusive lower bound of ``magnitude`` (mag)."""
MAGNITUDE_MAX = 30.0
"""Exclusive upper bound of ``magnitude`` (mag)."""
UNCERTAINTY_MAX_MAG = 5.0
"""Exclusive upper bound of ``uncertainty`` (mag); the lower bound 0 is included."""
NODE_ID_MAX_CHARS = 64
"""Longest ``node_id`` (letters, digits, ``.``, ``_``, ``-``)."""
BATCH_MAX_ITEMS = 500
"""Most items in one batch of measurements, and the cap of the link's retry queue."""
EVENTS_MAX_ITEMS = 500
"""Most events in one call that tells what became of a plan or an interrupt."""
EVENT_NAME_MAX_CHARS = 200
"""Longest ``event_id``, ``item_id`` and ``at`` of an event."""
EVENT_REASON_MAX_CHARS = 2_000
"""Longest ``reason`` of an event."""
INTERRUPTS_WAIT_S = 25
"""Longest wait for an interrupt that a node asks for: below the usual time-outs of proxies."""

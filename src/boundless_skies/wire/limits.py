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
INTERRUPTS_WAIT_S = 25
"""Longest wait for an interrupt that a node asks for: below the usual time-outs of proxies."""

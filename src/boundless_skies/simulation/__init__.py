"""A simulated world: telescopes, weather and faults, under a clock that runs ahead."""

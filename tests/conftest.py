"""How hypothesis runs: the same examples every time in `make test`, fresh ones in `make soak`."""

import os

from hypothesis import HealthCheck, settings

# A loaded machine is no fault of the code; fixtures that examples share hold no state of theirs.
settings.register_profile(
    "ordinary",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile(
    "soak", settings.get_profile("ordinary"), derandomize=False, max_examples=2_000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ordinary"))

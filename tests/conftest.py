"""What holds for all tests: hypothesis's examples, and signals as at a terminal."""

import os
import signal

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


def pytest_configure() -> None:
    """Hear Ctrl-C also where we were started behind nohup or &, which ignore it for us."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

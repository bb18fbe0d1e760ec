"""What holds for all tests: hypothesis's examples, signals as at a terminal, files in memory."""

import os
import signal
import sys
import tempfile
from pathlib import Path

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
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ordinary")
settings.load_profile(PROFILE)

ROOM_BYTES = 3 << 30


def _temporary_files_in_memory() -> None:
    """Keep what tests write in memory where there is room: a kill takes no page of it either."""
    memory = Path("/dev/shm")  # noqa: S108 - the folders in it are pytest's and the tests' own
    if "TMPDIR" in os.environ or not memory.is_dir() or not os.access(memory, os.W_OK | os.X_OK):
        return
    room = os.statvfs(memory)
    # PostgreSQL's programs may have to be copied there, and run.
    if room.f_bavail * room.f_frsize >= ROOM_BYTES and not room.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = str(memory)
        tempfile.tempdir = None  # forget the one that pytest has asked for before us


if PROFILE == "ordinary":  # the long runs are to meet a real disk
    _temporary_files_in_memory()

# Images of containers often forbid it; each of the hundreds of programs that the tests start
# would then compile all its libraries anew, which takes a cloud half as long again to start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_configure() -> None:
    """Hear Ctrl-C also where we were started behind nohup or &, which ignore it for us."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

"""A process of its own that parks the telescope when the node dies, and knows nothing else.

It holds the mount's address, and a pipe from the node. As long as the node lives it writes to
that pipe; where the node says goodbye the process just ends. Where the pipe breaks without a
goodbye (the node was killed), or is silent for too long (it hangs), the mount is parked.

While it lives it holds a lock, so that a node that is started again waits until the telescope
has come to rest, and the two never steer it at once.
"""

import contextlib
import fcntl
import logging
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

from boundless_skies.node.clock import Clock, SystemClock
from boundless_skies.node.devices.alpaca.calls import Server
from boundless_skies.node.devices.alpaca.mount import AlpacaMount
from boundless_skies.node.devices.errors import DeviceError, DeviceRefused
from boundless_skies.node.errors import NodeError

log = logging.getLogger(__name__)

LOCK_NAME = "telescope.lock"
BEAT_S = 5.0
SILENCE_S = 120.0
"""So long the node may say nothing before it counts as hanging (s)."""
TRY_FOR_S = 900.0
"""How long parking is tried again (s)."""

# What Python needs to start; the node's other settings may hold its key.
_KEPT_SETTINGS = ("PATH", "PYTHONPATH", "PYTHONHOME", "HOME", "LANG", "LC_ALL")
_BEAT, _GOODBYE = b".", b"!"
_PAUSE_S = 5.0
_CALL_LIMIT_S = 10.0
_READY_LIMIT_S = 60.0
_MOTION_LIMIT_S = 180.0


class TelescopeBusy(NodeError):  # noqa: N818 - the name says the fault
    """Another node, or the watchdog of one that died, has the telescope."""


class WatchdogMissing(NodeError):  # noqa: N818 - the name says the fault
    """The process that is to park the telescope does not start."""


class Watchdog:
    """The node's end: starts the process, and lets it know that the node lives.

    Parameters
    ----------
    address : str
        ``host:port`` of the mount's Alpaca server.
    number : int
        The mount's number there.
    folder : Path
        The node's data folder, for the lock.
    clock : Clock
        To wait with.
    """

    def __init__(self, address: str, number: int, folder: Path, clock: Clock) -> None:
        self._command = [sys.executable, "-m", __name__, address, str(number)]
        self._lock_path = folder / LOCK_NAME
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._beat_at_s = clock.monotonic()
        self._is_lost = False

    def start(self, stop: threading.Event, wait_s: float = 300.0) -> bool:
        """Take the telescope, waiting until an earlier watchdog has parked it.

        Parameters
        ----------
        stop : threading.Event
            Ends the wait.
        wait_s : float
            How long to wait at most, seconds.

        Returns
        -------
        bool
            False where ``stop`` ended the wait: the telescope is not ours then.

        Raises
        ------
        TelescopeBusy
            If another node keeps it.
        WatchdogMissing
            If the process does not start: nothing may move then.
        """
        try:
            lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _missing(f"{self._lock_path}: {error.strerror}") from error
        try:
            if not self._take(lock, stop, wait_s):
                return False
            self._process = self._started(lock)
            self._await_ready(self._process)
        finally:
            os.close(lock)
        return True

    def _started(self, lock: int) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603 - our own module
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(lock,),
                env={name: os.environ[name] for name in _KEPT_SETTINGS if name in os.environ},
                start_new_session=True,  # a Ctrl-C for the node is none for it
            )
        except OSError as error:
            raise _missing(str(error)) from error

    @property
    def pid(self) -> int | None:
        """The process; None before it was started."""
        return None if self._process is None else self._process.pid

    def beat(self) -> None:
        """Say that the node lives; to be called every few seconds."""
        now_s = self._clock.monotonic()
        if now_s - self._beat_at_s < BEAT_S:
            return
        self._beat_at_s = now_s
        if self._is_lost:
            self._replace()
        else:
            self._say(_BEAT)

    def _replace(self) -> None:
        try:
            self._is_lost = not self.start(threading.Event(), wait_s=0.0)
        except NodeError as error:
            log.error("%s", error)  # noqa: TRY400 - a sentence, no traceback
        else:
            log.warning("Another watchdog has been started.")

    def close(self) -> None:
        """Say goodbye: the node has parked the telescope itself, or has not moved it."""
        if self._process is None or self._process.stdin is None:
            return
        self._say(_GOODBYE)
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()
        self._process = None

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is None:
            return
        with process.stdout as told:
            readable, _, _ = select.select([told], [], [], _READY_LIMIT_S)
            if readable and told.read(1) == _BEAT:
                return
        process.kill()
        process.communicate()
        self._process = None
        raise _missing("the lines above tell why, or the computer is too busy")

    def _say(self, word: bytes) -> None:
        if self._process is None or self._process.stdin is None:
            return
        try:
            os.write(self._process.stdin.fileno(), word)
        except OSError:
            self._process.kill()
            self._process.communicate()
            self._process, self._is_lost = None, True
            log.error(  # noqa: TRY400 - a sentence, no traceback
                "The watchdog that parks the telescope if this node dies has ended itself."
            )

    def _take(self, lock: int, stop: threading.Event, wait_s: float) -> bool:
        ends_s = self._clock.monotonic() + wait_s
        while not stop.is_set():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._clock.monotonic() >= ends_s:
                    raise TelescopeBusy(
                        f"Another node steers this telescope, or the watchdog of one that died is "
                        f"still parking it after {wait_s:.0f} s ({self._lock_path} is locked). "
                        "End the other node, or look after the mount."
                    ) from None
                self._clock.sleep(1.0, stop)
            else:
                return True
        return False


def _missing(why: str) -> WatchdogMissing:
    return WatchdogMissing(
        "The watchdog that parks the telescope if this node dies does not start, so that nothing "
        f"is moved ({why})."
    )


def watch(pipe: int, mount: AlpacaMount, clock: Clock, silence_s: float = SILENCE_S) -> None:
    """Wait for the node's end, and park the mount unless the node said goodbye.

    Parameters
    ----------
    pipe : int
        Where the node writes to.
    mount : AlpacaMount
        What is to be parked.
    clock : Clock
        To wait with.
    silence_s : float
        How long the node may say nothing, seconds.
    """
    while True:
        readable, _, _ = select.select([pipe], [], [], silence_s)
        said = os.read(pipe, 4_096) if readable else b""
        if said.endswith(_GOODBYE):
            return
        if not said:
            break
    why = "ended without parking" if readable else f"said nothing for {silence_s:.0f} s"
    log.error("The node %s; the telescope is parked.", why)
    _park(mount, clock)


def _park(mount: AlpacaMount, clock: Clock) -> None:
    never = threading.Event()
    ends_s = clock.monotonic() + TRY_FOR_S
    while clock.monotonic() < ends_s:
        try:
            with contextlib.suppress(DeviceRefused):  # some say no where nothing moves
                mount.abort()
            mount.park(never)
        except DeviceRefused as error:
            log.error("The mount does not park: %s", error)  # noqa: TRY400 - a sentence
            return
        except DeviceError as error:
            log.warning("The mount is not parked yet: %s", error)
            clock.sleep(_PAUSE_S, never)
        else:
            return


def _main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s")
    # A service manager ends all processes of a service at once; this one goes after the node.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    address, number = sys.argv[1], int(sys.argv[2])
    clock = SystemClock()
    mount = AlpacaMount(Server(address, _CALL_LIMIT_S), number, clock, _MOTION_LIMIT_S)
    os.write(sys.stdout.fileno(), _BEAT)
    watch(sys.stdin.fileno(), mount, clock)


if __name__ == "__main__":
    _main()

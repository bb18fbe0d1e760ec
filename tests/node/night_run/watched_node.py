"""A node that does nothing but move an Alpaca mount under a watchdog, to be killed.

Run as a program with ADDRESS FOLDER: it says ``PID`` of the watchdog once the mount is on its
way, then beats; on a line of its input it says goodbye, and ends.
"""

import sys
import threading
from pathlib import Path

from tests.support.alpaca_server import DEC_DEG, RA_DEG

from boundless_skies.node.clock import SystemClock
from boundless_skies.node.devices.alpaca.calls import Server
from boundless_skies.node.devices.alpaca.mount import AlpacaMount
from boundless_skies.node.services.watchdog import Watchdog


def main(address: str, folder: Path) -> None:
    """Move the mount, and wait."""
    stop, clock = threading.Event(), SystemClock()
    watchdog = Watchdog(address, 0, folder, clock)
    watchdog.start(stop)
    mount = AlpacaMount(Server(address, 10.0), 0, clock, 60.0)
    mount.unpark()
    mount.slew(RA_DEG, DEC_DEG, stop)
    sys.stdout.write(f"{watchdog.pid}\n")
    sys.stdout.flush()
    sys.stdin.readline()
    watchdog.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

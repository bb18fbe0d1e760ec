"""One process that serves."""

import asyncio
import contextlib
import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn

from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.errors import CloudError
from boundless_skies.cloud.factory import make_cloud
from boundless_skies.cloud.logs import LogStyle, start_logging
from boundless_skies.cloud.serving.listening import BACKLOG, connections_max
from boundless_skies.cloud.serving.protocol import Patience, PatientProtocol
from boundless_skies.cloud.web_factory import make_app

KEEP_ALIVE_S = 75
GRACE_S = 10
SWITCH_S = 0.0002
GARBAGE_EACH = 20_000
STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Duty:
    """What a worker needs to serve; it travels to it through a pipe, never on a command line."""

    config: CloudConfig
    log_style: LogStyle
    listener: socket.socket


class Server(uvicorn.Server):
    """A server that lets waiting calls go when it is to stop, and stops with its parent."""

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start; hear signals from now on, and the parent's end."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        parent = multiprocessing.parent_process()
        if parent is not None:
            asyncio.get_running_loop().add_reader(parent.sentinel, self._lose_parent)
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new calls, answer those that are under way, stop."""
        self._on_stop()
        await super().shutdown(sockets)

    def _lose_parent(self) -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            asyncio.get_running_loop().remove_reader(parent.sentinel)
        logger.error("The cloud's parent process is gone; this worker stops, too.")
        self.should_exit = True


def work(duty: Duty) -> None:
    """Be a worker process: serve until told to stop, or until the parent is gone."""
    start_logging(duty.log_style)
    try:
        serve_on(duty.config, duty.listener)
    except CloudError as error:
        logger.error("The worker %d cannot start: %s", os.getpid(), error)  # noqa: TRY400
        sys.exit(1)


def _tune_interpreter() -> None:
    """Let calls come through beside the database's threads, and many wait without long pauses."""
    # A thread that works holds the others up for this long; the usual 5 ms are many calls.
    sys.setswitchinterval(SWITCH_S)
    # What was loaded stays; looking through it again and again would stop all calls for long.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_EACH, 20, 50)


def serve_on(config: CloudConfig, listener: socket.socket) -> None:
    """Serve on a socket until told to stop.

    Raises
    ------
    CloudError
        If the data folder or an address is unusable.
    """
    limits = Patience(connections=connections_max())
    cloud = make_cloud(config)
    server = Server(
        uvicorn.Config(
            make_app(cloud),
            http=type("Protocol", (PatientProtocol,), {"patience": limits}),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
            backlog=BACKLOG,
        ),
        on_stop=cloud.stop_waiting,
    )
    _tune_interpreter()
    # uvicorn hands a signal on once it has shut down; by then there is nothing left to stop.
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: None)
    with contextlib.closing(listener):
        server.run(sockets=[listener])
    if not server.started:
        sys.exit(1)

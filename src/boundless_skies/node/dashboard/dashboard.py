"""The dashboard as a part of the running node."""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import uvicorn

from boundless_skies.node.clock import Clock, SystemClock
from boundless_skies.node.dashboard.app import make_app
from boundless_skies.node.dashboard.desk import Desk
from boundless_skies.node.dashboard.gate import exposure_problem
from boundless_skies.node.dashboard.log_tail import LogTail, secrets_of
from boundless_skies.node.dashboard.visits import Password
from boundless_skies.node.storage.ledger import Ledger
from boundless_skies.node.storage.schedule import ScheduleStore

log = logging.getLogger(__name__)

_STOP_LIMIT_S = 5.0
_LEAVE_S = 1
_BACKLOG = 64
_CONNECTIONS_MAX = 128


class Dashboard:
    """Serves the owner's pages from a thread of the node's process.

    Whatever keeps it from starting is told in one line of the log; the node goes on without it.

    Parameters
    ----------
    config : Mapping
        The config that the node runs with.
    config_path : Path
        The file that it came from, which the settings page writes.
    folder : Path
        The data folder.
    store : ScheduleStore
        Plans, interrupts and commands.
    ledger : Ledger
        Frames and measurements.
    status : callable
        What the running node says of itself; called from other threads, about once a second
        while a page is open.
    clock : Clock, optional
        Tells the time.
    moves_telescope : bool, optional
        Whether something carries commands and plans out; what ``telescope.enabled`` says
        where None.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        config_path: Path,
        folder: Path,
        store: ScheduleStore,
        ledger: Ledger,
        status: Callable[[], Mapping[str, Any]],
        clock: Clock | None = None,
        *,
        moves_telescope: bool | None = None,
    ) -> None:
        self._block = config["dashboard"]
        if moves_telescope is None:
            moves_telescope = bool((config.get("telescope") or {}).get("enabled"))
        self._log_tail = LogTail(lambda: secrets_of(config, folder))
        self._desk = Desk(
            config=config,
            config_path=config_path,
            folder=folder,
            store=store,
            ledger=ledger,
            status=status,
            clock=clock or SystemClock(),
            moves_telescope=moves_telescope,
            log=self._log_tail,
        )
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._end_streams: Callable[[], None] = lambda: None
        self.url = ""

    def start(self) -> bool:
        """Begin to serve.

        Returns
        -------
        bool
            False where it is switched off or cannot be served; the log says why.
        """
        logging.getLogger().addHandler(self._log_tail)
        if not self._block["enabled"]:
            return False
        problem = exposure_problem(self._block)
        if problem:
            log.error("%s The node runs without its dashboard.", problem)
            return False
        listener = self._listen()
        if listener is None:
            return False
        self._serve_on(listener)
        log.info("Your dashboard: %s", self.url)
        return True

    def stop(self) -> None:
        """End it; pages that are open say that the node is gone."""
        logging.getLogger().removeHandler(self._log_tail)
        self._end_streams()
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_STOP_LIMIT_S)

    def _listen(self) -> socket.socket | None:
        host, port = self._block["host"].strip("[]"), self._block["port"]
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            return socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            log.warning(
                "The dashboard cannot be served on %s port %s (%s); the node runs without it. "
                "Set dashboard.port to another number to have it.",
                host,
                port,
                error.strerror or error,
            )
            return None

    def _serve_on(self, listener: socket.socket) -> None:
        host, port = listener.getsockname()[:2]
        shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - only compared
        self.url = f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
        app, pulse = make_app(self._desk, host, port, Password(self._block["password"]))
        self._end_streams = pulse.stop
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_CONNECTIONS_MAX,
                timeout_graceful_shutdown=_LEAVE_S,
            )
        )
        self._thread = threading.Thread(
            target=self._run, args=(self._server, listener), name="node-dashboard", daemon=True
        )
        self._thread.start()

    @staticmethod
    def _run(server: uvicorn.Server, listener: socket.socket) -> None:
        with listener:
            asyncio.run(server.serve(sockets=[listener]))

"""Running the web server, in this process or in several."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Callable

import click
import uvicorn

from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.errors import CloudError
from boundless_skies.cloud.factory import Cloud, make_app, make_cloud

KEEP_ALIVE_S = 75
GRACE_S = 10
BACKLOG = 2_048
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Server(uvicorn.Server):
    """A server that says when it is up, and lets waiting calls go when it is to stop."""

    def __init__(
        self, config: uvicorn.Config, on_up: Callable[[], None], on_stop: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_up = on_up
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start; say so."""
        await super().startup(sockets)
        self._on_up()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new calls, answer those that are under way, stop."""
        self._on_stop()
        await super().shutdown(sockets)


def serve(config: CloudConfig, host: str, port: int) -> None:
    """Run the server until it is told to stop.

    Raises
    ------
    click.ClickException
        If the address is taken or the data folder unusable, with what to do.
    """
    listener = listen(host, port)
    try:
        prepare(config)
    except CloudError as error:
        listener.close()
        raise click.ClickException(str(error)) from None
    announce(config, host, listener.getsockname()[1])
    run_worker(config, listener)
    click.echo("Cloud stopped.")


def prepare(config: CloudConfig) -> None:
    """See that the database can be opened, and that an admin can get in."""

    async def prepare_opened(cloud: Cloud) -> str | None:
        async with cloud.opened():
            return await cloud.services.operators.prepare()

    made = asyncio.run(prepare_opened(make_cloud(config)))
    if made is not None:
        click.echo(f"The operator's key, shown this once: {made}")


def run_worker(config: CloudConfig, listener: socket.socket) -> None:
    """Serve on a socket until told to stop."""
    cloud = make_cloud(config)
    server = Server(
        uvicorn.Config(
            make_app(cloud),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
            backlog=BACKLOG,
        ),
        on_up=lambda: None,
        on_stop=cloud.services.interrupts.close,
    )
    # uvicorn hands a signal on once it has shut down; by then there is nothing left to stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    server.run(sockets=[listener])
    if not server.started:
        sys.exit(1)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    click.ClickException
        If the address cannot be had, with what to do.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with contextlib.ExitStack() as on_failure:
            listener = on_failure.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
            on_failure.pop_all()
    except OSError as error:
        raise click.ClickException(
            f"Cannot listen on {host}, port {port}: {error.strerror or error}. "
            "If another cloud runs there, stop it; or choose another port with --port "
            f"(such as {port + 1})."
        ) from None
    return listener


def announce(config: CloudConfig, host: str, port: int) -> None:
    """Say where the cloud is."""
    shown_host = f"[{host}]" if ":" in host else host
    click.echo(
        f"Cloud is up: http://{shown_host}:{port}  (data in {config.data_dir}, Ctrl-C stops)"
    )
    if host not in LOOPBACK:
        click.echo(
            "It speaks plain HTTP and is reachable from other machines: "
            "put a TLS proxy before it (docs/cloud.md)."
        )

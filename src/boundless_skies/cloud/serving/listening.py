"""The socket that all workers share, and how many connections fit into a process."""

import contextlib
import resource
import socket

import click

BACKLOG = 2_048
NOT_TAKEN_S = 60
"""After how long a peer that does not take what was sent is given up."""
FILES_RESERVED = 256
"""Open files for the database, the images and the logs."""
CONNECTIONS_MAX = 50_000
"""Of one process, where the system grants more files: each takes some 10 KB of memory."""


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
            _tune(listener)
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


def connections_max() -> int:
    """Raise the limit of open files as far as allowed; return how many connections that gives."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return min(max(soft - FILES_RESERVED, soft // 2), CONNECTIONS_MAX)


def _tune(listener: socket.socket) -> None:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Linux hands it on to every connection, also for what the protocol has given to the kernel.
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        listener.setsockopt(socket.IPPROTO_TCP, option, NOT_TAKEN_S * 1_000)

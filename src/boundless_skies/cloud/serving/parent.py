"""What happens once, however many workers serve: the socket, the check, the first word."""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.errors import CloudError
from boundless_skies.cloud.factory import Cloud, make_cloud
from boundless_skies.cloud.logs import LogStyle, start_logging
from boundless_skies.cloud.services.operators import THE_CLOUD
from boundless_skies.cloud.serving.crew import Crew
from boundless_skies.cloud.serving.listening import listen
from boundless_skies.cloud.serving.worker import Duty, serve_on

LOOPBACK = ("127.0.0.1", "::1", "localhost")
METRICS_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def serve(config: CloudConfig, host: str, port: int, workers: int, log_style: LogStyle) -> None:
    """Run the server until it is told to stop.

    Raises
    ------
    click.ClickException
        If the address is taken or the data folder unusable, with what to do.
    """
    start_logging(log_style)
    with closing(listen(host, port)) as listener:
        try:
            prepare(config)
            announce(config, host, listener.getsockname()[1])
            run(Duty(config, log_style, listener), workers)
        except CloudError as error:
            raise click.ClickException(str(error)) from None
    click.echo("Cloud stopped.")


def run(duty: Duty, workers: int) -> None:
    """Serve in this process, or in several below it."""
    if workers == 1:
        serve_on(duty.config, duty.listener)
        return
    with shared_metrics():
        Crew(duty, workers).run()


def prepare(config: CloudConfig) -> None:
    """See that the database can be opened, and that an admin can get in."""

    async def prepare_opened(cloud: Cloud) -> str | None:
        async with cloud.opened():
            if config.registration is not None:
                await cloud.services.admission.set_policy(THE_CLOUD, config.registration)
            return await cloud.services.operators.prepare()

    made = asyncio.run(prepare_opened(make_cloud(config)))
    if made is not None:
        click.echo(f"The operator's key, shown this once: {made}")


@contextmanager
def shared_metrics() -> Iterator[None]:
    """Give workers a private folder in which their counts come together."""
    with tempfile.TemporaryDirectory(prefix="boundless-metrics-") as folder:
        os.environ[METRICS_FOLDER_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[METRICS_FOLDER_VARIABLE]


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

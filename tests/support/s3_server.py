"""A real S3-compatible server on loopback, in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

BUCKET = "frames"
KEYS = "access_key_id=AKIAEXAMPLE&secret_access_key=a+secret/never+shown"


@dataclass(frozen=True)
class S3Server:
    """Where the server listens."""

    endpoint: str

    def address(self, folder: str, bucket: str = BUCKET) -> str:
        """Return the address of a store in a folder of a bucket."""
        return f"s3://{bucket}/{folder}?endpoint={self.endpoint}&region=us-east-1&{KEYS}"


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run a server that holds one bucket."""
    command = [sys.executable, __file__]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield S3Server(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.kill()


def _serve() -> None:
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - in the server's process only
        DomainDispatcherApplication,
        create_backend_app,
    )
    from moto.s3.models import s3_backends  # noqa: PLC0415
    from werkzeug.serving import make_server  # noqa: PLC0415

    s3_backends["123456789012"]["aws"].create_bucket(BUCKET, "us-east-1")
    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    _serve()

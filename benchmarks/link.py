"""How much the link adds to what must be done anyway."""

import http.client
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.pairs import Pair, compare
from boundless_skies.wire import idempotency_key
from cloud_communicator import CloudCommunicator
from cloud_communicator.payload import measurement_payload
from cloud_communicator.retryqueue import RetryQueue

TITLE = "The link"
_TABLE = """| what | ours | the other | ratio | aim |
|---|---|---|---|---|
{rows}

* **Online submit.** `submit_measurement` with everything that it does (serialising, key,
  headers, bounded waits, reading the reply) against `http.client` posting the same ready-made
  bytes over a connection that it keeps, to the least server that can answer, in a process of its
  own: 31 rounds of 100 calls each.
* **Durable enqueue.** `RetryQueue.put`, the file holding 400 to 499 entries, against `os.write`
  and `os.fdatasync` of the same bytes to a plain file: 31 rounds of 99 calls.
* **Bytes written** are those that the process handed to the kernel (`/proc/self/io`, `wchar`).
* **Import** is a fresh interpreter that imports `cloud_communicator`, less one that does nothing.
"""
MEASUREMENT = {
    "target_name": "SS Cyg",
    "bjd": 2461368.512345,
    "magnitude": 12.345,
    "uncertainty": 0.012,
    "filter": "CV",
    "airmass": 1.234,
    "fwhm": 3.21,
    "snr": 98.7,
    "comparison_stars": 12,
    "quality_flag": "good",
    "node_id": "node-1",
    "zero_point": 22.345,
    "zp_scatter": 0.034,
    "fits_file": "SS_Cyg_0001.fits",
    "notes": "x" * 560,  # about 1 KB in all, as measurements in the field are
}
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 18\r\n"
    b"Date: Mon, 23 Nov 2026 00:00:00 GMT\r\n\r\n"
    b'{"ok":true,"id":1}'
)


def serve(listener: socket.socket) -> None:
    """Answer every request on kept-alive connections with the least possible work."""

    def one(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b""
        while part := connection.recv(65_536):
            data += part
            while (end := data.find(b"\r\n\r\n")) >= 0:
                head = data[:end].lower()
                at = head.find(b"content-length:")
                length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
                if len(data) < end + 4 + length:
                    break
                data = data[end + 4 + length :]
                connection.sendall(_ANSWER)

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=one, args=(connection,), daemon=True).start()


@contextmanager
def server() -> Iterator[int]:
    """Run the least server in a process of its own; gives its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.link"], stdout=subprocess.PIPE, text=True
    )
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def online_submit() -> tuple[Pair, int]:
    """`submit_measurement` against a bare kept-alive POST of the same bytes."""
    body = measurement_payload(MEASUREMENT, None)
    with server() as port, tempfile.TemporaryDirectory(dir=".") as folder:
        cloud = {
            "enabled": True,
            "url": f"http://127.0.0.1:{port}",
            "node_id": "node-1",
            "api_key": "k" * 43,
            "data_dir": folder,
        }
        link = CloudCommunicator({"cloud": cloud})
        bare = http.client.HTTPConnection("127.0.0.1", port)
        bare.connect()
        bare.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        headers = {
            "Content-Type": "application/json",
            "X-Node-Id": "node-1",
            "X-Api-Key": "k" * 43,
            "Idempotency-Key": idempotency_key(body),
            "User-Agent": "bare",
        }

        def post() -> None:
            bare.request("POST", "/api/v1/measurements", body, headers)
            bare.getresponse().read()

        def submit() -> None:
            if not link.submit_measurement(MEASUREMENT):
                raise SystemExit(f"not delivered: {link.status['error']}")

        pair = compare(submit, post, rounds=31, calls=100)
        bare.close()
    return pair, len(body)


def durable_enqueue() -> tuple[Pair, float]:
    """Enqueue at 400-499 queued against appending the same bytes with fdatasync."""
    line = measurement_payload(MEASUREMENT, None)
    lines = iter(range(10**9))
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        queue = RetryQueue(folder)
        plain = os.open(folder / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

        def fill() -> None:
            while len(queue) > 400:
                queue.delivered(queue.entries()[0])
            while len(queue) < 400:
                queue.put(_numbered(line, next(lines)))

        def enqueue() -> None:
            queue.put(_numbered(line, next(lines)))

        def append() -> None:
            os.write(plain, _numbered(line, next(lines)))
            os.fdatasync(plain)

        pair = compare(enqueue, append, rounds=31, calls=99, before=fill)
        fill()
        before = _bytes_written()
        for _ in range(99):
            enqueue()
        written = (_bytes_written() - before) / 99 / len(line)
        os.close(plain)
    return pair, written


def _numbered(line: bytes, number: int) -> bytes:
    return line.replace(b"SS_Cyg_0001", b"SS_Cyg_%07d" % number)


def _bytes_written() -> int:
    text = Path("/proc/self/io").read_text()
    return int(text.split("wchar: ")[1].split()[0])


def imports() -> tuple[Pair, bool]:
    """The whole import of the link against the interpreter's own start."""

    def run(code: str) -> None:
        subprocess.run([sys.executable, "-c", code], check=True)

    pair = compare(
        lambda: run("import cloud_communicator"), lambda: run("pass"), rounds=15, calls=1
    )
    loaded = subprocess.run(
        [sys.executable, "-c", "import cloud_communicator, sys; print('numpy' in sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )
    return pair, loaded.stdout.strip() == "True"


def section() -> str:
    """Measure all; returns the table and what its rows mean."""
    return _TABLE.format(rows="\n".join(rows()))


def rows() -> list[str]:
    """Measure all; returns rows of the table: what, ours, the other, ratio, asked for."""
    logging.disable(logging.CRITICAL)
    online, size = online_submit()
    queued, written = durable_enqueue()
    started, numpy = imports()
    return [
        _row(f"online submit of {size} bytes, against a bare kept-alive POST", online, "≤ 1.5"),
        _row("durable enqueue at 400–499 queued, against append + fdatasync", queued, "≤ 2"),
        f"| bytes written by that enqueue, against the entry's | | | {written:.2f} | ≤ 4 |",
        (
            f"| import of the link, above the interpreter's own start | "
            f"{(started.ours_s - started.other_s) * 1e3:.0f} ms | "
            f"{started.other_s * 1e3:.0f} ms | numpy: {'loaded' if numpy else 'no'} | ≤ 150 ms |"
        ),
    ]


def _row(what: str, pair: Pair, asked: str) -> str:
    return (
        f"| {what} | {pair.ours_s * 1e3:.3f} ms | {pair.other_s * 1e3:.3f} ms | "
        f"{pair.ratio:.2f} ({pair.low:.2f}–{pair.high:.2f}) | {asked} |"
    )


if __name__ == "__main__":
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    serve(listening)

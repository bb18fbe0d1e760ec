"""A Python that has loaded much already, and forks for each program that it is to run.

To load the node's libraries takes a second and more of a processor; a test that runs a program
twenty times need not wait for them twenty times. Each program is a process of its own all the same,
with its own folder, environment and end.

::

    with warm_python(NODE_LIBRARIES) as python:
        done = python.run("boundless_skies.cli", "node", "status", cwd=tmp_path)
        assert done.returncode == 3
"""

import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NODE_LIBRARIES = (
    "boundless_skies.node.main",
    "boundless_skies.node.measure_cli",
    "boundless_skies.node.factory",
)
REPOSITORY = Path(__file__).parents[2]
STOP_DEADLINE_S = 20.0
_REQUEST_BYTES = 1 << 17
_STREAMS = 3


class WarmPython:
    """The process that forks, as its user sees it.

    Parameters
    ----------
    link : socket.socket
        Leads to it; one message each way for each program.
    """

    def __init__(self, link: socket.socket) -> None:
        self._link = link

    def run(
        self,
        module: str,
        *words: str,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``python -m module words…`` to its end, with nothing to read.

        Parameters
        ----------
        module : str
            The module to run; one that is not among those loaded.
        *words : str
            Its arguments.
        cwd : Path
            The folder in which it runs.
        env : Mapping, optional
            Its environment; that of this process unless given.
        timeout_s : float
            How long it may take.

        Returns
        -------
        subprocess.CompletedProcess
            Its exit code (a negative signal where it was killed), and what it wrote.
        """
        request = {"words": [module, *words], "cwd": str(cwd), "env": dict(env or os.environ)}
        with (
            Path(os.devnull).open("rb") as nothing,
            tempfile.TemporaryFile("w+") as out,
            tempfile.TemporaryFile("w+") as err,
        ):
            streams = [each.fileno() for each in (nothing, out, err)]
            socket.send_fds(self._link, [json.dumps(request).encode()], streams)
            code = self._await_end(timeout_s)
            told = [_whole(out), _whole(err)]
        return subprocess.CompletedProcess([module, *words], code, *told)

    def _await_end(self, timeout_s: float) -> int:
        self._link.settimeout(timeout_s)
        answer = self._link.recv(_REQUEST_BYTES)
        assert answer, "the warm Python has ended"
        return int(answer)


def _whole(file: Any) -> str:
    file.seek(0)
    text: str = file.read()
    return text


@contextmanager
def warm_python(modules: Sequence[str]) -> Iterator[WarmPython]:
    """Run a Python that has loaded these modules, for the length of a ``with`` block."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno()), *modules],
            pass_fds=[theirs.fileno()],
            cwd=REPOSITORY,
            start_new_session=True,  # Ctrl-C at the tests' terminal is not for its programs
        )
        theirs.close()
        try:
            yield WarmPython(ours)
        finally:
            ours.close()
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let it end, by force where a program that it runs does not."""
    try:
        process.wait(STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def _serve(link: socket.socket) -> list[str] | None:
    """Fork for each request; return the words in the child, and nothing when all is over."""
    while True:
        raw, streams, _, _ = socket.recv_fds(link, _REQUEST_BYTES, _STREAMS)
        if not raw:
            return None
        child = os.fork()
        if not child:
            return _become(link, json.loads(raw), streams)
        for stream in streams:
            os.close(stream)
        _, status = os.waitpid(child, 0)
        link.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(link: socket.socket, request: dict[str, Any], streams: list[int]) -> list[str]:
    """Take the folder, environment and streams of a request on."""
    link.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    words: list[str] = request["words"]
    return words


def _main() -> None:
    number, *modules = sys.argv[1:]
    for name in modules:
        importlib.import_module(name)
    link = socket.socket(fileno=int(number))
    words = _serve(link)
    if words is None:
        return
    sys.argv = words
    sys.path[0] = str(Path.cwd())
    # From here the program ends as any other would: its threads, what it has at its end, its code.
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()

"""The program that makes thumbnails, beside the server.

Files of strangers are parsed by C code here, where a crash costs one picture and memory
has a limit. It reads a line of JSON for each picture and answers with one, which the PNG
file follows; it ends with its input.
"""

import json
import resource
import signal
import sys
from typing import Any, BinaryIO

from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.thumbnails import make_thumbnail


def main(memory_limit_bytes: int, time_limit_s: int) -> None:
    """Serve until the input ends.

    Parameters
    ----------
    memory_limit_bytes : int
        Of address space.
    time_limit_s : int
        For one picture; the program dies of a longer one, also when nobody watches it.
    """
    resource.setrlimit(resource.RLIMIT_AS, (memory_limit_bytes, memory_limit_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A Ctrl-C in the terminal is for the server, which then closes our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        signal.alarm(time_limit_s)
        _answer(json.loads(line), sys.stdout.buffer)
        signal.alarm(0)


def _answer(request: dict[str, Any], output: BinaryIO) -> None:
    try:
        thumbnail = make_thumbnail(request["path"], request["max_px"])
    except InvalidInput as error:
        _write(output, {"error": str(error)}, b"")
        return
    facts = {
        "width": thumbnail.width,
        "height": thumbnail.height,
        "sentence": thumbnail.sentence,
        "size": len(thumbnail.png),
    }
    _write(output, facts, thumbnail.png)


def _write(output: BinaryIO, facts: dict[str, Any], png: bytes) -> None:
    output.write(json.dumps(facts).encode() + b"\n" + png)
    output.flush()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

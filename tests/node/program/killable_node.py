"""A node that is killed (SIGKILL) before or after the n-th step of its books.

Run as ``python -m tests.node.program.killable_node FOLDER URL N``; with N = 0 it works until every
frame is handed over, and then ends by itself.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.node.program.fakes import FakeMeasuring, config_for

from boundless_skies.node.clock import SystemClock
from boundless_skies.node.factory import build_desk, build_watch
from boundless_skies.node.services.node_program import Inbox, NodeProgram
from boundless_skies.node.storage.ledger import FILE_NAME, Ledger
from boundless_skies.node.storage.schedule import FILE_NAME as SCHEDULE_NAME
from boundless_skies.node.storage.schedule import ScheduleStore
from cloud_communicator import CloudCommunicator


def main(folder: Path, url: str, fatal_step: int) -> None:
    """Run the node."""
    steps = 0

    def deadly(call: Callable[..., Any]) -> Callable[..., Any]:
        def step() -> None:
            nonlocal steps
            steps += 1
            if steps == fatal_step:
                os.kill(os.getpid(), signal.SIGKILL)

        def around(*args: Any, **kwargs: Any) -> Any:
            step()
            result = call(*args, **kwargs)
            step()
            return result

        return around

    config = config_for(folder, url)
    ledger = Ledger(folder / "data" / FILE_NAME)
    store = ScheduleStore(folder / "data" / SCHEDULE_NAME)
    desk = build_desk(config, store, SystemClock())
    inbox = Inbox(ledger, desk, lambda: (link.status["last_plan_id"], None))
    link = CloudCommunicator(config, None, inbox.take_plan, inbox.take_interrupt)
    stop = threading.Event()
    frames = len(list((folder / "frames").iterdir()))
    for owner, name in (
        (ledger, "keep_measured"),
        (link, "submit_measurement"),
        (ledger, "mark_handed"),
    ):
        setattr(owner, name, deadly(getattr(owner, name)))

    def end_when_done(status: dict[str, Any]) -> None:
        all_handed = status["frames"].get("handed") == frames
        if all_handed and not status["link"]["queued_uploads"]:
            stop.set()

    program = NodeProgram(
        config=config,
        folder=folder / "data",
        link=link,
        ledger=ledger,
        watch=build_watch(config, ledger),
        measuring=FakeMeasuring(),
        store=store,
        desk=desk,
    )
    program.run(stop, end_when_done)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))

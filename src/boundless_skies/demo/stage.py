"""Where a demo is played: a cloud and a node in a folder, each a process that ends with it."""

import contextlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from boundless_skies.demo.narration import DemoFailure, Narrator, Step
from boundless_skies.demo.processes import Child, held_signals
from boundless_skies.node.config_text import annotated_yaml
from boundless_skies.node.storage.ledger import FILE_NAME, Ledger
from boundless_skies.node.storage.status_file import read_status
from boundless_skies.sky import Site

NODE_NAME = "demo-telescope"
REACT_LIMIT_S = 30.0
"""Longest wait for what takes a second on a machine that is idle (s)."""

_START_LIMIT_S = 60.0
_STAY_LOOK_S = 0.5
_HEARTBEAT_S = 1


class Stage:
    """A cloud and a node in a folder; ends every process that it started.

    Parameters
    ----------
    folder : Path
        A fresh folder.
    narrator : Narrator
        Tells what happens.
    """

    def __init__(self, folder: Path, narrator: Narrator) -> None:
        self.folder = folder
        self.url = ""
        self._narrator = narrator
        self._frames = folder / "frames"
        self._data = folder / "node"
        self._cloud_data = folder / "cloud"
        self._operator = ("cloud", "--data", str(self._cloud_data))
        self._cloud: Child | None = None
        self._node: Child | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every process."""
        with held_signals():
            self._end()

    def _end(self) -> None:
        for child in (self._node, self._cloud):
            if child is not None:
                child.stop()

    @property
    def cloud(self) -> Child:
        """The running cloud."""
        if self._cloud is None:
            raise DemoFailure("the cloud was never started.")
        return self._cloud

    @property
    def node(self) -> Child:
        """The running node."""
        if self._node is None:
            raise DemoFailure("the node was never started.")
        return self._node

    def stay(self) -> None:
        """Keep cloud and node up until one of them ends."""
        while True:
            for child in (self.cloud, self.node):
                child.wait_for_end(_STAY_LOOK_S)

    # -- processes ------------------------------------------------------------------------

    def _start_cloud(self) -> None:
        with self._narrator.step("A cloud starts") as step:
            self._run_cloud(port="0")
            step.outcome = self.url

    def _run_cloud(self, port: str) -> None:
        words = ["cloud", "--data", self._cloud_data.name, "--port", port]
        with held_signals():
            self._cloud = Child("cloud", words, log=self.folder / "cloud.log", folder=self.folder)
        self.url = self._cloud.wait_for_line(r"Cloud is up: (http://\S+)", _START_LIMIT_S)[1]

    def _start_node(self, site: Site, answers: Mapping[str, object]) -> None:
        with self._narrator.step("A telescope's node starts and signs itself up") as step:
            self._frames.mkdir()
            config = self.folder / "config.yaml"
            config.write_text(annotated_yaml({**self._common_answers(site), **answers}), "utf-8")
            config.chmod(0o600)
            self._run_node()
            step.outcome = f"as {self._link['node_id']}"

    def _run_node(self) -> None:
        before = self._status.get("pid")
        with held_signals():
            self._node = Child(
                "node", ["node", "run"], log=self.folder / "node.log", folder=self.folder
            )
        self._node.wait_until(
            lambda: self._status.get("pid") != before and self._link.get("last_heartbeat_ok"),
            _START_LIMIT_S,
            "did not sign up",
        )

    def _common_answers(self, site: Site) -> dict[str, object]:
        return {
            "observatory.observer": "The demo",
            "observatory.latitude": site.latitude_deg,
            "observatory.longitude": site.longitude_deg,
            "observatory.elevation": site.elevation_m,
            "photometry.node_id": NODE_NAME,
            "image_watcher.watch_path": self._frames.name,
            "image_watcher.debounce_delay": 0.1,
            "image_watcher.poll_interval": 1.0,
            "image_watcher.incomplete_timeout": 2.0,
            "dashboard.enabled": False,
            "cloud.enabled": True,
            "cloud.url": self.url,
            "cloud.heartbeat_interval": _HEARTBEAT_S,
            "cloud.plan_poll_interval": _HEARTBEAT_S,
            "cloud.data_dir": self._data.name,
        }

    # -- what the node says ---------------------------------------------------------------

    @property
    def _status(self) -> dict[str, Any]:
        return read_status(self._data) or {}

    @property
    def _link(self) -> dict[str, Any]:
        link: dict[str, Any] = self._status.get("link") or {}
        return link

    def _frames_in(self, *states: str) -> int:
        """Return how many frames the node has in some states: handed, refused."""
        frames = self._status.get("frames") or {}
        return sum(int(frames.get(state, 0)) for state in states)

    def _drain(self, step: Step) -> None:
        def drained() -> bool:
            queued = self._link.get("queued_uploads")
            step.progress(f"{queued} in the queue")
            return queued == 0 and bool(self._link.get("last_heartbeat_ok"))

        self.node.wait_until(drained, REACT_LIMIT_S, "did not deliver its queue")

    def _wait(self, holds: Callable[[], object]) -> None:
        self.node.wait_until(holds, REACT_LIMIT_S, "did not hear of it")

    def _ledger(self) -> AbstractContextManager[Ledger]:
        return contextlib.closing(Ledger(self._data / FILE_NAME))

"""The demo's acts: a night, a cloud that falls and comes back, an operator, the books."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from boundless_skies.demo.books import Books, CloudReader, take_books
from boundless_skies.demo.light_curve import draw_light_curve
from boundless_skies.demo.narration import DemoFailure, Narrator, Step
from boundless_skies.demo.nights import Night, Shot, take_shot
from boundless_skies.demo.processes import call
from boundless_skies.demo.stage import Stage
from boundless_skies.node.services.measuring import refusal_line
from boundless_skies.node.services.node_program import measurement_line

_FRAME_LIMIT_S = 120.0


class Play(Stage):
    """Plays the demo in a folder; ends every process that it started.

    Parameters
    ----------
    folder : Path
        A fresh folder.
    night : Night
        What the telescope sees.
    narrator : Narrator
        Tells it.
    """

    def __init__(self, folder: Path, night: Night, narrator: Narrator) -> None:
        super().__init__(folder, narrator)
        self.target = ""
        self._night = night
        self._taken = 0
        self._refusals_told = 0

    def play(self) -> Books:
        """Play all acts.

        Returns
        -------
        Books
            What became of the measurements.

        Raises
        ------
        DemoFailure
            If a step does not go as it must.
        """
        tell = self._narrator
        begin, middle, end = _thirds(self._night.shots)
        tell.act("A network of one telescope")
        self._start_cloud()
        self._start_node(self._night.site, self._target_answers())
        if self._night.opening is not None:
            tell.act("A real frame, without a plate solution")
            self._open(self._night.opening)
        tell.act(f"The night begins: {self._night.story}")
        self._expose(begin, "Frames measured, and on the cloud")
        tell.act("The cloud is gone (kill -9)")
        self._lose_cloud(middle)
        tell.act("The cloud is back")
        self._bring_cloud_back()
        tell.act("An operator asks for something")
        self._publish_plan()
        self._send_interrupt()
        tell.act("The rest of the night")
        self._expose(end, "Frames measured, and on the cloud")
        tell.act("The books")
        return self._close_books()

    @property
    def page(self) -> str:
        """The address of the light curve's page."""
        return f"{self.url}/targets/{quote(self.target, safe='')}"

    @property
    def keepsakes(self) -> list[tuple[str, str]]:
        """What stays when all is over: what it is, and where."""
        return [("Light curve", str(self.picture))]

    @property
    def pages(self) -> list[tuple[str, str]]:
        """What can be looked at while the cloud runs: what it is, and its address."""
        return [("Page", self.page)]

    @property
    def picture(self) -> Path:
        """The light curve's PNG file."""
        return self.folder / "light-curve.png"

    # -- acts ---------------------------------------------------------------------------

    def _target_answers(self) -> dict[str, object]:
        return {f"photometry.target.{key}": value for key, value in self._night.target.items()}

    def _open(self, shot: Shot) -> None:
        with self._narrator.step("It is solved, measured, and on the cloud") as step:
            self._take([shot], step)
            self._drain(step)
            measured = self._status.get("last_measurement")
            step.outcome = measurement_line(measured) if measured else "not measured"
        self._tell_refusals()

    def _expose(self, shots: Sequence[Shot], title: str) -> None:
        with self._narrator.step(title) as step:
            self._take(shots, step)
            self._drain(step)
            step.outcome = self._frame_counts()
        self._tell_refusals()

    def _lose_cloud(self, shots: Sequence[Shot]) -> None:
        with self._narrator.step("The cloud's process is killed"):
            self.cloud.kill()
        with self._narrator.step("The telescope goes on; what it measures waits on disk") as step:
            before = self._link["queued_uploads"]
            self._take(shots, step)
            queued = self._link["queued_uploads"]
            step.outcome = f"{queued} in the queue"
        self._tell_refusals()
        if queued <= before:
            raise DemoFailure(
                "none of the frames taken while the cloud was away could be measured, "
                "so that no queue could fill."
            )

    def _bring_cloud_back(self) -> None:
        with self._narrator.step("The cloud starts again, with what it had on disk"):
            self._run_cloud(port=self.url.rpartition(":")[2])
        with self._narrator.step("The queue drains") as step:
            began_s = time.monotonic()
            self._drain(step)
            step.outcome = f"to 0 after {time.monotonic() - began_s:.1f} s"

    def _publish_plan(self) -> None:
        with self._narrator.step("A plan is published, and the node has it") as step:
            plan = self.folder / "plan.json"
            plan.write_text(json.dumps(_plan()), encoding="utf-8")
            node_id = str(self._link["node_id"])
            call([*self._operator, "plan", "publish", node_id, str(plan)], "publishing a plan")
            wanted = [item["target"] for item in _plan()["items"]]
            self._wait(lambda: [item.get("target") for item in self._told("plan")] == wanted)
            step.outcome = ", then ".join(wanted)

    def _send_interrupt(self) -> None:
        with self._narrator.step("An interrupt is sent, and the node has it") as step:
            name, reason = "SN demo", "a new star that must be seen tonight"
            place = ["--ra", "210.91", "--dec", "54.32"]
            call(
                [*self._operator, "interrupt", name, *place, "--reason", reason],
                "sending an interrupt",
            )
            self._wait(lambda: [entry["name"] for entry in self._told("interrupts")] == [name])
            step.outcome = f"{name}: {reason}"

    def _close_books(self) -> Books:
        cloud = CloudReader(self.url)
        with self._narrator.step("The node's record is held against the cloud's") as step:
            with self._ledger() as ledger:
                accepted = ledger.handed()
            curves = {target: cloud.light_curve(target) for target in cloud.targets()}
            books = take_books(accepted, curves, cloud.rows())
            step.outcome = f"{len(accepted)} accepted by the node"
        if not curves:
            raise self.node.failure("measured none of the frames")
        self.target = max(curves, key=lambda name: len(curves[name]))
        with self._narrator.step("The light curve is drawn") as step:
            points = curves[self.target]
            draw_light_curve(
                points,
                self.target,
                self.picture,
                beneath=f"{len(points)} points · {self._night.story}",
                truth=self._night.truth,
            )
            step.outcome = f"{self.target}, {len(points)} points"
        self._narrator.books(str(books), balance=books.balance)
        return books

    # -- what the node says ---------------------------------------------------------------

    def _told(self, key: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self._status.get(key) or []
        return entries

    def _take(self, shots: Sequence[Shot], step: Step) -> None:
        """Expose, and wait until the node has measured (or refused) every frame."""
        for shot in shots:
            take_shot(shot, self._frames)
            self._taken += 1
            step.progress(self._frame_counts())
        limit_s = _FRAME_LIMIT_S + 2.0 * len(shots)
        self.node.wait_until(
            lambda: self._all_done(step), limit_s, f"did not measure {len(shots)} frames"
        )

    def _all_done(self, step: Step) -> bool:
        step.progress(self._frame_counts())
        return self._frames_in("handed", "refused") >= self._taken

    def _frame_counts(self) -> str:
        refused = self._frames_in("refused")
        skipped = f", {refused} skipped" if refused else ""
        return f"{self._frames_in('handed')} of {self._taken}{skipped}"

    def _tell_refusals(self) -> None:
        """Tell the frames that were skipped since the last call."""
        with self._ledger() as ledger:
            refused = ledger.refused()
        for frame, reason in refused[self._refusals_told :]:
            self._narrator.say(refusal_line(frame.name, reason), "yellow")
        self._refusals_told = len(refused)


def _thirds(shots: Sequence[Shot]) -> tuple[Sequence[Shot], Sequence[Shot], Sequence[Shot]]:
    """Part the night in three, none of them empty where there are three frames."""
    third = max(len(shots) // 3, 1)
    return shots[:third], shots[third : 2 * third], shots[2 * third :]


def _plan() -> dict[str, Any]:
    night = datetime.now(UTC).strftime("%Y-%m-%d")
    return {
        "night": night,
        "items": [
            {"target": "SS Cyg", "ra": 21.7118, "dec": 43.5861, "expDur": 10, "expCount": 60}
            | {"startTime": "21:30"},
            {"target": "T CrB", "ra": 15.9917, "dec": 25.9203, "expDur": 10, "expCount": 60}
            | {"startTime": "23:00"},
        ],
    }

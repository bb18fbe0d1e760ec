"""``boundless node plan``, beside a running node and without one."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.node.dashboard.dashboards import NOW, item, make_config, night_items

from boundless_skies.cli import main
from boundless_skies.node.schedule.states import Command, PlanState, Step
from boundless_skies.node.storage.data_folder import FolderLock
from boundless_skies.node.storage.schedule import FILE_NAME, ScheduleStore


class Owner:
    """Somebody at a terminal, with a node's folder."""

    def __init__(self, folder: Path) -> None:
        _, self.config = make_config(folder)
        self.folder = folder / "data"
        self.folder.mkdir()
        self.store = ScheduleStore(self.folder / FILE_NAME, lambda: NOW)

    def types(self, *words: str) -> Result:
        """Type a command."""
        line = ["node", "plan", "--config", str(self.config), *words]
        return CliRunner().invoke(main, line, catch_exceptions=False)

    @contextmanager
    def running_node(self) -> Iterator[None]:
        """Let a node have the folder."""
        with FolderLock(self.folder):
            yield

    def puts_plan(self, *, accepted: bool = True, plan_id: str = "A") -> None:
        """Have a plan come."""
        state = PlanState.ACCEPTED if accepted else PlanState.WAITING
        ends = NOW + timedelta(hours=2)
        assert self.store.put_plan(plan_id, night_items(), state=state, expires_at=ends)


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    """Seat an owner."""
    seated = Owner(tmp_path)
    yield seated
    seated.store.close()


def test_the_plan_is_shown_and_no_node_told(owner: Owner) -> None:
    """Exit code 3 says it to scripts."""
    owner.puts_plan()
    told = owner.types()
    assert told.exit_code == 3
    assert "T CrB" in told.output
    assert "No node runs." in told.output


def test_a_running_node_is_told_by_code_0(owner: Owner) -> None:
    """And by 1 where the telescope is stopped as unsafe."""
    owner.puts_plan()
    with owner.running_node():
        assert owner.types("show").exit_code == 0
        owner.store.unsafe("Rain.")
        told = owner.types()
    assert told.exit_code == 1
    assert "Stopped as unsafe: Rain." in told.output


def test_the_plan_as_json(owner: Owner) -> None:
    """With the waiting one beside it, and asked for before or after the word."""
    owner.puts_plan()
    owner.puts_plan(accepted=False, plan_id="B")
    told = json.loads(owner.types("show", "--json").output)
    assert told == json.loads(owner.types("--json").output)
    assert told["plan"]["targets"][0]["target"] == "U Gem"
    assert told["plan"]["targets"][0]["start_utc"] == "2026-03-01T19:15:00Z"
    assert told["waiting"]["plan_id"] == "B"
    assert told["running"] is False


def test_nothing_is_planned(owner: Owner) -> None:
    """A schedule without a plan says so."""
    assert "Nothing is planned." in owner.types().output


def test_no_schedule_yet(owner: Owner) -> None:
    """Exit code 2, and what to do; no file is made by asking."""
    owner.store.close()
    for file in owner.folder.glob(f"{FILE_NAME}*"):
        file.unlink()
    told = owner.types()
    assert told.exit_code == 2
    assert "no plan has ever come" in told.output
    assert not (owner.folder / FILE_NAME).exists()


def test_accept_holds_without_a_node(owner: Owner) -> None:
    """It is settled; that no node runs is said all the same."""
    owner.puts_plan(accepted=False)
    told = owner.types("accept")
    assert told.exit_code == 3
    assert "is accepted: 4 targets." in told.output
    assert owner.store.accepted_plan() is not None


def test_edit_takes_numbers_in_their_order(owner: Owner) -> None:
    """Those left out are skipped."""
    owner.puts_plan(accepted=False)
    with owner.running_node():
        assert owner.types("edit", "3", "1").exit_code == 0
    works = owner.store.all_work("A")
    assert [work.target for work in works[:2]] == ["T CrB", "U Gem"]
    assert [work.step for work in works[2:]] == [Step.SKIPPED, Step.SKIPPED]


@pytest.mark.parametrize("numbers", [["5"], ["1", "1"], ["0"], ["x"]])
def test_wrong_numbers_change_nothing(owner: Owner, numbers: list[str]) -> None:
    """Exit code 2."""
    owner.puts_plan(accepted=False)
    assert owner.types("edit", *numbers).exit_code == 2
    assert owner.store.waiting_plan() is not None


def test_reject_tells_why(owner: Owner) -> None:
    """The reason is kept for the network."""
    owner.puts_plan(accepted=False)
    with owner.running_node():
        assert owner.types("reject", "--reason", "Full Moon party").exit_code == 0
    plan = owner.store.plan("A")
    assert plan is not None
    assert plan.reason == "Full Moon party"


@pytest.mark.parametrize("word", [["accept"], ["reject"], ["edit", "1"]])
def test_nothing_waits(owner: Owner, word: list[str]) -> None:
    """Exit code 1."""
    owner.puts_plan()
    with owner.running_node():
        told = owner.types(*word)
    assert told.exit_code == 1
    assert "No plan waits" in told.output


def test_commands_reach_the_running_node(owner: Owner) -> None:
    """Each is put down once, with its target where it has one."""
    owner.puts_plan()
    owner.store.unsafe("Rain.")
    with owner.running_node():
        codes = [
            owner.types(*words).exit_code
            for words in (["run", "3"], ["skip", "2"], ["abort"], ["park"], ["resume"])
        ]
    assert codes == [0, 0, 0, 0, 0]
    works = owner.store.all_work("A")
    assert [(one.command, one.work_id) for one in owner.store.asked_commands()] == [
        (Command.RUN, works[2].id),
        (Command.SKIP, works[1].id),
        (Command.ABORT, None),
        (Command.PARK, None),
        (Command.RESUME_AFTER_UNSAFE, None),
    ]
    assert owner.store.unsafe_reason() == "Rain."


@pytest.mark.parametrize("words", [["run", "1"], ["abort"], ["park"]])
def test_no_command_waits_for_a_node_to_come(owner: Owner, words: list[str]) -> None:
    """A telescope that moves a day late would surprise its owner."""
    owner.puts_plan()
    told = owner.types(*words)
    assert told.exit_code == 3
    assert "Nothing was done." in told.output
    assert owner.store.asked_commands() == ()


@pytest.mark.parametrize("words", [["run", "1"], ["abort"], ["park"]])
def test_no_command_waits_for_a_telescope_to_come(owner: Owner, words: list[str]) -> None:
    """A running node without a telescope would carry it out at some later start."""
    text = owner.config.read_text()
    block = text.index("\ntelescope:")
    owner.config.write_text(text[:block] + text[block:].replace("true", "false", 1))
    owner.puts_plan()
    with owner.running_node():
        told = owner.types(*words)
    assert told.exit_code == 1
    assert "moves no telescope" in told.output
    assert owner.store.asked_commands() == ()


def test_skip_and_resume_are_settled_without_a_node(owner: Owner) -> None:
    """The schedule itself is told."""
    owner.puts_plan()
    owner.store.unsafe("Rain.")
    assert owner.types("skip", "1").exit_code == 3
    assert owner.types("resume").exit_code == 3
    assert owner.store.all_work("A")[0].step is Step.SKIPPED
    assert owner.store.unsafe_reason() is None
    assert owner.types("resume").exit_code == 1


def test_what_has_ended_is_left_alone(owner: Owner) -> None:
    """Exit code 1, and why."""
    owner.puts_plan()
    work = owner.store.all_work("A")[0]
    owner.store.advance(work.id, Step.PENDING, Step.SKIPPED, "clouds")
    with owner.running_node():
        for word in ("run", "skip"):
            told = owner.types(word, "1")
            assert told.exit_code == 1
            assert "skipped" in told.output


def test_interrupts_have_numbers_too(owner: Owner) -> None:
    """After the plan's targets."""
    owner.puts_plan()
    owner.store.put_interrupt(item("AT 2026abc", 1.0, 2.0))
    with owner.running_node():
        assert owner.types("skip", "5").exit_code == 0
        assert owner.types("skip", "6").exit_code == 2
    assert owner.store.asked_commands()[0].work_id == owner.store.interrupts()[0].id


def test_an_answer_as_json(owner: Owner) -> None:
    """For scripts."""
    owner.puts_plan(accepted=False)
    told = json.loads(owner.types("accept", "--json").output)
    assert told["done"] is True
    assert told["running"] is False


def test_a_name_cannot_steer_the_terminal(owner: Owner) -> None:
    """Nor be taken for rich's marks."""
    bad = item("x\x1b[31m[red]", 1.0, 2.0)
    owner.store.put_plan("A", [bad], state=PlanState.ACCEPTED)
    told = owner.types().output
    assert "\x1b[31m" not in told
    assert "[red]" in told

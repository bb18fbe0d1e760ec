"""The operator's work on the command line, beside the running server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.cloud_client import LOCATION, Client
from tests.support.cloud_server import RunningCloud, running_cloud
from tests.support.operating import OPERATOR, command, command_json, wait_for

REGISTER = "/api/v1/nodes/register"
BEAT = "/api/v1/nodes/heartbeat"


def refused(cloud: RunningCloud, *arguments: str) -> str:
    """Run a command that must be refused; return its one line of complaint."""
    done = command(cloud, *arguments)
    assert done.exit_code == 1, done.output
    (line,) = done.output.strip().splitlines()
    return line


def test_the_option_at_the_start_wins(tmp_path: Path) -> None:
    """What is decided at run time holds until a start decides anew."""
    with running_cloud(tmp_path / "c", arguments=("--registration", "code")) as cloud:
        assert command_json(cloud, "registration", "closed") == {"policy": "closed"}
        reply = Client(cloud.url).call("POST", REGISTER, LOCATION)
        assert "no new nodes" in reply.json["error"]
    assert command(cloud, "registration").stdout.startswith("closed: ")
    with running_cloud(tmp_path / "c", arguments=("--registration", "open")) as cloud:
        Client(cloud.url).register()


def test_codes_are_made_listed_and_withdrawn(cloud: RunningCloud, public: Client) -> None:
    """Create prints one code a line; list says what became of each."""
    made = command(cloud, "codes", "create", "--count", "3", "--note", "club").stdout.split()
    node = public.register(activation_code=made[0])
    assert command(cloud, "codes", "withdraw", made[1].lower()).exit_code == 0
    listed = {one["code"]: one for one in command_json(cloud, "codes", "list")}
    assert [listed[code]["state"] for code in made] == ["used", "withdrawn", "valid"]
    assert listed[made[0]]["used_by"] == node.node_id
    assert made[2] in command(cloud, "codes", "list").stdout
    assert "used before" in refused(cloud, "codes", "withdraw", made[0])


def test_nodes_are_listed_and_shown(
    cloud: RunningCloud, public: Client, fresh_name: Callable[[str], str]
) -> None:
    """List is what ``nodes`` alone gives; show adds the owner and the exact place."""
    name = fresh_name("shown").replace(" ", "-")
    node = public.register(name, owner_name="Ada", longitude=-70.5)
    node.post(BEAT, {"conditions": {"wind": 3}})
    shown = wait_for(
        lambda: (told := command_json(cloud, "nodes", "show", name))["last_heartbeat"] and told
    )
    for listing in (("nodes",), ("nodes", "list")):
        assert name in [entry["node_id"] for entry in command_json(cloud, *listing)]
    assert (shown["owner_name"], shown["conditions"]) == ("Ada", {"wind": 3})
    told = command(cloud, "nodes", "show", name).stdout
    assert "Ada (not named on public pages)" in told
    assert "48.13700° N, 70.50000° W" in told
    assert name in command(cloud, "nodes").stdout
    assert "There is no node" in refused(cloud, "nodes", "show", "nobody")


def test_a_node_is_revoked_and_readmitted(cloud: RunningCloud, node: Client) -> None:
    """The running server hears of both at once; its reason stands in the audit."""
    node.post(BEAT)
    command_json(cloud, "nodes", "revoke", node.node_id, "--reason", "sold")
    wait_for(lambda: node.call("POST", BEAT, {}).status == 401)
    assert node.call("POST", BEAT, {}).json["reason"] == "revoked"
    assert "is revoked" in refused(cloud, "nodes", "rotate", node.node_id)
    command_json(cloud, "nodes", "readmit", node.node_id)
    wait_for(lambda: node.call("POST", BEAT, {}).status == 200)
    readmitted, revoked = command_json(cloud, "audit", "--limit", "2")
    assert (readmitted["action"], revoked["action"]) == ("node.readmit", "node.revoke")
    assert revoked["subject"] == node.node_id
    assert revoked["detail"] == {"reason": "sold"}
    assert revoked["operator"].endswith("(command line)")
    assert "sold" in command(cloud, "audit").stdout


def test_keys_are_rotated(cloud: RunningCloud, node: Client, public: Client) -> None:
    """Those named are asked; one unknown name among them, and none is."""
    other = public.register()
    refused(cloud, "nodes", "rotate", node.node_id, "nobody")
    assert "rotate_key" not in node.post(BEAT)
    names = (node.node_id, other.node_id)
    assert command_json(cloud, "nodes", "rotate", *names)["asked"] == 2
    for one in (node, other):
        wait_for(lambda one=one: one.post(BEAT).get("rotate_key") is True)
    assert command(cloud, "nodes", "rotate").exit_code == 2


def test_an_owner_is_shown_and_hidden(cloud: RunningCloud, public: Client) -> None:
    """Public pages follow."""
    node = public.register(owner_name="Ada of the commands")
    for option, named in (("--show", True), ("--hide", False)):
        command_json(cloud, "nodes", "owner", node.node_id, option)
        assert ("Ada of the commands" in str(public.get("/api/v1/network/status"))) is named


def test_tokens_are_made_and_revoked(cloud: RunningCloud, fresh_name: Callable[[str], str]) -> None:
    """A token works from its making to its revocation, and is nowhere on the disk."""
    name = fresh_name("cli").replace(" ", "-")
    token = command(cloud, "tokens", "create", name, "--role", "reader").stdout.strip()
    holder = Client(cloud.url, {"X-Admin-Key": token})
    holder.get(f"{OPERATOR}/nodes")
    listed = {one["name"]: one for one in command_json(cloud, "tokens", "list")}
    assert (listed[name]["role"], listed[name]["revoked_at"]) == ("reader", None)
    assert token not in str(listed)
    files = [path for path in cloud.data_dir.rglob("*") if path.is_file()]
    assert not any(token.encode() in path.read_bytes() for path in files)
    assert command(cloud, "tokens", "revoke", name).exit_code == 0
    assert holder.call("GET", f"{OPERATOR}/nodes").status == 401
    assert "revoked" in command(cloud, "tokens", "list").stdout
    assert "no valid token" in refused(cloud, "tokens", "revoke", name)


def test_points_are_judged(
    cloud: RunningCloud, operator: Client, dispute: Callable[[], int]
) -> None:
    """The queue is listed; a verdict needs a reason to reject, and none to accept."""
    number = dispute()
    queue = command_json(cloud, "review", "list", "--after", str(number - 1))
    assert queue["points"][0]["id"] == number
    assert f"{number}  Disputed" in command(cloud, "review", "list", "--limit", "200").stdout
    assert command(cloud, "review", "reject", str(number)).exit_code == 2
    rejected = command_json(cloud, "review", "reject", str(number), "--reason", "trailed")
    assert rejected["review"] == "rejected"
    assert command(cloud, "review", "accept", str(number)).exit_code == 0
    verdicts = operator.get(f"{OPERATOR}/review/{number}")["verdicts"]
    assert [verdict["verdict"] for verdict in verdicts] == ["accepted", "rejected"]
    assert "no measurement" in refused(cloud, "review", "accept", "999999999")


@pytest.mark.parametrize(
    "arguments",
    [
        ("codes", "create", "--count", "0"),
        ("codes", "create", "--note", "a\x00b"),
        ("tokens", "create", "../x", "--role", "admin"),
        ("tokens", "create", "BOUNDLESS_ADMIN_KEY", "--role", "admin"),
        ("nodes", "revoke", "nobody", "--reason", "x"),
        ("nodes", "revoke", "nobody", "--reason", " "),
        ("nodes", "readmit", "nobody"),
        ("nodes", "owner", "nobody", "--show"),
        ("review", "accept", "0"),
        ("review", "accept", str(2**70)),
        ("codes", "withdraw", "x"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(cloud: RunningCloud, arguments: Any) -> None:
    """Exit code 1, one line, no traceback."""
    assert refused(cloud, *arguments).startswith("Error: ")

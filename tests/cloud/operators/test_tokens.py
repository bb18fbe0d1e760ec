"""Tokens, sessions and the audit."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.support.cloud_client import Client
from tests.support.cloud_server import RunningCloud
from tests.support.operating import OPERATOR

from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.errors import Forbidden
from boundless_skies.cloud.domain.operators import Operator, Role
from boundless_skies.cloud.factory import Cloud, make_cloud

T = TypeVar("T")

ADMIN = Operator("tests", Role.ADMIN)
NIGHT = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)


class MovingClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NIGHT

    def __call__(self) -> datetime:
        """Return where it stands."""
        return self.now


def with_cloud(
    data_dir: Path,
    work: Callable[[Cloud], Awaitable[T]],
    clock: Callable[[], datetime] = lambda: NIGHT,
    admin_key: str | None = None,
) -> T:
    """Do a piece of work on a cloud without a server."""

    async def opened() -> T:
        config = CloudConfig(data_dir=data_dir, admin_key=admin_key)
        async with make_cloud(config, clock).opened() as cloud:
            return await work(cloud)

    return asyncio.run(opened())


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("", "reader"),
        ("../x", "reader"),
        ("a b", "reader"),
        ("a\x00", "reader"),
        ("x" * 65, "reader"),
        (None, "reader"),
        (["x"], "reader"),
        ("BOUNDLESS_ADMIN_KEY", "admin"),
        ("fine", "king"),
        ("fine", None),
        ("fine", ["admin"]),
    ],
)
def test_an_odd_token_is_refused(operator: Client, name: Any, role: Any) -> None:
    """A name that cannot be used, or a role that there is not: 400, and nothing is made."""
    before = len(operator.get(f"{OPERATOR}/tokens")["tokens"])
    reply = operator.call("POST", f"{OPERATOR}/tokens", {"name": name, "role": role})
    assert reply.status == 400
    assert reply.json["error"]
    assert len(operator.get(f"{OPERATOR}/tokens")["tokens"]) == before


def test_a_revoked_token_is_refused_and_its_name_stays_taken(
    cloud: RunningCloud, operator: Client, fresh_name: Callable[[str], str]
) -> None:
    """So that the audit means one person by one name for ever."""
    body = {"name": fresh_name("gone").replace(" ", "-"), "role": "operator"}
    holder = Client(cloud.url, {"X-Admin-Key": operator.post(f"{OPERATOR}/tokens", body)["token"]})
    holder.get(f"{OPERATOR}/codes")
    operator.post(f"{OPERATOR}/tokens/{body['name']}/revoke")
    assert holder.call("GET", f"{OPERATOR}/codes").status == 401
    assert operator.call("POST", f"{OPERATOR}/tokens", body).status == 409
    assert operator.call("POST", f"{OPERATOR}/tokens/{body['name']}/revoke").status == 404


def test_what_is_done_is_told_by_whom(
    cloud: RunningCloud, tokens: dict[str, str], operator: Client
) -> None:
    """Every call that changes something stands in the audit with its token's name."""
    one = Client(cloud.url, {"X-Admin-Key": tokens["operator"]})
    interrupt = {"name": "SN 2026abc", "ra_deg": 210.9, "dec_deg": 54.3}
    number = one.post("/api/v1/interrupts", interrupt)["id"]
    one.post(f"{OPERATOR}/codes", {"count": 2})
    deeds = operator.get(f"{OPERATOR}/audit?limit=200")["deeds"]
    mine = [deed for deed in deeds if deed["operator"] == "a-operator"]
    assert [deed["action"] for deed in mine[:2]] == ["codes.create", "interrupt.send"]
    assert mine[1]["subject"] == str(number)
    earlier = operator.get(f"{OPERATOR}/audit?before={mine[1]['id']}&limit=1")["deeds"]
    assert all(deed["id"] < mine[1]["id"] for deed in earlier)


def test_a_refused_deed_is_not_in_the_audit(operator: Client) -> None:
    """What did not happen is not told as if it had."""
    before = operator.get(f"{OPERATOR}/audit?limit=1")["deeds"]
    assert operator.call("POST", f"{OPERATOR}/nodes/nobody/revoke", {"reason": "x"}).status == 404
    assert operator.get(f"{OPERATOR}/audit?limit=1")["deeds"] == before


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "before=1.5", "limit=" + "9" * 30])
def test_an_odd_query_is_told(operator: Client, query: str) -> None:
    """A number is asked for by its name."""
    reply = operator.call("GET", f"{OPERATOR}/audit?{query}")
    assert reply.status == 400
    assert query.partition("=")[0] in reply.json["error"]


def test_the_last_admin_stays(tmp_path: Path) -> None:
    """Over HTTP nobody locks everybody out; on the cloud's own machine one may."""

    async def work(cloud: Cloud) -> None:
        operators = cloud.services.operators
        await operators.prepare()
        await operators.create_token(ADMIN, "second", "admin")
        await operators.revoke_token(ADMIN, "admin")
        with pytest.raises(Forbidden, match="last valid token of an admin"):
            await operators.revoke_token(ADMIN, "second")
        await operators.revoke_token(ADMIN, "second", even_the_last=True)
        assert await operators.prepare() is not None

    with_cloud(tmp_path / "c", work)


def test_a_key_from_the_environment_lets_the_last_token_go(tmp_path: Path) -> None:
    """There is another way in then."""

    async def work(cloud: Cloud) -> None:
        await cloud.services.operators.create_token(ADMIN, "only", "admin")
        await cloud.services.operators.revoke_token(ADMIN, "only")

    with_cloud(tmp_path / "c", work, admin_key="from the environment")


def test_a_session_lasts_twelve_hours(tmp_path: Path) -> None:
    """Then whoever was signed in is not any more, and nothing is left of it."""
    clock = MovingClock()

    async def work(cloud: Cloud) -> None:
        operators = cloud.services.operators
        secret = await operators.sign_in(await operators.create_token(ADMIN, "ada", "reader"))
        clock.now = NIGHT + timedelta(hours=11, minutes=59)
        assert await operators.find_session(secret) == Operator("ada", Role.READER)
        clock.now = NIGHT + timedelta(hours=12)
        assert await operators.find_session(secret) is None

    with_cloud(tmp_path / "c", work, clock)


def test_a_session_ends_with_its_token(tmp_path: Path) -> None:
    """Revoking a token signs out everywhere."""

    async def work(cloud: Cloud) -> None:
        operators = cloud.services.operators
        token = await operators.create_token(ADMIN, "ada", "reader")
        sessions = [await operators.sign_in(token), await operators.sign_in(token)]
        await operators.revoke_token(ADMIN, "ada")
        assert [await operators.find_session(secret) for secret in sessions] == [None, None]

    with_cloud(tmp_path / "c", work)


def test_a_session_of_the_environments_key_ends_with_that_key(tmp_path: Path) -> None:
    """Another key, or none, and the session is nobody's; no file holds its secret."""

    async def sign_in(cloud: Cloud) -> str:
        secret = await cloud.services.operators.sign_in("first key")
        assert await cloud.services.operators.find_session(secret) is not None
        return secret

    data_dir = tmp_path / "c"
    secret = with_cloud(data_dir, sign_in, admin_key="first key")
    for admin_key in ("second key", None):
        found = with_cloud(
            data_dir,
            lambda cloud: cloud.services.operators.find_session(secret),
            admin_key=admin_key,
        )
        assert found is None
    files = [path for path in data_dir.rglob("*") if path.is_file()]
    assert not any(secret.encode() in path.read_bytes() for path in files)

"""Operators of each role, and clouds that do not let everybody in."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from tests.support.cloud_client import Client, make_measurement
from tests.support.cloud_server import RunningCloud
from tests.support.operating import OPERATOR, running_coded, wait_for

ROLES = ("reader", "operator", "admin")

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def tokens(cloud: RunningCloud) -> dict[str, str]:
    """Make a token of each role."""
    admin = Client(cloud.url, {"X-Admin-Key": cloud.admin_key})
    return {
        role: admin.post(f"{OPERATOR}/tokens", {"name": f"a-{role}", "role": role})["token"]
        for role in ROLES
    }


@pytest.fixture(scope="package", params=["sqlite", "postgresql"])
def coded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningCloud]:
    """Run a cloud that takes nodes with a code only, on either database."""
    with running_coded(request.param, tmp_path_factory.mktemp("coded") / "data") as cloud:
        yield cloud


@pytest.fixture
def gate(coded: RunningCloud) -> Client:
    """Speak as the operator of a cloud that takes nodes with a code only."""
    return Client(coded.url, {"X-Admin-Key": coded.admin_key})


@pytest.fixture
def dispute(
    public: Client, operator: Client, fresh_name: Callable[[str], str]
) -> Callable[[], int]:
    """Let three nodes measure a star, one of them wrongly; give the number of that point."""

    def make() -> int:
        name = fresh_name("Disputed")
        for magnitude in (11.9, 11.91, 13.2):
            last = public.register().post(
                "/api/v1/measurements", make_measurement(target_name=name, magnitude=magnitude)
            )
        number: int = last["id"]
        wait_for(lambda: operator.get(f"{OPERATOR}/review/{number}")["validation"] == "outlier")
        return number

    return make

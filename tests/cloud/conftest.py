"""One running cloud for all tests that only speak to it."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from tests.support.cloud_client import Client
from tests.support.cloud_server import RunningCloud, running_cloud

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    """Run a cloud."""
    with running_cloud(tmp_path_factory.mktemp("cloud") / "data") as running:
        yield running


@pytest.fixture
def public(cloud: RunningCloud) -> Client:
    """Speak to the cloud as anybody."""
    return Client(cloud.url)


@pytest.fixture
def node(public: Client) -> Client:
    """Speak to the cloud as a freshly registered node."""
    return public.register()


@pytest.fixture
def operator(cloud: RunningCloud) -> Client:
    """Speak to the cloud as its operator."""
    return Client(cloud.url, {"X-Admin-Key": cloud.admin_key})


@pytest.fixture
def fresh_name() -> Callable[[str], str]:
    """Give names that no other test uses."""
    return lambda stem: f"{stem} {next(_numbers)}"

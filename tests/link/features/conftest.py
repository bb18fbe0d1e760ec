"""Every test here gets its own cloud with all features, and a data folder."""

from typing import Any

import pytest
from tests.support.capture_server import CaptureServer
from tests.support.feature_cloud import FeatureCloud
from tests.support.links import _plain_environment, links, server

__all__ = ["_plain_environment", "links", "server"]


@pytest.fixture(autouse=True)
def cloud(server: CaptureServer) -> Any:
    """Let the test's server be a cloud that can all."""
    return FeatureCloud(server)

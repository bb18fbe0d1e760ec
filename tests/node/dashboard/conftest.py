"""One dashboard for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node.dashboard.dashboards import RunningDashboard, running_dashboard


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningDashboard]:
    """Run a dashboard."""
    with running_dashboard(tmp_path) as running:
        yield running

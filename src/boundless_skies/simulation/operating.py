"""The operator of the simulated network: plans and interrupts out, what became of them in."""

import json
from typing import Any
from urllib.parse import quote

import urllib3

from boundless_skies.demo.narration import DemoFailure
from boundless_skies.wire import paths

_ROOT = "/api/v1/operator"
_OK = 200
_TROUBLE = 500


class CloudAway(DemoFailure):
    """The cloud did not answer; it may be about to be started again."""


class OperatorDesk:
    """Speaks to a cloud as its operator.

    Parameters
    ----------
    url : str
        The cloud's address.
    key : str
        The operator's key.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(
            timeout=20.0,
            retries=False,
            headers={paths.ADMIN_KEY_HEADER: key, "Content-Type": "application/json"},
        )

    def nodes(self) -> list[dict[str, Any]]:
        """Return the nodes of the network."""
        found: list[dict[str, Any]] = self._call("GET", f"{_ROOT}/nodes")["nodes"]
        return found

    def publish(self, node_id: str, plan: dict[str, Any]) -> str:
        """Publish a plan for a node; return its id."""
        path = f"/api/v1/nodes/{quote(node_id, safe='')}/plan"
        return str(self._call("POST", path, plan)["plan"]["plan_id"])

    def plan(self, plan_id: str) -> dict[str, Any]:
        """Return a plan and what became of it."""
        return self._call("GET", f"{_ROOT}/plans/{quote(plan_id, safe='')}")

    def interrupt(self, name: str, ra_deg: float, dec_deg: float, reason: str) -> int:
        """Send an interrupt to every node; return its number."""
        body = {"name": name, "ra_deg": ra_deg, "dec_deg": dec_deg, "reason": reason}
        return int(self._call("POST", paths.INTERRUPTS, body)["id"])

    def interrupts(self) -> list[dict[str, Any]]:
        """Return the interrupts, and what each node told of them."""
        found: list[dict[str, Any]] = self._call("GET", f"{_ROOT}/interrupts")["interrupts"]
        return found

    def targets(self) -> list[str]:
        """Return the names of all targets."""
        return [target["name"] for target in self._call("GET", paths.TARGETS)["targets"]]

    def light_curve(self, target: str) -> list[dict[str, Any]]:
        """Return a target's points, the newest revision of each."""
        path = f"{paths.LIGHTCURVES}/{quote(target, safe='')}"
        points: list[dict[str, Any]] = self._call("GET", path)["points"]
        return points

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        try:
            reply = self._pool.request(
                method, self._url + path, body=None if body is None else json.dumps(body)
            )
            answer: dict[str, Any] = reply.json()
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise CloudAway(f"the cloud did not answer {path}: {error}") from None
        if reply.status != _OK:
            kind = CloudAway if reply.status >= _TROUBLE else DemoFailure
            raise kind(f"the cloud answered {path} with {reply.status}: {answer}")
        return answer

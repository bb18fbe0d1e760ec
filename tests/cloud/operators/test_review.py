"""Points about which the nodes disagree are judged, and none is lost."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.support.cloud_client import Client, make_measurement
from tests.support.operating import OPERATOR, wait_for

REVIEW = f"{OPERATOR}/review"


def curve(public: Client, target: str, query: str = "") -> list[int]:
    """Return the numbers of the points of a light curve."""
    reply = public.get(f"/api/v1/lightcurves/{target.replace(' ', '%20')}{query}")
    return [point["id"] for point in reply["points"]]


def waits(operator: Client, number: int) -> bool:
    """Tell whether a point is in the queue."""
    points = operator.get(f"{REVIEW}?after={number - 1}&limit=1")["points"]
    return [point["id"] for point in points] == [number]


def test_a_disputed_point_waits_with_its_witnesses(
    operator: Client, dispute: Callable[[], int]
) -> None:
    """The queue shows the point and what the other nodes saw around it."""
    number = dispute()
    assert waits(operator, number)
    point = operator.get(f"{REVIEW}/{number}")
    assert (point["magnitude"], point["validation"], point["review"]) == (13.2, "outlier", None)
    assert [round(other["magnitude"], 2) for other in point["around"]] == [11.9, 11.91]
    assert operator.get(REVIEW)["waiting"] >= 1


def test_a_rejected_point_leaves_the_curve_and_is_kept(
    public: Client, operator: Client, dispute: Callable[[], int]
) -> None:
    """It is gone from the public's curve and from the queue, but not from the cloud."""
    number = dispute()
    target = operator.get(f"{REVIEW}/{number}")["target_name"]
    assert number in curve(public, target)
    done = operator.post(f"{REVIEW}/{number}", {"verdict": "reject", "reason": "a trail"})
    assert done["review"] == "rejected"
    assert number not in curve(public, target)
    assert not waits(operator, number)
    assert operator.get(f"{REVIEW}/{number}")["magnitude"] == 13.2


def test_an_accepted_point_stays_and_leaves_the_queue(
    public: Client, operator: Client, dispute: Callable[[], int]
) -> None:
    """An astronomer may know better than the network; no reason is asked for."""
    number = dispute()
    done = operator.post(f"{REVIEW}/{number}", {"verdict": "accept"})
    assert done["review"] == "accepted"
    assert number in curve(public, done["target_name"])
    assert not waits(operator, number)


def test_a_verdict_may_be_changed(
    public: Client, operator: Client, dispute: Callable[[], int]
) -> None:
    """The newest holds; those before are kept with who gave them and why."""
    number = dispute()
    operator.post(f"{REVIEW}/{number}", {"verdict": "reject", "reason": "a trail"})
    operator.post(f"{REVIEW}/{number}", {"verdict": "accept", "reason": "no trail"})
    point = operator.get(f"{REVIEW}/{number}")
    assert number in curve(public, point["target_name"])
    assert [(said["verdict"], said["reason"]) for said in point["verdicts"]] == [
        ("accepted", "no trail"),
        ("rejected", "a trail"),
    ]
    deed = operator.get(f"{OPERATOR}/audit?limit=1")["deeds"][0]
    assert (deed["action"], deed["subject"]) == ("review.accepted", str(number))
    assert deed["detail"]["before"] == "rejected"


def test_the_neighbours_of_a_rejected_point_are_compared_anew(
    public: Client, operator: Client, fresh_name: Callable[[str], str]
) -> None:
    """Of two that disagree, the one that is left stands alone, and so is disputed no more."""
    target = fresh_name("Two")
    right, wrong = (
        public.register().post(
            "/api/v1/measurements", make_measurement(target_name=target, magnitude=magnitude)
        )["id"]
        for magnitude in (11.9, 13.2)
    )
    for number in (right, wrong):
        wait_for(
            lambda number=number: operator.get(f"{REVIEW}/{number}")["validation"] == "outlier"
        )
    operator.post(f"{REVIEW}/{wrong}", {"verdict": "reject", "reason": "wrong star"})
    assert operator.get(f"{REVIEW}/{right}")["validation"] == "single"


def test_a_superseded_point_cannot_be_judged(
    public: Client, operator: Client, fresh_name: Callable[[str], str]
) -> None:
    """The newer revision counts, and is judged in its place."""
    node, target = public.register(), fresh_name("Revised")
    first, second = (
        node.post(
            "/api/v1/measurements", make_measurement(target_name=target, magnitude=magnitude)
        )["id"]
        for magnitude in (11.9, 11.8)
    )
    reply = operator.call("POST", f"{REVIEW}/{first}", {"verdict": "accept"})
    assert reply.status == 400
    assert "newer revision" in reply.json["error"]
    operator.post(f"{REVIEW}/{second}", {"verdict": "accept"})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"verdict": "delete"},
        {"verdict": None},
        {"verdict": ["reject"], "reason": "x"},
        {"verdict": "reject"},
        {"verdict": "reject", "reason": "  "},
        {"verdict": "reject", "reason": 7},
        {"verdict": "reject", "reason": "a\x00b"},
        {"verdict": "reject", "reason": "x" * 1_001},
        [],
        "reject",
    ],
)
def test_an_odd_verdict_is_refused(public: Client, operator: Client, body: Any) -> None:
    """One sentence says what is wrong; the point stays as it was."""
    number = public.register().post("/api/v1/measurements", make_measurement())["id"]
    reply = operator.call("POST", f"{REVIEW}/{number}", body)
    assert reply.status == 400
    assert reply.json["error"]
    point = operator.get(f"{REVIEW}/{number}")
    assert (point["review"], point["verdicts"]) == (None, [])


@pytest.mark.parametrize("number", ["0", "-1", "x", "999999999", "9" * 18, "9" * 40, "1.0", "١"])
def test_a_point_that_is_not_there_is_told(operator: Client, number: str) -> None:
    """404 for every number that no measurement has."""
    reply = operator.call("POST", f"{REVIEW}/{number}", {"verdict": "accept"})
    assert reply.status == 404
    assert "no measurement" in reply.json["error"]

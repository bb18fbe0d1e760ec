"""What pages say in sentences."""

from datetime import UTC, datetime
from typing import Any

from boundless_skies.cloud.domain.measurements import Point
from boundless_skies.cloud.domain.times import julian_date
from boundless_skies.cloud.pages.summary import describe_curve, describe_network
from boundless_skies.cloud.services.curves import LightCurve
from boundless_skies.cloud.services.network import NetworkView, PublicNode
from boundless_skies.cloud.storage.targets import Target

NOW = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)


def point(**changes: Any) -> Point:
    """Return a point of a light curve."""
    usual = {
        "bjd": julian_date(NOW) - 0.5,
        "magnitude": 12.0,
        "uncertainty": 0.01,
        "filter": "V",
        "node_id": "hilltop",
        "quality_flag": "good",
        "airmass": None,
        "snr": None,
        "revision": 1,
        "validation": "single",
        "review": None,
        "id": 1,
    }
    return Point(**(usual | changes))


def curve(points: list[Point]) -> LightCurve:
    """Return a light curve of a target that nothing else is known of."""
    return LightCurve(target="x", points=points, known=Target(name="x"), names=[])


def public_node(*, online: bool, measurements: int = 0, recent: int = 0) -> PublicNode:
    """Return a node as the public sees it."""
    return PublicNode(
        node_id="hilltop",
        owner_name=None,
        latitude=48.1,
        longitude=11.6,
        telescope_model="",
        filters="CV",
        online=online,
        last_beat_at=None,
        plan_id=None,
        plan_night=None,
        plan_items=0,
        queued_uploads=None,
        measurements=measurements,
        measurements_24h=recent,
    )


def network(*nodes: PublicNode) -> str:
    """Describe a network of these nodes."""
    return describe_network(
        NetworkView(
            now=NOW,
            nodes=list(nodes),
            nodes_in_all=len(nodes),
            online=sum(node.online for node in nodes),
            targets=[],
            recent=[],
            measurements=sum(node.measurements for node in nodes),
            measurements_24h=sum(node.measurements_24h for node in nodes),
            images=0,
        )
    )


def test_an_empty_network_says_so() -> None:
    """Nobody has joined."""
    assert network() == "No telescope has joined yet."


def test_a_network_is_summed_up() -> None:
    """Who is online, and what came in."""
    online, offline = (
        public_node(online=True),
        public_node(online=False, measurements=1200, recent=3),
    )
    assert network(online) == "One node, online. No measurement has come in yet."
    assert network(online, offline) == (
        "1 of 2 nodes is online. 3 measurements came in during the last 24 hours, 1,200 in all."
    )
    quiet = public_node(online=True, measurements=7)
    assert network(quiet).endswith(
        "Nothing came in during the last 24 hours; 7 measurements in all."
    )


def test_a_curve_is_summed_up() -> None:
    """Bands, nodes, span, extremes, and the newest point."""
    points = [
        point(bjd=julian_date(NOW) - 0.5),
        point(filter="B", node_id="valley", magnitude=12.5, bjd=julian_date(NOW) - 0.25),
    ]
    sentence = describe_curve(curve(points), NOW).replace("\u2011", "-")
    assert sentence == (
        "2 points in B and V by hilltop and valley, on 2026-03-01 from 08:00 to 14:00 TDB, "
        "6.0 hours. Brightest 12.000, faintest 12.500 mag; typical uncertainty 0.010. "
        "The newest is 12.500 ± 0.010, 6 hours ago."
    )


def test_a_single_point_is_no_curve() -> None:
    """One point has no span and no extremes."""
    sentence = describe_curve(curve([point()]), NOW)
    assert sentence.startswith("1 point in V by hilltop, taken ")
    assert "More points" in sentence


def test_many_nodes_are_not_all_named() -> None:
    """A sentence stays a sentence."""
    points = [point(node_id=f"n{number}") for number in range(9)]
    assert "and 5 more" in describe_curve(curve(points), NOW)

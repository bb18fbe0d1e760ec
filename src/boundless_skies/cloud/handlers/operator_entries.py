"""What operators are shown, in JSON: the same over HTTP and on the command line."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from boundless_skies.cloud.domain.admission import ActivationCode
from boundless_skies.cloud.domain.nodes import Node
from boundless_skies.cloud.domain.outcomes import HeardEvent, PlanReport
from boundless_skies.cloud.domain.times import iso
from boundless_skies.cloud.services.control_room import NodeFile, NodeList
from boundless_skies.cloud.services.interrupts import SentInterrupt
from boundless_skies.cloud.services.reviews import Case, Queue
from boundless_skies.cloud.storage.audit import Deed
from boundless_skies.cloud.storage.tokens import Token

Entry = dict[str, Any]


def describe_nodes(listed: NodeList) -> list[Entry]:
    """Return nodes with their exact places and their owners."""
    return [
        _describe_node(node, listed.now)
        | {
            "plan_id": plan.plan_id if (plan := listed.plans.get(node.node_id)) else None,
            "measurements": listed.measurements.get(node.node_id, 0),
        }
        for node in listed.nodes
    ]


def describe_file(file: NodeFile) -> Entry:
    """Return all that is known of a node."""
    return _describe_node(file.node, file.now) | {
        "conditions": file.node.conditions,
        "measurements": file.measurements,
        "plan": file.plan.to_wire() if file.plan else None,
        "plan_outcome": _outcome(file.report) if file.report else None,
        "earlier_plans": [_told(plan) for plan in file.earlier_plans],
        "interrupts": [
            _told(one.interrupt) | {"acked": one.acked, "told": _latest(one.told)}
            for one in file.interrupts
        ],
        "events": [_told(event) for event in file.events],
        "images": [
            {
                "name": image.original_name,
                "sha256": image.sha256,
                "size_bytes": image.size_bytes,
                "received_at": iso(image.received_at),
                "sentence": image.sentence,
            }
            for image in file.images
        ],
        "history": [describe_deed(deed) for deed in file.deeds],
    }


def describe_report(report: PlanReport) -> Entry:
    """Return a plan with what became of it and of each of its items."""
    return {
        "plan": report.plan.to_wire(),
        **_outcome(report),
        "events": [_told(event) for event in report.events],
    }


def describe_code(code: ActivationCode, now: datetime) -> Entry:
    """Return an activation code and what it is good for."""
    return _told(code) | {"state": str(code.state(now))}


def describe_token(token: Token) -> Entry:
    """Return a token, of which nobody knows the key."""
    return _told(token)


def describe_deed(deed: Deed) -> Entry:
    """Return something that an operator did."""
    return _told(deed)


def describe_sent(sent: SentInterrupt) -> Entry:
    """Return an interrupt with who has acknowledged it, and what each node told of it."""
    acked_by = {node_id: iso(at) for node_id, at in sorted(sent.acked_by.items())}
    told_by = {node_id: _latest(event) for node_id, event in sent.told_by.items()}
    return _told(sent.interrupt) | {"acked_by": acked_by, "told_by": told_by}


def describe_queue(queue: Queue) -> Entry:
    """Return disputed points that wait for a verdict."""
    return {"waiting": queue.waiting, "points": [describe_case(case) for case in queue.cases]}


def describe_case(case: Case) -> Entry:
    """Return a point with the points around it, and what was said of it."""
    return _told(case.point) | {
        "window_d": case.window_d,
        "around": [asdict(other) for other in case.around],
        "verdicts": [_told(verdict) for verdict in case.verdicts],
    }


def _describe_node(node: Node, now: datetime) -> Entry:
    profile = node.profile
    return {
        "node_id": node.node_id,
        "owner_name": profile.owner_name,
        "owner_public": profile.owner_public,
        "latitude": profile.latitude,
        "longitude": profile.longitude,
        "elevation": profile.elevation,
        "telescope_model": profile.telescope_model,
        "filters": profile.filters,
        "utc_offset_hours": profile.utc_offset_hours,
        "rig": profile.rig,
        "registered_at": iso(node.registered_at),
        "last_heartbeat": iso(node.last_beat_at),
        "online": node.is_online(now),
        "queued_uploads": node.queued_uploads,
        "queue_age_s": node.queue_age_s,
        "rotation_asked_at": iso(node.rotation_asked_at),
        "revoked_at": iso(node.revoked_at),
        "image_bytes": node.image_bytes,
    }


def _outcome(report: PlanReport) -> Entry:
    return {
        "told": _latest(report.told),
        "counts": report.counts,
        "untold": report.untold,
        "items": [
            {
                "item_id": one.item.get("item_id"),
                "target": one.item["target"],
                "told": _latest(one.told),
            }
            for one in report.items
        ],
    }


def _latest(event: HeardEvent | None) -> Entry | None:
    if event is None:
        return None
    return {
        "state": event.state,
        "reason": event.reason,
        "at": iso(event.at),
        "received_at": iso(event.received_at),
    }


def _told(value: Any) -> Entry:
    """Return a dataclass as JSON has it: its instants in ISO 8601."""
    return {
        name: iso(field) if isinstance(field, datetime) else field
        for name, field in asdict(value).items()
    }

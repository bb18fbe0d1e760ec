"""Examining the network of a deployment: who can join, who is heard, what waits for people."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from boundless_skies.cloud.domain.admission import CodeState, Policy
from boundless_skies.cloud.domain.nodes import ONLINE_WITHIN
from boundless_skies.cloud.domain.times import counted
from boundless_skies.cloud.services.admission import current_policy
from boundless_skies.cloud.services.control_room import OLD_QUEUE_S
from boundless_skies.cloud.services.examination import Finding, doubtful, good
from boundless_skies.cloud.storage import census, codes, nodes, reviews, settling, tokens
from boundless_skies.cloud.storage.tokens import Token

SILENT_WITHIN = timedelta(days=1)
"""So long after it joined a node has had its first night or at least its first heartbeat."""
IDLE_TOKEN_WITHIN = timedelta(days=180)
NAMED_MAX = 5

_MANY_CODES = "boundless cloud codes create"


@dataclass(frozen=True, kw_only=True)
class NetworkState:
    """What is to be judged of a network.

    ``settled_nodes`` are those that joined more than a day ago and were not revoked,
    ``heard`` all that were heard within a day; ``behind`` are nodes online whose
    oldest measurement has waited for an hour.
    """

    policy: Policy
    codes: Mapping[CodeState, int] = field(default_factory=Counter)
    nodes: int = 0
    online: int = 0
    settled_nodes: int = 0
    heard: int = 0
    behind: int = 0
    disputed: int = 0
    due: int = 0
    idle_tokens: tuple[str, ...] = ()


def look_at_network(connection: Connection, now: datetime) -> NetworkState:
    """Gather what is to be judged of a network."""
    taken = census.take(connection, online_since=now - ONLINE_WITHIN)
    day_ago = now - SILENT_WITHIN
    queues = taken.queue_age_s.at_most
    return NetworkState(
        policy=current_policy(connection),
        codes=codes.count_by_state(connection, now),
        nodes=taken.nodes,
        online=taken.online,
        settled_nodes=nodes.count_joined_before(connection, day_ago),
        heard=nodes.count(connection, day_ago),
        behind=max(count for _, count in queues) - dict(queues)[OLD_QUEUE_S],
        disputed=reviews.count_waiting(connection),
        due=settling.count_due(connection),
        idle_tokens=tuple(
            token.name for token in tokens.list_all(connection) if _is_idle(token, now)
        ),
    )


def judge_network(state: NetworkState) -> Iterator[Finding]:
    """Say what is to be thought of a network."""
    yield _judge_admission(state)
    if any(state.codes.values()):
        yield good(_describe_codes(state.codes))
    yield from _judge_nodes(state)
    if state.disputed:
        yield good(
            f"{counted(state.disputed, 'disputed measurement')} not judged yet: "
            "boundless cloud review list"
        )
    if state.due:
        yield good(f"Points of {counted(state.due, 'target')} are being compared anew.")
    if state.idle_tokens:
        yield doubtful(_describe_idle(state.idle_tokens))


def _judge_admission(state: NetworkState) -> Finding:
    valid = state.codes.get(CodeState.VALID, 0)
    if state.policy == Policy.OPEN and valid:
        return doubtful(
            f"Anybody may register a node, though {counted(valid, 'activation code')} could let "
            "nodes in. If only those shall: boundless cloud registration code"
        )
    if state.policy == Policy.CODE and not valid:
        return good(f"No node can register: no activation code is valid. Make one: {_MANY_CODES}")
    told = {
        Policy.OPEN: "Anybody may register a node.",
        Policy.CODE: "Nodes register with an activation code.",
        Policy.CLOSED: "No node may register.",
    }
    return good(told[state.policy])


def _describe_codes(found: Mapping[CodeState, int]) -> str:
    used, valid, withdrawn, expired = (
        found.get(state, 0)
        for state in (CodeState.USED, CodeState.VALID, CodeState.WITHDRAWN, CodeState.EXPIRED)
    )
    text = (
        f"Of {counted(sum(found.values()), 'activation code')}, {used:,} used, {valid:,} valid, "
        f"{withdrawn:,} withdrawn, {expired:,} expired unused."
    )
    return f"{text} Whoever still wants to join needs a new one: {_MANY_CODES}" if expired else text


def _judge_nodes(state: NetworkState) -> Iterator[Finding]:
    if state.settled_nodes and not state.heard:
        yield doubtful(
            f"None of {counted(state.nodes, 'node')} has been heard for a day. Does the server "
            "run, and do nodes reach it? boundless cloud doctor --url https://…"
        )
    else:
        yield good(f"{counted(state.nodes, 'node')} registered, {state.online:,} online.")
    if state.behind:
        yield doubtful(
            f"{counted(state.behind, 'node')} online with measurements that wait for more than an "
            "hour. If that grows, the cloud refuses them or is too slow; see its log."
        )


def _is_idle(token: Token, now: datetime) -> bool:
    used_at = token.last_used_at or token.created_at
    return token.revoked_at is None and now - used_at > IDLE_TOKEN_WITHIN


def _describe_idle(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMED_MAX:,} more" if len(names) > NAMED_MAX else ""
    return (
        f"{counted(len(names), 'token')} not used for {IDLE_TOKEN_WITHIN.days} days: "
        f"{', '.join(names[:NAMED_MAX])}{more}. If nobody needs it: boundless cloud tokens revoke"
    )

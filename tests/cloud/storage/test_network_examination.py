"""What the doctor reads of a network, on either database."""

from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection
from tests.cloud.storage.conftest import Store
from tests.cloud.storage.entries import NOW, PROFILE, entry

from boundless_skies.cloud.domain.admission import ActivationCode, CodeState, Policy
from boundless_skies.cloud.domain.keys import key_hash
from boundless_skies.cloud.domain.nodes import Beat
from boundless_skies.cloud.domain.operators import Role
from boundless_skies.cloud.services.network_examination import NetworkState, look_at_network
from boundless_skies.cloud.services.settling import settle_group
from boundless_skies.cloud.storage import codes, measurements, nodes, settling, tokens
from boundless_skies.cloud.storage.nodes import TakenBeat

DAY = timedelta(days=1)


def a_beat(at: datetime, queue_age_s: float) -> TakenBeat:
    """Return a heartbeat that told of one measurement in the queue."""
    beat = Beat(conditions={}, utc_offset_hours=None, queued_uploads=1, queue_age_s=queue_age_s)
    return TakenBeat(beat, at)


def looked(store: Store) -> NetworkState:
    """Look at the network of a database."""
    return store.read(partial(look_at_network, now=NOW))


def test_an_empty_network_has_nothing(store: Store) -> None:
    """Every count is zero."""
    assert looked(store) == NetworkState(policy=Policy.OPEN)


def test_codes_are_counted_by_their_state(store: Store) -> None:
    """As each code tells of itself; one that was used does not count as expired."""
    made = [
        ActivationCode(
            code=f"BS-{number}",
            note="",
            created_at=NOW - 9 * DAY,
            created_by="Ada",
            expires_at=NOW + days * DAY,
            used_at=NOW - 5 * DAY if used else None,
            used_by="hilltop" if used else None,
            withdrawn_at=NOW - 5 * DAY if withdrawn else None,
        )
        for number, (days, used, withdrawn) in enumerate(
            [(1, 0, 0), (0, 0, 0), (-1, 0, 0), (-1, 1, 0), (1, 1, 0), (1, 0, 1), (-1, 0, 1)]
        )
    ]
    store.write(partial(codes.add_all, codes=made))
    found = looked(store).codes
    assert found == {state: sum(code.state(NOW) == state for code in made) for state in CodeState}
    assert found[CodeState.EXPIRED] == 2


def test_nodes_are_counted_by_when_they_were_heard(store: Store) -> None:
    """Those online, those behind among them, and those that have been there for long."""
    told = {"a": (NOW, 4_000.0), "b": (NOW, 3_600.0), "c": (NOW - 2 * DAY, 9_000.0), "d": None}

    def fill(connection: Connection) -> None:
        for name in (*told, "gone"):
            nodes.add(connection, name, key_hash(name), PROFILE, NOW - 3 * DAY)
        nodes.add(connection, "new", key_hash("new"), PROFILE, NOW)
        nodes.revoke(connection, "gone", NOW)
        beats = {name: a_beat(*one) for name, one in told.items() if one}
        nodes.record_beats(connection, beats)

    store.write(fill)
    state = looked(store)
    assert (state.nodes, state.online, state.behind) == (6, 2, 1)
    assert (state.settled_nodes, state.heard) == (4, 2)


def test_what_waits_is_counted(store: Store) -> None:
    """Disputed points, targets that are compared anew, tokens that nobody uses."""
    points = [entry(node_id=node, magnitude=mag) for node, mag in (("a", 11.0), ("b", 12.0))]
    store.write(partial(measurements.add_all, entries=points))
    store.write(settle_group)
    store.write(partial(settling.ask_anew, target_name="SS Cyg"))
    for name, age in (("old", 181 * DAY), ("used", 300 * DAY), ("new", DAY), ("gone", 300 * DAY)):
        add = partial(tokens.add, name=name, hashed=name, role=Role.READER, by="Ada")
        store.write(partial(add, now=NOW - age))
    store.write(partial(tokens.note_use, name="used", now=NOW))
    store.write(partial(tokens.revoke, name="gone", now=NOW))
    state = looked(store)
    assert (state.disputed, state.due, state.idle_tokens) == (2, 1, ("old",))

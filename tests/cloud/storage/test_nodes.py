"""Nodes in either database: beats, keys, quotas."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.cloud.storage.conftest import Store
from tests.cloud.storage.entries import NOW, add_node

from boundless_skies.cloud.domain.errors import InvalidCredentials, KeyRevoked
from boundless_skies.cloud.domain.nodes import Beat, Caller
from boundless_skies.cloud.services.beats import BeatBook
from boundless_skies.cloud.services.credentials import OVERLAP, CredentialService
from boundless_skies.cloud.storage import nodes
from boundless_skies.cloud.storage.database import Database
from boundless_skies.cloud.storage.nodes import TakenBeat


def beat(**changes: Any) -> Beat:
    """Return a heartbeat."""
    usual = {"conditions": {"wind": 1}, "utc_offset_hours": None, "queued_uploads": 3}
    return Beat(**(usual | {"queue_age_s": 12.5} | changes))


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> Any:
        """Return the present instant."""
        return self.now


def test_beats_of_many_nodes_are_written_at_once(store: Store) -> None:
    """Each node's newest holds; an offset that was not told stays as it was."""
    for number in range(3):
        add_node(store, f"n{number}")
    taken = {
        "n1": TakenBeat(beat(utc_offset_hours=2.0), NOW),
        "n0": TakenBeat(beat(conditions={}), NOW),
        "gone": TakenBeat(beat(), NOW),
    }
    store.write(partial(nodes.record_beats, beats=taken))
    first, second, third = store.read(nodes.list_some)
    assert (first.conditions, first.profile.utc_offset_hours) == ({}, 0.0)
    assert (second.conditions, second.profile.utc_offset_hours) == ({"wind": 1}, 2.0)
    assert (second.queued_uploads, second.queue_age_s, second.last_beat_at) == (3, 12.5, NOW)
    assert third.last_beat_at is None
    assert store.read(nodes.count) == 3
    assert store.read(partial(nodes.count, beat_since=NOW - timedelta(seconds=1))) == 2


def test_a_book_of_beats_keeps_the_newest_of_each(store: Store) -> None:
    """A thousand beats of one node are one row's update."""
    add_node(store)

    async def take(database: Database) -> None:
        book = BeatBook(database, lambda: NOW)
        for number in range(1000):
            book.take("hilltop", beat(conditions={"number": number}))
        await book.flush()

    store.run(take)
    (node,) = store.read(nodes.list_some)
    assert node.conditions == {"number": 999}


def test_a_new_key_holds_from_its_first_use_and_the_old_one_a_day_longer(store: Store) -> None:
    """A reply that was lost locks nobody out; after the overlap the old key is refused."""
    add_node(store)
    clock = Clock()

    async def rotate(database: Database) -> None:
        service = CredentialService(database, clock)
        caller = await service.authenticate("hilltop", "first")
        lost = (await service.give_new_key(caller))["api_key"]
        new = (await service.give_new_key(caller))["api_key"]
        assert await service.authenticate("hilltop", "first") == caller
        with pytest.raises(InvalidCredentials):
            await service.authenticate("hilltop", lost)
        assert await service.authenticate("hilltop", new) == caller
        for elsewhere in (service, CredentialService(database, clock)):
            assert await elsewhere.authenticate("hilltop", "first") == caller
        clock.now += OVERLAP
        with pytest.raises(InvalidCredentials):
            await service.authenticate("hilltop", "first")
        assert await service.authenticate("hilltop", new) == caller

    store.run(rotate)


def test_a_revoked_node_is_refused_with_every_key(store: Store) -> None:
    """Its own, the pending, the one before; whoever has a wrong key learns nothing of it."""
    add_node(store)

    async def revoke(database: Database) -> None:
        service = CredentialService(database, lambda: NOW)
        caller = await service.authenticate("hilltop", "first")
        new = (await service.give_new_key(caller))["api_key"]
        await database.write(partial(nodes.revoke, node_id="hilltop", now=NOW))
        service.forget()
        with pytest.raises(KeyRevoked):
            await service.authenticate("hilltop", "first")
        with pytest.raises(KeyRevoked):
            await service.give_new_key(caller)
        for key in (new, "wrong"):
            with pytest.raises(InvalidCredentials) as refused:
                await service.authenticate("hilltop", key)
            assert not isinstance(refused.value, KeyRevoked)
        await database.write(partial(nodes.readmit, node_id="hilltop"))
        assert await service.authenticate("hilltop", "first") == caller

    store.run(revoke)


def test_a_node_that_is_asked_to_rotate_hears_of_it(store: Store) -> None:
    """Until its new key was used; revoked nodes are not asked."""
    for name in ("hilltop", "valley", "gone"):
        add_node(store, name)

    async def ask(database: Database) -> None:
        service = CredentialService(database, lambda: NOW)
        await database.write(partial(nodes.revoke, node_id="gone", now=NOW))
        asked = await database.write(partial(nodes.ask_for_rotation, node_ids=None, now=NOW))
        assert asked == 2
        caller = await service.authenticate("hilltop", "first")
        assert caller == Caller("hilltop", rotation_asked=True)
        new = (await service.give_new_key(caller))["api_key"]
        assert not (await service.authenticate("hilltop", new)).rotation_asked

    store.run(ask)


def test_an_unknown_node_and_an_empty_key_are_refused(store: Store) -> None:
    """Nothing is told about which of the two was wrong."""
    add_node(store)

    async def try_keys(database: Database) -> None:
        service = CredentialService(database, lambda: NOW)
        for node_id, key in [("hilltop", "x"), ("nobody", "first"), ("hilltop", ""), (None, None)]:
            with pytest.raises(InvalidCredentials, match=r"^invalid node credentials$"):
                await service.authenticate(node_id, key)

    store.run(try_keys)


def test_a_quota_is_never_overdrawn(store: Store) -> None:
    """What fits is counted, what does not is refused, what goes away makes room."""
    add_node(store)

    def fill(connection: Connection) -> list[bool]:
        sizes = [60, 50, 40, -60, 50]
        return [nodes.take_image_bytes(connection, "hilltop", size, 100) for size in sizes]

    assert store.write(fill) == [True, False, True, True, True]

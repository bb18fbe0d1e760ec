"""Who a node is: registration, keys, beats."""

from functools import partial
from typing import Any

from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import InvalidCredentials, Unavailable, UnknownObject
from boundless_skies.cloud.domain.features import FEATURES
from boundless_skies.cloud.domain.keys import key_hash, key_matches, new_key
from boundless_skies.cloud.domain.nodes import (
    Node,
    Profile,
    fresh_node_id,
    read_beat,
    read_profile,
    read_wish,
)
from boundless_skies.cloud.domain.reading import json_object
from boundless_skies.cloud.domain.times import Clock, iso
from boundless_skies.cloud.storage import nodes
from boundless_skies.cloud.storage.database import Database

FRESH_ID_TRIES = 20
NO_NODE_HASH = key_hash("")
"""Compared against where there is no such node, so that both answers take as long."""


class NodeService:
    """Registers nodes, checks their keys, takes their beats.

    Parameters
    ----------
    database : Database
        Where nodes are kept.
    clock : Clock
        The present instant.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def register(self, body: Any) -> dict[str, Any]:
        """Give a node an identity; its key is told here and never again.

        A ``node_id`` that is taken is answered with a fresh one derived from it.

        Raises
        ------
        InvalidInput
            If the registration breaks a rule.
        """
        registration = json_object(body, "The registration")
        wish = read_wish(registration.get("node_id"))
        profile = read_profile(registration)
        api_key = new_key("node")
        node_id = await self._database.write(
            partial(self._add, wish=wish, profile=profile, hashed=key_hash(api_key))
        )
        return {"node_id": node_id, "api_key": api_key, "features": FEATURES}

    async def authenticate(self, node_id: str | None, api_key: str | None) -> Node:
        """Return the node that these credentials belong to.

        Raises
        ------
        InvalidCredentials
            If they belong to none.
        """
        if not node_id or not api_key:
            raise InvalidCredentials("invalid node credentials")
        found = await self._database.read(partial(nodes.find, node_id=node_id))
        matches = key_matches(api_key, found.key_hash if found else NO_NODE_HASH)
        if found is None or not matches:
            raise InvalidCredentials("invalid node credentials")
        return found.node

    async def beat(self, node: Node, body: Any) -> dict[str, Any]:
        """Take a heartbeat.

        Raises
        ------
        InvalidInput
            If it is no JSON object.
        """
        beat = read_beat(json_object(body, "The heartbeat"))
        now = self._clock()
        await self._database.write(
            partial(nodes.record_beat, node_id=node.node_id, beat=beat, now=now)
        )
        return {"ok": True, "server_time": iso(now), "features": FEATURES}

    async def find(self, node_id: str) -> Node:
        """Return a node by name.

        Raises
        ------
        UnknownObject
            If there is none, with the nearest thing to do.
        """
        found = await self._database.read(partial(nodes.find, node_id=node_id))
        if found is None:
            raise UnknownObject(
                f"There is no node {node_id!r}. `boundless cloud nodes` lists those that there are."
            )
        return found.node

    def describe(self, node: Node) -> dict[str, Any]:
        """Return a node's own entry, exact and without its key."""
        profile = node.profile
        return {
            "node_id": node.node_id,
            "owner_name": profile.owner_name,
            "latitude": profile.latitude,
            "longitude": profile.longitude,
            "elevation": profile.elevation,
            "telescope_model": profile.telescope_model,
            "filters": profile.filters,
            "utc_offset_hours": profile.utc_offset_hours,
            **profile.rig,
            "registered_at": iso(node.registered_at),
            "last_heartbeat": iso(node.last_beat_at),
            "online": node.is_online(self._clock()),
            "conditions": node.conditions,
        }

    def _add(
        self, connection: Connection, *, wish: str | None, profile: Profile, hashed: str
    ) -> str:
        node_id = wish or fresh_node_id(None)
        for _ in range(FRESH_ID_TRIES):
            if not nodes.exists(connection, node_id):
                nodes.add(connection, node_id, hashed, profile, self._clock())
                return node_id
            node_id = fresh_node_id(wish)
        raise Unavailable("No free node_id was found; try again.", 1)

"""Who a node is: registration, keys, beats."""

from functools import partial
from typing import Any

from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import Unavailable, UnknownObject
from boundless_skies.cloud.domain.features import FEATURES
from boundless_skies.cloud.domain.keys import key_hash, new_key
from boundless_skies.cloud.domain.nodes import (
    Caller,
    Node,
    Profile,
    fresh_node_id,
    read_beat,
    read_profile,
    read_wish,
)
from boundless_skies.cloud.domain.operators import Operator, Role
from boundless_skies.cloud.domain.reading import json_object
from boundless_skies.cloud.domain.times import Clock, iso
from boundless_skies.cloud.services.admission import admit
from boundless_skies.cloud.services.beats import BeatBook
from boundless_skies.cloud.storage import audit, nodes
from boundless_skies.cloud.storage.database import Database

FRESH_ID_TRIES = 20


class NodeService:
    """Registers nodes and takes their beats.

    Parameters
    ----------
    database : Database
        Where nodes are kept.
    beats : BeatBook
        Where beats are taken.
    clock : Clock
        The present instant.
    """

    def __init__(self, database: Database, beats: BeatBook, clock: Clock) -> None:
        self._database = database
        self._beats = beats
        self._clock = clock

    async def register(self, body: Any) -> dict[str, Any]:
        """Give a node an identity; its key is told here and never again.

        A ``node_id`` that is taken is answered with a fresh one derived from it.

        Raises
        ------
        InvalidInput
            If the registration breaks a rule.
        Forbidden
            If the network takes no new nodes, or none without a valid activation code.
        """
        registration = json_object(body, "The registration")
        wish = read_wish(registration.get("node_id"))
        profile = read_profile(registration)
        api_key = new_key("node")
        node_id = await self._database.write(
            partial(
                self._add,
                wish=wish,
                profile=profile,
                hashed=key_hash(api_key),
                code=registration.get("activation_code"),
            )
        )
        return {"node_id": node_id, "api_key": api_key, "features": FEATURES}

    async def beat(self, caller: Caller, body: Any) -> dict[str, Any]:
        """Take a heartbeat.

        Raises
        ------
        InvalidInput
            If it is no JSON object.
        """
        taken = self._beats.take(caller.node_id, read_beat(json_object(body, "The heartbeat")))
        reply = {"ok": True, "server_time": iso(taken.at), "features": FEATURES}
        return reply | {"rotate_key": True} if caller.rotation_asked else reply

    async def find(self, node_id: str) -> Node:
        """Return a node by name.

        Raises
        ------
        UnknownObject
            If there is none, with the nearest thing to do.
        """
        await self._beats.flush()
        found = await self._database.read(partial(nodes.find, node_id=node_id))
        if found is None:
            raise _unknown(node_id)
        return found

    async def show_owner(self, operator: Operator, node_id: str, *, public: bool) -> None:
        """Name a node's owner on public pages, or no longer.

        Raises
        ------
        UnknownObject
            If there is no such node.
        """
        operator.require(Role.OPERATOR)
        await self._database.write(
            partial(self._show_owner, operator=operator, node_id=node_id, public=public)
        )

    async def describe(self, caller: Caller) -> dict[str, Any]:
        """Return a node's own entry, exact and without its key."""
        node = await self.find(caller.node_id)
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
            **profile.rig,
            "registered_at": iso(node.registered_at),
            "last_heartbeat": iso(node.last_beat_at),
            "online": node.is_online(self._clock()),
            "conditions": node.conditions,
        }

    def _add(
        self,
        connection: Connection,
        *,
        wish: str | None,
        profile: Profile,
        hashed: str,
        code: Any,
    ) -> str:
        node_id = _free_node_id(connection, wish)
        admit(connection, code, node_id, self._clock)
        nodes.add(connection, node_id, hashed, profile, self._clock())
        return node_id

    def _show_owner(
        self, connection: Connection, *, operator: Operator, node_id: str, public: bool
    ) -> None:
        if not nodes.show_owner(connection, node_id, public=public):
            raise _unknown(node_id)
        detail = {"public": public}
        audit.add(connection, operator, "node.owner", node_id, detail, self._clock())


def _free_node_id(connection: Connection, wish: str | None) -> str:
    node_id = wish or fresh_node_id(None)
    for _ in range(FRESH_ID_TRIES):
        if not nodes.exists(connection, node_id):
            return node_id
        node_id = fresh_node_id(wish)
    raise Unavailable("No free node_id was found; try again.", 1)


def _unknown(node_id: str) -> UnknownObject:
    return UnknownObject(
        f"There is no node {node_id!r}. `boundless cloud nodes` lists those that there are."
    )

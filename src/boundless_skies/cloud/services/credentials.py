"""Whether a node's key is right: checked once in the database, then known here.

What is known is forgotten when any process makes a change of credentials known,
so that a revocation holds everywhere within moments. A key that is not known is
always looked up: no key is refused from memory.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import (
    InvalidCredentials,
    KeyRevoked,
    UnknownObject,
)
from boundless_skies.cloud.domain.keys import key_hash, new_key
from boundless_skies.cloud.domain.nodes import Caller
from boundless_skies.cloud.domain.operators import Operator, Role
from boundless_skies.cloud.domain.reading import required_text
from boundless_skies.cloud.domain.times import Clock
from boundless_skies.cloud.services.grouping import look_ups
from boundless_skies.cloud.storage import audit, changes, nodes
from boundless_skies.cloud.storage.changes import Topic
from boundless_skies.cloud.storage.database import Database, Job
from boundless_skies.cloud.storage.nodes import NodeKeys

OVERLAP = timedelta(hours=24)
"""How long the key before stays valid once a node calls with its new one."""
KNOWN_MAX = 200_000
LOOK_UPS_MAX = 500
REASON_MAX_CHARS = 500
REFUSED = "invalid node credentials"


_Known = tuple[str, bool, datetime | None]
"""Hash of a key, whether a new one is asked for, until when it is valid.

A plain tuple, of which there may be many: the search for garbage passes it over.
"""


class CredentialService:
    """Tells which node a key belongs to, and gives nodes new keys.

    Parameters
    ----------
    database : Database
        Where the hashes of keys are kept.
    clock : Clock
        The present instant.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._forgotten = 0
        self._look_ups = look_ups(
            database, nodes.list_keys, what="look-ups of keys", most=LOOK_UPS_MAX
        )

    def recall(self, node_id: str | None, api_key: str | None) -> Caller | None:
        """Return the node of credentials that are known here; None where they must be looked up."""
        known = self._known.get(node_id or "")
        if known is None or node_id is None or api_key is None:
            return None
        hashed, rotation_asked, until = known
        if key_hash(api_key) != hashed or (until is not None and self._clock() >= until):
            return None
        return Caller(node_id, rotation_asked)

    async def authenticate(self, node_id: str | None, api_key: str | None) -> Caller:
        """Return the node that these credentials belong to.

        Raises
        ------
        InvalidCredentials
            If they belong to none.
        KeyRevoked
            If the operator has revoked them.
        """
        if not node_id or not api_key or "\0" in node_id:  # which no database holds
            raise InvalidCredentials(REFUSED)
        return self.recall(node_id, api_key) or await self._look_up(node_id, key_hash(api_key))

    async def give_new_key(self, caller: Caller) -> dict[str, Any]:
        """Give a node a new key, which becomes its own when it first calls with it.

        Until then the present one stays, so that a reply that is lost on its way
        locks nobody out.
        """
        api_key = new_key("node")
        given = await self._database.write(
            partial(nodes.keep_pending_key, node_id=caller.node_id, pending_hash=key_hash(api_key))
        )
        if not given:
            raise KeyRevoked(REFUSED)
        return {"api_key": api_key, "previous_valid_s": int(OVERLAP.total_seconds())}

    def forget(self) -> None:
        """Forget what is known here: some credentials have changed."""
        self._known.clear()
        self._forgotten += 1

    async def ask_for_rotation(self, operator: Operator, node_ids: Sequence[str] | None) -> int:
        """Ask nodes to take a new key at their next beat; return how many were asked.

        Parameters
        ----------
        operator : Operator
            Who asks.
        node_ids : sequence of str or None
            Which nodes; None for all that are not revoked.

        Raises
        ------
        UnknownObject
            If one of them is not there, or revoked; then none is asked.
        """
        operator.require(Role.OPERATOR)
        asked = await self._change(
            partial(self._ask_for_rotation, operator=operator, node_ids=node_ids)
        )
        return int(asked)

    async def revoke(self, operator: Operator, node_id: str, reason: Any) -> None:
        """Refuse every key of a node from now on, in every process.

        Raises
        ------
        UnknownObject
            If there is no such node, or it is revoked already.
        InvalidInput
            If no reason is given.
        """
        operator.require(Role.OPERATOR)
        said = required_text({"reason": reason or None}, "reason", REASON_MAX_CHARS)
        await self._change(partial(self._revoke, operator=operator, node_id=node_id, reason=said))

    async def readmit(self, operator: Operator, node_id: str) -> None:
        """Let a revoked node call with its key again.

        Raises
        ------
        UnknownObject
            If there is no such node, or it is not revoked.
        """
        operator.require(Role.OPERATOR)
        await self._change(partial(self._readmit, operator=operator, node_id=node_id))

    async def _change(self, job: Job[Any]) -> Any:
        """Change credentials, and let every process forget them."""

        def change(connection: Connection) -> Any:
            result = job(connection)
            changes.announce(connection, Topic.CREDENTIALS)
            return result

        result = await self._database.write(change)
        self.forget()
        self._database.look_now()
        return result

    def _ask_for_rotation(
        self, connection: Connection, *, operator: Operator, node_ids: Sequence[str] | None
    ) -> int:
        wanted = None if node_ids is None else list(dict.fromkeys(node_ids))
        now = self._clock()
        asked = nodes.ask_for_rotation(connection, wanted, now)
        if wanted is not None and asked != len(wanted):
            for node_id in wanted:
                _require_valid(connection, node_id)
        for subject in wanted or ["every node"]:
            audit.add(connection, operator, "node.rotate", subject, {}, now)
        return asked

    def _revoke(
        self, connection: Connection, *, operator: Operator, node_id: str, reason: str
    ) -> None:
        now = self._clock()
        if not nodes.revoke(connection, node_id, now):
            _require_valid(connection, node_id)
        audit.add(connection, operator, "node.revoke", node_id, {"reason": reason}, now)

    def _readmit(self, connection: Connection, *, operator: Operator, node_id: str) -> None:
        if not nodes.readmit(connection, node_id):
            _require_there(connection, node_id)
            raise UnknownObject(f"The node {node_id!r} is not revoked; there is nothing to do.")
        audit.add(connection, operator, "node.readmit", node_id, {}, self._clock())

    async def _look_up(self, node_id: str, presented: str) -> Caller:
        forgotten = self._forgotten
        keys = await self._look_ups.submit(node_id)
        if keys is None:
            raise InvalidCredentials(REFUSED)
        if presented == keys.pending_hash:
            await self._database.write(
                partial(self._promote, node_id=node_id, pending_hash=presented)
            )
            keys = NodeKeys(presented, None, keys.key_hash, None, False, keys.revoked_at)
        known = self._judge(presented, keys)
        # What changed while the look-up was under way is not to be remembered as it was before.
        if forgotten == self._forgotten:
            self._remember(node_id, known)
        return Caller(node_id, keys.rotation_asked)

    def _judge(self, presented: str, keys: NodeKeys) -> _Known:
        current = presented == keys.key_hash
        previous = (
            presented == keys.previous_hash
            and keys.previous_until is not None
            and self._clock() < keys.previous_until
        )
        if not current and not previous:
            raise InvalidCredentials(REFUSED)
        if keys.revoked_at is not None:
            raise KeyRevoked(REFUSED)
        until = None if current else keys.previous_until
        return presented, keys.rotation_asked, until

    def _remember(self, node_id: str, known: _Known) -> None:
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        self._known[node_id] = known

    def _promote(self, connection: Connection, *, node_id: str, pending_hash: str) -> None:
        nodes.promote_pending_key(connection, node_id, pending_hash, self._clock() + OVERLAP)
        # Whoever knows the key before must learn that its time is limited now.
        changes.announce(connection, Topic.CREDENTIALS)


def _require_valid(connection: Connection, node_id: str) -> None:
    """Check that a node is there and not revoked."""
    if _require_there(connection, node_id).revoked_at is not None:
        raise UnknownObject(
            f"The node {node_id!r} is revoked. Let it in again first: "
            f"boundless cloud nodes readmit {node_id}"
        )


def _require_there(connection: Connection, node_id: str) -> NodeKeys:
    keys = nodes.find_keys(connection, node_id)
    if keys is None:
        raise UnknownObject(
            f"There is no node {node_id!r}. `boundless cloud nodes` lists those that there are."
        )
    return keys

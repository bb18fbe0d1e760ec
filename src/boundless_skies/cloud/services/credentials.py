"""Whether a node's key is right: checked once in the database, then known here.

What is known is forgotten when any process makes a change of credentials known,
so that a revocation holds everywhere within moments. A key that is not known is
always looked up: no key is refused from memory.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import InvalidCredentials, KeyRevoked
from boundless_skies.cloud.domain.keys import key_hash, new_key
from boundless_skies.cloud.domain.nodes import Caller
from boundless_skies.cloud.domain.times import Clock
from boundless_skies.cloud.storage import nodes
from boundless_skies.cloud.storage.database import Database
from boundless_skies.cloud.storage.nodes import NodeKeys

OVERLAP = timedelta(hours=24)
"""How long the key before stays valid once a node calls with its new one."""
KNOWN_MAX = 200_000
REFUSED = "invalid node credentials"


@dataclass(slots=True)
class _Known:
    key_hash: str
    caller: Caller
    until: datetime | None


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

    def recall(self, node_id: str | None, api_key: str | None) -> Caller | None:
        """Return the node of credentials that are known here; None where they must be looked up."""
        known = self._known.get(node_id or "")
        if known is None or api_key is None or key_hash(api_key) != known.key_hash:
            return None
        if known.until is not None and self._clock() >= known.until:
            return None
        return known.caller

    async def authenticate(self, node_id: str | None, api_key: str | None) -> Caller:
        """Return the node that these credentials belong to.

        Raises
        ------
        InvalidCredentials
            If they belong to none.
        KeyRevoked
            If the operator has revoked them.
        """
        if not node_id or not api_key:
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

    async def _look_up(self, node_id: str, presented: str) -> Caller:
        keys = await self._database.read(partial(nodes.find_keys, node_id=node_id))
        if keys is None:
            raise InvalidCredentials(REFUSED)
        if presented == keys.pending_hash:
            await self._database.write(
                partial(self._promote, node_id=node_id, pending_hash=presented)
            )
            keys = NodeKeys(presented, None, keys.key_hash, None, False, keys.revoked_at)
        return self._judge(node_id, presented, keys)

    def _judge(self, node_id: str, presented: str, keys: NodeKeys) -> Caller:
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
        caller = Caller(node_id, keys.rotation_asked)
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        until = None if current else keys.previous_until
        self._known[node_id] = _Known(presented, caller, until)
        return caller

    def _promote(self, connection: Connection, *, node_id: str, pending_hash: str) -> None:
        nodes.promote_pending_key(connection, node_id, pending_hash, self._clock() + OVERLAP)

"""Operators: their tokens, and what they did."""

import re
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import (
    Forbidden,
    InvalidCredentials,
    InvalidInput,
    NameTaken,
    UnknownObject,
)
from boundless_skies.cloud.domain.keys import key_hash, key_matches, new_key
from boundless_skies.cloud.domain.operators import Operator, Role
from boundless_skies.cloud.domain.reading import shown
from boundless_skies.cloud.domain.times import Clock
from boundless_skies.cloud.storage import audit, sessions, settings, tokens
from boundless_skies.cloud.storage.audit import Deed
from boundless_skies.cloud.storage.database import Database
from boundless_skies.cloud.storage.tokens import Token

FIRST_TOKEN = "admin"  # noqa: S105 - a name
FIRST_FORM_SETTING = "operator_key_hash"
THE_CLOUD = Operator("the cloud", Role.ADMIN)
ENVIRONMENT = Operator("BOUNDLESS_ADMIN_KEY", Role.ADMIN)
USE_NOTED_S = 60.0
DEEDS_MAX = 1_000
"""How many deeds one answer holds at most."""
SESSION_LASTS = timedelta(hours=12)
"""A night, and the evening before it."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class OperatorService:
    """Knows operators by their tokens, and by the sessions that they began with them.

    Parameters
    ----------
    database : Database
        Where the tokens' hashes are kept.
    given_key : str or None
        An admin's key from the environment; it is never stored.
    clock : Clock
        The present instant.
    """

    def __init__(self, database: Database, given_key: str | None, clock: Clock) -> None:
        self._database = database
        self._given_hash = key_hash(given_key) if given_key else None
        self._clock = clock

    async def prepare(self) -> str | None:
        """Make sure that an admin can get in; return the token where it was made just now."""
        if self._given_hash is not None:
            return None
        made = new_key("operator")
        kept = await self._database.write(partial(self._make_first, hashed=key_hash(made)))
        return made if kept else None

    async def authenticate(self, key: str | None) -> Operator:
        """Return whose key this is.

        Raises
        ------
        InvalidCredentials
            If it is nobody's, or revoked.
        """
        if key and self._given_hash is not None and key_matches(key, self._given_hash):
            return ENVIRONMENT
        found = await self._find(key_hash(key)) if key else None
        if found is None or found.revoked_at is not None:
            raise InvalidCredentials("invalid admin key")
        return Operator(found.name, found.role)

    async def sign_in(self, key: str | None) -> str:
        """Begin a session on the pages; return its secret, which is told here and never again.

        Raises
        ------
        InvalidCredentials
            If the key is nobody's, or revoked.
        """
        operator = await self.authenticate(key)
        secret = new_key("session")
        job = partial(self._begin, operator=operator, hashed=self._session_hash(secret, operator))
        await self._database.write(job)
        return secret

    async def find_session(self, secret: str | None) -> Operator | None:
        """Return who is signed in with a session's secret; None where it has ended."""
        if not secret:
            return None
        hashes = [self._session_hash(secret, who) for who in (ENVIRONMENT, None)]
        return await self._database.read(partial(self._find_session, hashes=hashes))

    async def sign_out(self, secret: str) -> None:
        """End a session."""
        hashes = [self._session_hash(secret, who) for who in (ENVIRONMENT, None)]
        await self._database.write(partial(sessions.end, hashes=hashes))

    async def create_token(self, operator: Operator, name: Any, role: Any) -> str:
        """Make a token; it is told here and never again.

        Raises
        ------
        InvalidInput
            If the name or the role cannot be used.
        """
        operator.require(Role.ADMIN)
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name == ENVIRONMENT.name:
            raise InvalidInput(
                f"The name {shown(name)} cannot be used: letters, digits, '.', '_', '@' and '-', "
                "at most 64, beginning with a letter or digit; BOUNDLESS_ADMIN_KEY is taken."
            )
        if not isinstance(role, str) or role not in set(Role):
            raise InvalidInput(f"role {shown(role)} must be one of {', '.join(Role)}.")
        made = new_key("operator")
        job = partial(
            self._add, operator=operator, name=name, role=Role(role), hashed=key_hash(made)
        )
        await self._database.write(job)
        return made

    async def revoke_token(
        self, operator: Operator, name: str, *, even_the_last: bool = False
    ) -> None:
        """Revoke a token; it is refused everywhere from now on, and whoever is signed in with it.

        Parameters
        ----------
        operator : Operator
            Who revokes it.
        name : str
            The token's name.
        even_the_last : bool
            Also where no admin could get in any more but on the cloud's own machine.

        Raises
        ------
        UnknownObject
            If there is no valid token of this name.
        Forbidden
            If it is the last one of an admin, and no key comes from the environment.
        """
        operator.require(Role.ADMIN)
        keeps_one = not even_the_last and self._given_hash is None
        await self._database.write(
            partial(self._revoke, operator=operator, name=name, keeps_one=keeps_one)
        )

    async def list_tokens(self, operator: Operator) -> list[Token]:
        """Return every token, revoked ones too."""
        operator.require(Role.ADMIN)
        return await self._database.read(tokens.list_all)

    async def list_deeds(
        self, operator: Operator, limit: int, before_id: int | None = None
    ) -> list[Deed]:
        """Return what operators did, the newest first; those before a number."""
        operator.require(Role.ADMIN)
        return await self._database.read(
            partial(audit.list_newest, limit=limit, before_id=before_id)
        )

    async def _find(self, hashed: str) -> Token | None:
        found = await self._database.read(partial(tokens.find_by_hash, hashed=hashed))
        if found is not None and found.revoked_at is None:
            now, last = self._clock(), found.last_used_at
            if last is None or (now - last).total_seconds() > USE_NOTED_S:
                await self._database.write(partial(tokens.note_use, name=found.name, now=now))
        return found

    def _session_hash(self, secret: str, operator: Operator | None) -> str:
        """Return what is kept of a session; one of the environment's key ends with that key."""
        if operator == ENVIRONMENT:
            return key_hash(f"{secret} {self._given_hash}")
        return key_hash(secret)

    def _begin(self, connection: Connection, *, operator: Operator, hashed: str) -> None:
        now = self._clock()
        sessions.remove_expired(connection, now)
        sessions.add(connection, hashed, operator.name, now, now + SESSION_LASTS)

    def _find_session(self, connection: Connection, *, hashes: Sequence[str]) -> Operator | None:
        found = sessions.find(connection, hashes, self._clock())
        if found == ENVIRONMENT.name:
            return ENVIRONMENT
        token = tokens.find(connection, found) if found is not None else None
        if token is None or token.revoked_at is not None:
            return None
        return Operator(token.name, token.role)

    def _make_first(self, connection: Connection, *, hashed: str) -> bool:
        """Take over the first form's key, or make one, where there is no admin; tells if made."""
        if tokens.count_valid(connection, Role.ADMIN):
            return False
        before = settings.pop(connection, FIRST_FORM_SETTING)
        name = FIRST_TOKEN
        while tokens.find(connection, name) is not None:
            name += "+"
        by, now = THE_CLOUD, self._clock()
        tokens.add(connection, name, before or hashed, Role.ADMIN, by.name, now)
        audit.add(connection, by, "token.create", name, {"role": str(Role.ADMIN)}, now)
        return before is None

    def _add(
        self, connection: Connection, *, operator: Operator, name: str, role: Role, hashed: str
    ) -> None:
        if tokens.find(connection, name) is not None:
            raise NameTaken(f"There is a token {name!r} already, or was; choose another name.")
        now = self._clock()
        tokens.add(connection, name, hashed, role, operator.name, now)
        audit.add(connection, operator, "token.create", name, {"role": str(role)}, now)

    def _revoke(
        self, connection: Connection, *, operator: Operator, name: str, keeps_one: bool
    ) -> None:
        now = self._clock()
        if keeps_one and tokens.lock_valid(connection, Role.ADMIN) == [name]:
            raise Forbidden(
                f"{name!r} is the last valid token of an admin. Make another one first, or revoke "
                f"it on the cloud's machine: boundless cloud tokens revoke {name}"
            )
        if not tokens.revoke(connection, name, now):
            raise UnknownObject(
                f"There is no valid token {shown(name)}; `boundless cloud tokens list`."
            )
        sessions.end_all(connection, name)
        audit.add(connection, operator, "token.revoke", name, {}, now)

"""The operator's key."""

from functools import partial

from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import InvalidCredentials
from boundless_skies.cloud.domain.keys import key_hash, key_matches, new_key
from boundless_skies.cloud.storage import settings
from boundless_skies.cloud.storage.database import Database

SETTING = "operator_key_hash"


class OperatorService:
    """Knows the operator's key: the one that was handed in, else the one made at first start.

    Parameters
    ----------
    database : Database
        Where the hash of the made key is kept.
    given_key : str or None
        The key from the environment; it is never stored.
    """

    def __init__(self, database: Database, given_key: str | None) -> None:
        self._database = database
        self._hash = key_hash(given_key) if given_key else None

    async def prepare(self) -> str | None:
        """Make sure that there is a key; return it where it was made just now."""
        if self._hash is not None:
            return None
        made = new_key("operator")
        kept = await self._database.write(partial(_keep_first, hashed=key_hash(made)))
        self._hash = kept
        return made if kept == key_hash(made) else None

    def authenticate(self, key: str | None) -> None:
        """Check a key.

        Raises
        ------
        InvalidCredentials
            If it is not the operator's.
        """
        if not key or self._hash is None or not key_matches(key, self._hash):
            raise InvalidCredentials("invalid admin key")


def _keep_first(connection: Connection, *, hashed: str) -> str:
    held = settings.get(connection, SETTING)
    if held is None:
        settings.add(connection, SETTING, hashed)
    return held or hashed

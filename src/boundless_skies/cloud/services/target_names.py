"""Under which name a target is kept, from any name that a node writes."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from boundless_skies.cloud.domain.measurements import read_target_name
from boundless_skies.cloud.domain.times import Clock
from boundless_skies.cloud.storage import targets

KNOWN_MAX = 50_000


class TargetNames:
    """Remembers names that were looked up; forgets them when targets have changed.

    Parameters
    ----------
    clock : Clock
        The present instant.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, str] = {}
        self._generation = 0

    def ensure(self, connection: Connection, names: Sequence[str]) -> dict[str, str]:
        """Return the kept name of each, within a writing transaction that adds unknown ones."""
        wanted = list(dict.fromkeys(names))
        known = self._known
        found = {name: known[name] for name in wanted if name in known}
        missing = [name for name in wanted if name not in found]
        return found | targets.ensure(connection, missing, self._clock()) if missing else found

    def unknown(self, names: Iterable[str]) -> set[str]:
        """Return the names that were not looked up yet."""
        return {name for name in names if name not in self._known}

    def remember(self, kept: dict[str, str], generation: int) -> None:
        """Remember names once their transaction is committed, unless targets have changed since."""
        if generation != self._generation:
            return
        if len(self._known) + len(kept) > KNOWN_MAX:
            self._known = {}
        self._known |= kept

    @property
    def generation(self) -> int:
        """Counts up with each change of targets."""
        return self._generation

    def forget(self) -> None:
        """Forget everything: targets have changed."""
        self._generation += 1
        self._known = {}


def resolve_or_same(connection: Connection, name: str) -> str:
    """Return the name under which a target is kept; where nothing is known of it, as it came."""
    read = read_target_name(name)
    return targets.resolve(connection, read) or read

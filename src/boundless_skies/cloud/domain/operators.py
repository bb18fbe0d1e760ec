"""Who may do what to a cloud."""

from dataclasses import dataclass
from enum import StrEnum

from boundless_skies.cloud.domain.errors import Forbidden


class Role(StrEnum):
    """What an operator may do; each may do what those before it may."""

    READER = "reader"
    OPERATOR = "operator"
    ADMIN = "admin"


_ORDER = list(Role)


@dataclass(frozen=True)
class Operator:
    """Somebody who steers the cloud: the name of a token, or of a user of the cloud's machine."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Tell whether this operator may do what a role may."""
        return _ORDER.index(self.role) >= _ORDER.index(role)

    def require(self, role: Role) -> None:
        """Check that this operator may do what a role may.

        Raises
        ------
        Forbidden
            If not, with what would be needed.
        """
        if not self.may(role):
            raise Forbidden(
                f"The token {self.name!r} has the role {self.role}; this needs {role}. "
                "Ask an admin for a token with that role: boundless cloud tokens create"
            )

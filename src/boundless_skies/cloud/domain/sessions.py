"""Who is signed in to the operator's pages, and whether a form really came from them."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from boundless_skies.cloud.domain.errors import Forbidden
from boundless_skies.cloud.domain.keys import key_hash
from boundless_skies.cloud.domain.operators import Operator

COOKIE = "boundless_operator"
CSRF_FIELD = "csrf"


@dataclass(frozen=True)
class Session:
    """Somebody who is signed in; ``secret`` is what their browser proves it with."""

    operator: Operator
    secret: str

    @property
    def csrf(self) -> str:
        """What every form of this session carries, and nobody else's can."""
        return key_hash(f"csrf {self.secret}")

    def check_csrf(self, given: str) -> None:
        """Check that a form was ours.

        Raises
        ------
        Forbidden
            If it carries another session's token, or none.
        """
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self.csrf.encode()):
            raise Forbidden(
                "This form is from another session, or an old one. Open the page again and "
                "send it from there."
            )


def check_same_origin(headers: Mapping[str, str]) -> None:
    """Check that a form was sent from a page of ours, as far as the browser tells.

    ``Sec-Fetch-Site`` goes first: it holds behind proxies that change ``Host``, too.

    Parameters
    ----------
    headers : mapping
        The request's headers, by lower-case names.

    Raises
    ------
    Forbidden
        If another site's page sent it.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        ours = site in ("same-origin", "none")
    else:
        ours = origin is None or urlsplit(origin).netloc == headers.get("host", "")
    if not ours:
        raise Forbidden("This form was sent from another site's page, and so does nothing here.")

"""The cloud's calls: identity, JSON in and out, and what each answer means."""

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from threading import Event
from typing import TYPE_CHECKING, Any

from boundless_skies.wire.paths import API_KEY_HEADER
from cloud_communicator.board import StatusBoard
from cloud_communicator.config import fits_header
from cloud_communicator.errors import BadReply, CloudRefused, LinkFailure
from cloud_communicator.identity import Identity
from cloud_communicator.rhythm import Pauses, retry_after_s

if TYPE_CHECKING:
    from cloud_communicator.transport import Reply, Transport

log = logging.getLogger("cloud_communicator")

_SHOWN_CHARS = 300
_READ_CHARS = 4 * _SHOWN_CHARS
_SCANNED_BYTES = _READ_CHARS + 512  # so that a key is never cut before it is hidden
_HALF_A_SECOND = 0.5  # a Date header is cut to whole seconds; its middle is the best guess
_JSON = {"Content-Type": "application/json"}

REGISTRATION = "registration"
NOT_ADMITTED_S = 600.0
"""At least so long a node stays away that was not let in, so that no rate limit is hit."""

_UNKNOWN = (
    "the cloud does not take this node's node_id and api_key (401){said}. Check "
    "cloud.node_id and cloud.api_key, or ask the operator; to become a new node, "
    "move data/cloud_state.json away and restart."
)
_OTHER_KEY = (
    "the cloud does not take this node's key (401){said}. A change of keys was under way: "
    "the next call goes with the other one."
)
_REVOKED = (
    "the operator has revoked this node's key (401){said}. Ask the operator why; when there is "
    "a new key, set cloud.node_id and cloud.api_key to it and restart. Measurements wait here "
    "until then."
)
_NOT_ADMITTED = (
    "the cloud does not let this node in (403){said}. Get an activation code that holds from "
    "the operator, set cloud.activation_code and restart; until then the next try is in about "
    "10 minutes."
)


class CloudClient:
    """Calls to the cloud on behalf of one node.

    Parameters
    ----------
    transport : Transport
        Makes the calls.
    identity : Identity
        Gives the headers, and hides the key in what the cloud says.
    board : StatusBoard
        Is told that the cloud was reached, and the clock's skew.
    pauses : Pauses
        Is told the cloud's ``Retry-After``, by kind of call.
    timeout_s : float
        Time for sending and the answer.
    now : callable
        Gives the present time (aware).
    """

    def __init__(
        self,
        transport: "Transport",
        identity: Identity,
        board: StatusBoard,
        pauses: Pauses,
        timeout_s: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._transport = transport
        self._identity = identity
        self._board = board
        self._pauses = pauses
        self._timeout_s = timeout_s
        self._now = now
        self._last_date: str | None = None

    def rests(self, kind: str) -> bool:
        """Tell whether the cloud asked for a pause of this kind of call."""
        return self._pauses.left_s(kind) > 0

    def get(
        self, path: str, kind: str, cancel: Event | None = None, wait_s: float | None = None
    ) -> Any:
        """GET a path.

        Parameters
        ----------
        path : str
            Path below the base URL.
        kind : str
            Kind of call, under which a ``Retry-After`` is kept.
        cancel : threading.Event, optional
            Ends the call when set.
        wait_s : float, optional
            How long the cloud may hold the call. Such a call is made once: what cuts
            it off cuts off the whole fleet's, and those must not all come again at once.

        Returns
        -------
        Any
            The answer's JSON; None if its body is empty.

        Raises
        ------
        LinkFailure
            If there is no answer, or none of status 2xx with JSON in it.
        """
        headers = self._identity.headers()
        timeout_s = self._timeout_s + (wait_s or 0)
        again = wait_s is None
        reply = self._call(
            "GET", path, headers=headers, timeout_s=timeout_s, cancel=cancel, again=again
        )
        return self._json(reply, kind, headers)

    def get_news(
        self, path: str, kind: str, version: str | None, cancel: Event | None = None
    ) -> tuple[Any, str | None] | None:
        """GET a path if it has changed.

        Parameters
        ----------
        path : str
            Path below the base URL.
        kind : str
            Kind of call, under which a ``Retry-After`` is kept.
        version : str or None
            The ``ETag`` that came with what is known.
        cancel : threading.Event, optional
            Ends the call when set.

        Returns
        -------
        tuple of Any and (str or None), or None
            The answer's JSON and its ``ETag``; None if nothing has changed.

        Raises
        ------
        LinkFailure
            If there is no answer, or none of status 2xx with JSON in it.
        """
        headers = self._identity.headers()
        asked = headers if version is None else {**headers, "If-None-Match": version}
        reply = self._call("GET", path, headers=asked, timeout_s=self._timeout_s, cancel=cancel)
        if version is not None and reply.status == HTTPStatus.NOT_MODIFIED:
            self._answered(reply)
            return None
        tag = reply.headers.get("etag")
        return self._json(reply, kind, headers), tag if tag and fits_header(tag) else None

    def post(
        self,
        path: str,
        kind: str,
        body: bytes,
        *,
        headers: dict[str, str] | None = None,
        anonymous: bool = False,
        total_s: float | None = None,
        cancel: Event | None = None,
    ) -> Any:
        """POST JSON bytes.

        Parameters
        ----------
        path : str
            Path below the base URL.
        kind : str
            Kind of call, under which a ``Retry-After`` is kept.
        body : bytes
            JSON.
        headers : dict, optional
            Further headers.
        anonymous : bool
            Leave the node's identity out (registration).
        total_s : float, optional
            Bound on the whole call.
        cancel : threading.Event, optional
            Ends the call when set.

        Returns
        -------
        Any
            The answer's JSON; None if its body is empty.

        Raises
        ------
        LinkFailure
            If there is no answer, or none of status 2xx with JSON in it.
        """
        identity = {} if anonymous else self._identity.headers()
        reply = self._call(
            "POST",
            path,
            headers={**_JSON, **identity, **(headers or {})},
            body=body,
            timeout_s=self._timeout_s,
            total_s=total_s,
            cancel=cancel,
        )
        return self._json(reply, kind, identity)

    def upload(
        self,
        path: str,
        kind: str,
        body: Any,
        headers: dict[str, str],
        *,
        total_s: float,
        cancel: Event | None = None,
    ) -> Any:
        """POST a readable body of known length; returns the JSON, raises LinkFailure."""
        identity = self._identity.headers()
        reply = self._call(
            "POST",
            path,
            headers={**identity, **headers},
            body=body,
            timeout_s=total_s,
            total_s=total_s,
            cancel=cancel,
        )
        return self._json(reply, kind, identity)

    def _call(self, method: str, path: str, **options: Any) -> "Reply":
        try:
            return self._transport.call(method, path, **options)
        except LinkFailure as failure:
            failure.args = (self._one_line(str(failure)),)  # it may quote what the peer said
            raise

    def _answered(self, reply: "Reply") -> None:
        self._board.answered()
        self._note_skew(reply.headers.get("date"))

    def _json(self, reply: "Reply", kind: str, identity: dict[str, str]) -> Any:
        self._answered(reply)
        key = identity.get(API_KEY_HEADER, "")
        if not HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
            raise self._refusal(reply, kind, key)
        if not reply.body.strip():
            return None
        value = self._object(reply, kind)
        self._identity.worked(key)
        return value

    def _object(self, reply: "Reply", kind: str) -> Any:
        try:
            value = json.loads(reply.body)
        except (ValueError, RecursionError):
            raise BadReply(
                f"The answer to {kind} is no JSON ({self.shown(reply.body)}). "
                "Is this the cloud, or a log-in page of the network?"
            ) from None
        if not isinstance(value, dict):
            raise BadReply(
                f"The answer to {kind} is no JSON object ({self.shown(reply.body)}). "
                "Is cloud.url the address of the cloud?"
            )
        if value.get("ok") is False:
            raise CloudRefused(
                f"The cloud refused {kind}: {self.shown(reply.body)}",
                HTTPStatus.UNPROCESSABLE_ENTITY,
                self.shown(reply.body),
                None,
            )
        return value

    def _refusal(self, reply: "Reply", kind: str, key: str) -> CloudRefused:
        wait_s = retry_after_s(reply.headers.get("retry-after"), self._now)
        if reply.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            self._pauses.rest(kind, wait_s)
        shown = self.shown(reply.body)
        said = f" ({shown})" if shown else ""
        if reply.status == HTTPStatus.UNAUTHORIZED:
            advice = self._unauthorized(reply, said, key)
        elif kind == REGISTRATION and _is_no(reply):
            self._pauses.rest(kind, max(NOT_ADMITTED_S, wait_s or 0))
            advice = _NOT_ADMITTED.format(said=said)
        else:
            advice = self._advice(reply, said)
        return CloudRefused(f"{kind}: {advice}", reply.status, shown, wait_s)

    def _unauthorized(self, reply: "Reply", said: str, key: str) -> str:
        has_another = self._identity.refused(key)
        if _object_in(reply.body).get("reason") == "revoked":
            return _REVOKED.format(said=said)
        return (_OTHER_KEY if has_another else _UNKNOWN).format(said=said)

    def _advice(self, reply: "Reply", said: str) -> str:
        if HTTPStatus.MULTIPLE_CHOICES <= reply.status < HTTPStatus.BAD_REQUEST:
            target = self._one_line(reply.headers.get("location", "elsewhere"))
            return (
                f"the cloud sends us on to {target} ({reply.status}). The key goes to no other "
                "address by itself; if that one is right, set cloud.url to it."
            )
        return f"the cloud answered {reply.status}{said}."

    def shown(self, body: bytes) -> str:
        """Return the gist of an answer on one line, without secrets."""
        text = self._identity.hide(body[:_SCANNED_BYTES].decode("utf-8", "replace"))[:_READ_CHARS]
        error = _object_in(body).get("error")
        return self._one_line(error if isinstance(error, str) else text)

    def _one_line(self, text: str) -> str:
        text = "".join(ch if ch.isprintable() else " " for ch in self._identity.hide(text))
        return " ".join(text.split())[:_SHOWN_CHARS]

    def _note_skew(self, date: str | None) -> None:
        if date is None or date == self._last_date:
            return
        self._last_date = date
        with suppress(ValueError, TypeError, OverflowError):
            moment = parsedate_to_datetime(date)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            skew_s = (self._now() - moment).total_seconds() - _HALF_A_SECOND
            self._board.put(clock_skew_s=round(skew_s, 1))


def _object_in(body: bytes) -> dict[str, Any]:
    """Return an answer's JSON object; an empty one if it is none."""
    with suppress(ValueError, RecursionError):
        value = json.loads(body)
        if isinstance(value, dict):
            return value
    return {}


def _is_no(reply: "Reply") -> bool:
    """Tell whether this is the cloud's own no, and not that of a network's log-in page."""
    said_why = isinstance(_object_in(reply.body).get("error"), str)
    return reply.status == HTTPStatus.FORBIDDEN and said_why

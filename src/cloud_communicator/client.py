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

from cloud_communicator.board import StatusBoard
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

    def get(self, path: str, kind: str, cancel: Event | None = None) -> Any:
        """GET a path; returns its JSON, raises LinkFailure."""
        reply = self._call(
            "GET", path, headers=self._identity.headers(), timeout_s=self._timeout_s, cancel=cancel
        )
        return self._json(reply, kind)

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
        return self._json(reply, kind)

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
        reply = self._call(
            "POST",
            path,
            headers={**self._identity.headers(), **headers},
            body=body,
            timeout_s=total_s,
            total_s=total_s,
            cancel=cancel,
        )
        return self._json(reply, kind)

    def _call(self, method: str, path: str, **options: Any) -> "Reply":
        try:
            return self._transport.call(method, path, **options)
        except LinkFailure as failure:
            failure.args = (self._one_line(str(failure)),)  # it may quote what the peer said
            raise

    def _json(self, reply: "Reply", kind: str) -> Any:
        self._board.answered()
        self._note_skew(reply.headers.get("date"))
        if not HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
            raise self._refusal(reply, kind)
        if not reply.body.strip():
            return None
        try:
            value = json.loads(reply.body)
        except (ValueError, RecursionError):
            raise BadReply(
                f"The answer to {kind} is no JSON ({self._shown(reply.body)}). "
                "Is this the cloud, or a log-in page of the network?"
            ) from None
        if not isinstance(value, dict):
            raise BadReply(
                f"The answer to {kind} is no JSON object ({self._shown(reply.body)}). "
                "Is cloud.url the address of the cloud?"
            )
        if value.get("ok") is False:
            raise CloudRefused(
                f"The cloud refused {kind}: {self._shown(reply.body)}",
                HTTPStatus.UNPROCESSABLE_ENTITY,
                self._shown(reply.body),
                None,
            )
        return value

    def _refusal(self, reply: "Reply", kind: str) -> CloudRefused:
        wait_s = retry_after_s(reply.headers.get("retry-after"), self._now)
        if reply.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            self._pauses.rest(kind, wait_s)
        shown = self._shown(reply.body)
        return CloudRefused(f"{kind}: {self._advice(reply, shown)}", reply.status, shown, wait_s)

    def _advice(self, reply: "Reply", shown: str) -> str:
        said = f" ({shown})" if shown else ""
        if reply.status == HTTPStatus.UNAUTHORIZED:
            return (
                f"the cloud does not take this node's node_id and api_key (401){said}. Check "
                "cloud.node_id and cloud.api_key, or ask the operator; to become a new node, "
                "move data/cloud_state.json away and restart."
            )
        if HTTPStatus.MULTIPLE_CHOICES <= reply.status < HTTPStatus.BAD_REQUEST:
            target = self._one_line(reply.headers.get("location", "elsewhere"))
            return (
                f"the cloud sends us on to {target} ({reply.status}). The key goes to no other "
                "address by itself; if that one is right, set cloud.url to it."
            )
        return f"the cloud answered {reply.status}{said}."

    def _shown(self, body: bytes) -> str:
        """Return the gist of an answer on one line, without secrets."""
        text = self._identity.hide(body[:_SCANNED_BYTES].decode("utf-8", "replace"))[:_READ_CHARS]
        with suppress(ValueError, RecursionError):
            value = json.loads(body)
            if isinstance(value, dict) and isinstance(value.get("error"), str):
                text = value["error"]
        return self._one_line(text)

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

"""A new key, when the cloud asks for one: never locked out, whatever is lost on the way."""

import logging
from threading import Event
from typing import Any

from boundless_skies.wire.features import KEYS_ROTATE
from boundless_skies.wire.paths import NODE_KEY
from cloud_communicator.board import StatusBoard
from cloud_communicator.client import CloudClient
from cloud_communicator.errors import Cancelled, LinkFailure
from cloud_communicator.identity import STATE_NAME, Identity

log = logging.getLogger("cloud_communicator")

KIND = "key rotation"


class KeyRotation:
    """Fetches a new key when a heartbeat's reply asks for it.

    Parameters
    ----------
    client : CloudClient
        Makes the call.
    identity : Identity
        Keeps the keys.
    board : StatusBoard
        Shows what the owner has to do.
    """

    def __init__(self, client: CloudClient, identity: Identity, board: StatusBoard) -> None:
        self._client = client
        self._identity = identity
        self._board = board

    def follow(self, reply: Any, stop: Event) -> None:
        """Do what a heartbeat's reply asks for; what fails is tried after the next beat.

        Parameters
        ----------
        reply : Any
            The reply's JSON.
        stop : threading.Event
            Ends the call.
        """
        asked = isinstance(reply, dict) and reply.get("rotate_key") is True
        if not (asked and self._board.can(KEYS_ROTATE)):
            self._board.cleared(KIND)
        elif fixed_by := self._identity.fixed_by:
            self._tell(
                f"The cloud asks for a new key, but this node's stands in {fixed_by}, which the "
                "link cannot change. Ask the operator for a new key and set it there; or write "
                f"node_id and api_key into {STATE_NAME} in the data folder instead, where the "
                "link renews the key by itself."
            )
        elif not self._client.rests(KIND):
            self._rotate(stop)

    def _rotate(self, stop: Event) -> None:
        try:
            self._identity.rotate(self._client.post(NODE_KEY, KIND, b"{}", cancel=stop))
        except Cancelled:
            return
        except LinkFailure as failure:
            self._tell(failure)
        except OSError as error:
            self._tell(
                f"The new key cannot be saved ({error.strerror or error}); the present one goes "
                "on. Free space or mend the data folder; it is tried again after the next beat."
            )
        else:
            self._board.cleared(KIND)
            log.info("The cloud gave this node a new key; it is saved.")

    def _tell(self, error: LinkFailure | str) -> None:
        news = self._board.failed(KIND, error)
        log.log(logging.WARNING if news else logging.DEBUG, "%s", error)

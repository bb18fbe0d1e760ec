"""The ``status`` dict, kept true by one writer at a time."""

from contextlib import suppress
from threading import Lock
from typing import Any

from cloud_communicator.errors import NoConnection, TimedOut

_NETWORK = "network"


class StatusBoard:
    """Owner of the plain dict that the program around the link reads.

    An error stands until its own cause is gone: a plan that cannot be read is
    not forgotten because a heartbeat went well. Only the lack of a connection is
    everybody's, and over with the first call that is answered.

    Attributes
    ----------
    status : dict
        The documented dict, the same object for life.
    """

    def __init__(self) -> None:
        self.status: dict[str, Any] = {
            "registered": False,
            "last_heartbeat_ok": None,
            "last_heartbeat_at": None,
            "last_plan_id": None,
            "last_plan_night": None,
            "plan_items": 0,
            "queued_uploads": 0,
            "error": None,
            "node_id": None,
            "accepted": 0,
            "delivered": 0,
            "evicted": 0,
            "rejected": 0,
            "dropped": 0,
            "damaged": 0,
            "unsaved_uploads": 0,
            "queued_images": 0,
            "queued_events": 0,
            "evicted_events": 0,
            "rejected_events": 0,
            "damaged_events": 0,
            "interrupts_unacked": 0,
            "clock_skew_s": None,
            "features": [],
        }
        self._errors: dict[str, str] = {}
        self._lock = Lock()

    def put(self, **values: Any) -> None:
        """Set some keys."""
        self.status.update(values)

    def add(self, key: str) -> None:
        """Count one more."""
        with self._lock:
            self.status[key] += 1

    def can(self, feature: str) -> bool:
        """Tell whether the cloud has said that it has a feature."""
        return feature in self.status["features"]

    def failed(self, source: str, error: Exception | str) -> bool:
        """Show an error until `cleared` is called for the same source; tells whether it is news."""
        if isinstance(error, NoConnection | TimedOut):
            source = _NETWORK
        with self._lock:
            before = self._errors.pop(source, None)  # the newest stands last
            self._errors[source] = str(error)
            self.status["error"] = str(error)
        return before != str(error)

    def cleared(self, source: str) -> None:
        """Take an error off the board, once its cause is gone."""
        with self._lock:
            if self._errors:
                with suppress(KeyError):
                    del self._errors[source]
                self.status["error"] = next(reversed(self._errors.values()), None)

    def answered(self) -> None:
        """Note that the cloud was reached, whatever it said."""
        self.cleared(_NETWORK)

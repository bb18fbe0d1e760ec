"""Everything that the link raises, and the failures it tells in ``status["error"]``.

::

    LinkError
    ├── LinkRefusal                 the rules said no; calling again changes nothing
    │   ├── ConfigError             a config block or value that cannot be meant
    │   ├── InvalidMeasurement      a measurement that has no JSON form
    │   ├── InvalidEvent            an event that is not in the form of the wire
    │   └── LinkAlreadyRunning      another link works in this data folder
    └── LinkFailure                 a call did not arrive, or its answer did not
        ├── NoConnection            no way to the cloud: name, route, refusal, certificate
        │   └── InsecureTransport   the key would travel readable to a public host
        ├── TimedOut                the call's whole time was used up
        ├── ConnectionBroken        the connection ended in the middle of a call
        ├── WaitCutOff              a call that the cloud was to hold was not held
        ├── Cancelled               the link is being stopped
        ├── BadReply                an answer that no cloud of this protocol gives
        └── CloudRefused            an answer with a status other than 2xx
"""


class LinkError(Exception):
    """Base of all errors of the link."""


class LinkRefusal(LinkError):  # noqa: N818 - a family, told apart from failures
    """The rules said no."""


class ConfigError(LinkRefusal, ValueError):
    """A config block or value that cannot be meant."""


class InvalidMeasurement(LinkRefusal, ValueError):  # noqa: N818 - the name says the fault
    """A measurement that has no JSON form."""


class InvalidEvent(LinkRefusal, ValueError):  # noqa: N818 - the name says the fault
    """An event that is not in the form of the wire."""


class LinkAlreadyRunning(LinkRefusal, RuntimeError):  # noqa: N818 - the contract's name
    """Another link works in this data folder."""


class LinkFailure(LinkError):  # noqa: N818 - a family, told apart from refusals
    """A call did not arrive, or its answer did not."""


class NoConnection(LinkFailure):
    """There is no way to the cloud now."""


class InsecureTransport(NoConnection):
    """The key would travel readable to a public host."""


class TimedOut(LinkFailure):
    """The call's whole time was used up."""


class ConnectionBroken(LinkFailure):
    """The connection ended in the middle of a call."""


class WaitCutOff(LinkFailure):
    """A call that the cloud was to hold ended as where proxies or clouds hold none."""


class Cancelled(LinkFailure):
    """The link is being stopped."""


class BadReply(LinkFailure):
    """An answer that no cloud of this protocol gives."""


class CloudRefused(LinkFailure):
    """The cloud answered with a status other than 2xx.

    Attributes
    ----------
    status : int
        HTTP status.
    reply : str
        Beginning of the answer, on one line, without secrets.
    retry_after_s : float or None
        Seconds that the cloud asks to wait, where it does.
    """

    def __init__(self, message: str, status: int, reply: str, retry_after_s: float | None) -> None:
        super().__init__(message)
        self.status = status
        self.reply = reply
        self.retry_after_s = retry_after_s

"""The cloud's errors: one base, two families.

::

    CloudError
    ├── Refusal               the rules said no
    │   ├── InvalidInput      a value is missing, of the wrong type or out of its range
    │   │   └── NameTaken     there is something else of this name already
    │   ├── InvalidCredentials  a node's or an operator's key is wrong
    │   │   ├── KeyRevoked    a node's key was right, until an operator revoked it
    │   │   └── NotSignedIn   an operator's page was asked for without a session
    │   ├── Forbidden         this operator, or this registration, may not do that
    │   ├── UnknownObject     no such node, plan, interrupt
    │   ├── KeyReused         an idempotency key came back with another content
    │   ├── TooLarge          more bytes or items than the limit
    │   └── UnsupportedForm   a media type or an encoding that is not spoken here
    └── Unavailable           the call did not get through; trying again later is right
        └── TooMany           more calls than the limit; trying again later is right
"""


class CloudError(Exception):
    """Base of everything that the cloud raises on purpose."""


class Refusal(CloudError):  # noqa: N818 - named after what happened
    """The rules said no; the same request will be refused again."""


class InvalidInput(Refusal):
    """A value is missing, of the wrong type, or out of its range."""


class NameTaken(InvalidInput):
    """There is something else of this name already."""


class InvalidCredentials(Refusal):
    """A node's or an operator's key is wrong."""


class KeyRevoked(InvalidCredentials):
    """A node's key was right until an operator revoked it."""


class NotSignedIn(InvalidCredentials):
    """An operator's page was asked for by somebody who is not signed in, or no longer."""


class Forbidden(Refusal):
    """Not for this operator, or no such registration is taken here."""


class UnknownObject(Refusal):
    """There is no such node, plan or interrupt."""


class KeyReused(Refusal):
    """An idempotency key came back with another content."""


class TooLarge(Refusal):
    """The request holds more bytes or items than the limit."""


class UnsupportedForm(Refusal):
    """The request comes in a media type or an encoding that is not spoken here."""


class Unavailable(CloudError):  # noqa: N818 - named after what happened
    """The cloud cannot take the request now; it may be sent again.

    Parameters
    ----------
    message : str
        What failed.
    retry_after_s : int
        When to try again, in seconds.
    """

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooMany(Unavailable):
    """More calls in a short time than the limit for this address or node."""

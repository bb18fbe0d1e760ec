"""What a device refuses, and what does not reach it, as a tree.

::

    NodeError
    ├── DeviceError
    │   ├── DeviceRefused       the sky, the mount or its driver said no
    │   └── DeviceUnreachable   the call did not arrive, or no answer that can be read came back
    └── Stopped                 the caller asked to stop while a device was at work

A refusal stands however often it is asked again; what is unreachable may be there a moment
later. Whatever a device was told to do when the call got lost, it may be doing.
"""

from boundless_skies.node.errors import NodeError


class DeviceError(NodeError):
    """A device did not do what it was asked.

    Attributes
    ----------
    device : str
        Which one, in an owner's words (``mount``, ``camera``).
    """

    def __init__(self, message: str, *, device: str = "") -> None:
        super().__init__(message)
        self.device = device


class DeviceRefused(DeviceError):  # noqa: N818 - the name says the fault
    """The sky, the mount or its driver said no.

    Attributes
    ----------
    number : int or None
        The driver's own error number; None where the node refused by itself, before the device
        was asked.
    """

    def __init__(self, message: str, *, device: str = "", number: int | None = None) -> None:
        super().__init__(message, device=device)
        self.number = number


class DeviceUnreachable(DeviceError):  # noqa: N818 - the name says the fault
    """The call did not arrive, or nothing that can be read came back.

    Attributes
    ----------
    status : int or None
        The HTTP status of the answer, where there was one that is no success.
    """

    def __init__(self, message: str, *, device: str = "", status: int | None = None) -> None:
        super().__init__(message, device=device)
        self.status = status


class Stopped(NodeError):  # noqa: N818 - no fault of anything: the caller asked for it
    """The caller asked to stop, and the device was told to let go of what it did."""

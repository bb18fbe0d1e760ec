"""What the node refuses, as a tree.

::

    NodeError
    ├── WrongSetting                a key of the config holds what it cannot mean
    └── FrameError                  this frame gives no measurement
        ├── UnreadableFrame         the file is no FITS image, or lacks a fact that is needed
        │   └── TruncatedFrame      the end of the file is missing
        ├── FrameNotCalibrated      a dark, flat or bias does not fit to it
        ├── NotSolved               where the frame points could not be found
        ├── NoTarget                neither the caller, nor the config, nor the header names one
        ├── TargetOutsideFrame      the target's position lies outside the image
        ├── TargetNotDetected       nothing is seen at the target's position
        └── NoComparisonStars       too few catalogue stars to tie the magnitude to

Every message is one sentence or two: what failed, the value against its limit,
and what to do. The values are attributes too.
"""

from typing import Any


class NodeError(Exception):
    """Base of all errors of the node."""


class WrongSetting(NodeError):  # noqa: N818 - the name says the fault
    """A key of the config holds what it cannot mean.

    Attributes
    ----------
    key : str
        Its name with its block's.
    value : Any
        What it holds.
    """

    def __init__(self, key: str, value: Any, wanted: str) -> None:
        super().__init__(f"{key} is {value!r}: it must be {wanted}. Correct it in the config.")
        self.key = key
        self.value = value


class FrameError(NodeError):
    """A frame that gives no measurement.

    Attributes
    ----------
    values : dict of str to Any
        The facts that the message speaks of, by name with unit.
    """

    def __init__(self, message: str, **values: Any) -> None:
        super().__init__(message)
        self.values = values


class UnreadableFrame(FrameError):  # noqa: N818 - the name says the fault
    """The file is no FITS image, or lacks a fact that a measurement needs."""


class TruncatedFrame(UnreadableFrame):
    """The end of the file is missing."""


class FrameNotCalibrated(FrameError):  # noqa: N818 - the name says the fault
    """A dark, flat or bias does not fit to the frame."""


class NotSolved(FrameError):  # noqa: N818 - the name says the fault
    """Where the frame points could not be found."""


class NoTarget(FrameError):  # noqa: N818 - the name says the fault
    """Neither the caller, nor the config, nor the header names a target."""


class TargetOutsideFrame(FrameError):  # noqa: N818 - the name says the fault
    """The target's position lies outside the image."""


class TargetNotDetected(FrameError):  # noqa: N818 - the name says the fault
    """Nothing is seen at the target's position."""


class NoComparisonStars(FrameError):  # noqa: N818 - the name says the fault
    """Too few catalogue stars to tie the magnitude to."""

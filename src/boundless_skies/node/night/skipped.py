"""The frames that gave no point, by what was wrong with them."""

from collections.abc import Sequence
from dataclasses import dataclass

from boundless_skies.node.errors import (
    FrameError,
    FrameNotCalibrated,
    NoComparisonStars,
    NoTarget,
    NotSolved,
    TargetNotDetected,
    TargetOutsideFrame,
    TruncatedFrame,
    UnreadableFrame,
)
from boundless_skies.node.night.run import SkippedFrame

# What is wrong, and what to do about it where many frames have it.
_ADVICE: dict[type[FrameError] | None, tuple[str, str]] = {
    TruncatedFrame: (
        "incomplete file",
        "copy it from the telescope again; the end of the file is missing.",
    ),
    UnreadableFrame: (
        "unreadable file",
        "name only the raw frames, as the camera wrote them: no pictures, tables or logs.",
    ),
    FrameNotCalibrated: (
        "a dark, flat or bias does not fit",
        "take them as the line above says, or leave them out.",
    ),
    NotSolved: (
        "not solved: where it points could not be found",
        "look for clouds, trailed stars or focus; say where it points with --ra and --dec.",
    ),
    NoTarget: (
        "no target named",
        "say which star with --target, --ra and --dec, in degrees (J2000).",
    ),
    TargetOutsideFrame: (
        "target outside of the frame",
        "compare the target's position with where the telescope points.",
    ),
    TargetNotDetected: (
        "target not seen",
        "check its position; for a star this faint, expose longer or stack.",
    ),
    NoComparisonStars: (
        "too few comparison stars",
        "look for clouds; with a small field, expose longer.",
    ),
    None: (
        "unexpected fault",
        "try the frame alone; where it fails again, tell us, with the line above.",
    ),
}


@dataclass(frozen=True, kw_only=True)
class SkippedGroup:
    """Frames with the same fault.

    Attributes
    ----------
    fault : str
        What is wrong, in a few words.
    frames : tuple of SkippedFrame
        At least one.
    advice : str
        What to do.
    """

    fault: str
    frames: tuple[SkippedFrame, ...]
    advice: str


def grouped(skipped: Sequence[SkippedFrame]) -> list[SkippedGroup]:
    """Return skipped frames by what was wrong with them, the largest group first.

    Parameters
    ----------
    skipped : sequence of SkippedFrame
        In any order.

    Returns
    -------
    list of SkippedGroup
        Every frame stands in one of them.
    """
    by_fault: dict[type[FrameError] | None, list[SkippedFrame]] = {}
    for frame in skipped:
        by_fault.setdefault(_known(frame.fault), []).append(frame)
    groups = [
        SkippedGroup(fault=_ADVICE[fault][0], frames=tuple(frames), advice=_ADVICE[fault][1])
        for fault, frames in by_fault.items()
    ]
    return sorted(groups, key=lambda group: len(group.frames), reverse=True)


def _known(fault: type[FrameError] | None) -> type[FrameError] | None:
    """Return the nearest fault that has an advice; None where none has."""
    ancestors = fault.__mro__ if fault is not None else ()
    return next((kind for kind in ancestors if kind in _ADVICE), None)

"""Skipped frames, told by what was wrong with them."""

from pathlib import Path

import pytest

from boundless_skies.node import errors
from boundless_skies.node.night.run import SkippedFrame
from boundless_skies.node.night.skipped import grouped


def skipped(name: str, fault: type[errors.FrameError] | None) -> SkippedFrame:
    """Make a skipped frame."""
    return SkippedFrame(path=Path(name), reason="why.", fault=fault)


def test_largest_group_comes_first_and_no_frame_is_lost() -> None:
    """A night's clouds before a single torn file."""
    frames = [skipped("torn", errors.TruncatedFrame), skipped("odd", None)]
    frames += [skipped(f"cloud {index}", errors.NotSolved) for index in range(3)]
    groups = grouped(frames)
    assert [len(group.frames) for group in groups] == [3, 1, 1]
    assert groups[0].fault.startswith("not solved")
    assert {frame.path.name for group in groups for frame in group.frames} == {
        frame.path.name for frame in frames
    }


@pytest.mark.parametrize(
    "fault",
    [
        fault
        for fault in vars(errors).values()
        if isinstance(fault, type) and issubclass(fault, errors.FrameError)
    ],
)
def test_every_fault_has_an_advice_of_its_own(fault: type[errors.FrameError]) -> None:
    """A new error must say what to do about it; only the base is unexpected."""
    (group,) = grouped([skipped("a", fault)])
    assert group.advice.endswith(".")
    assert (group.fault == "unexpected fault") is (fault is errors.FrameError)

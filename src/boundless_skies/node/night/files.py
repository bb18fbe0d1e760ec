"""Writing a file so that no half of one is ever seen."""

import os
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write a file beside its place and move it there once it is whole.

    Parameters
    ----------
    path : Path
        Where to; a file that is there is replaced.
    content : bytes
        All of it.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def numbered(path: Path, index: int) -> Path:
    """Return the path for the next of several files: plot.png, plot-2.png, plot-3.png.

    Parameters
    ----------
    path : Path
        The first one's.
    index : int
        Counted from 0.

    Returns
    -------
    Path
        In the same folder.
    """
    return path if index == 0 else path.with_stem(f"{path.stem}-{index + 1}")

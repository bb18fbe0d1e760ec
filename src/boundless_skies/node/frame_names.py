"""Which files are frames, told from their names."""

import fnmatch
from collections.abc import Iterable


def is_frame_name(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether a file is a frame.

    Parameters
    ----------
    name : str
        File name without folders.
    patterns : iterable of str
        ``image_watcher.patterns`` of the config.

    Returns
    -------
    bool
        Whether a pattern fits, whatever the capitals; never for a hidden file.
    """
    low = name.lower()
    return not low.startswith(".") and any(
        fnmatch.fnmatchcase(low, pattern.lower()) for pattern in patterns
    )

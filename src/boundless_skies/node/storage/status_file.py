"""What a running node says of itself, for ``boundless node status`` to read."""

import json
import os
from pathlib import Path
from typing import Any

FILE_NAME = "node_status.json"


def write_status(folder: Path, status: dict[str, Any]) -> None:
    """Replace the status file in one step; readable by its owner only.

    Not fsynced: it is rewritten all the time, and worth nothing after a power cut.

    Parameters
    ----------
    folder : Path
        The data folder.
    status : dict
        A JSON object.
    """
    draft = folder / f"{FILE_NAME}.new"
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        json.dump(status, stream, default=str)
    draft.replace(folder / FILE_NAME)


def read_status(folder: Path) -> dict[str, Any] | None:
    """Read the status file; None where there is none, or none that can be read."""
    try:
        status = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return status if isinstance(status, dict) else None

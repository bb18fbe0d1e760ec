"""The files that pages load: our own, and the plotting library of an installed package.

Nothing comes from another server. The plotting library is some megabytes of
JavaScript that the ``plotly`` package carries; it is found without importing
that package, and read and packed only when a browser first asks for it.
"""

import gzip
import hashlib
import threading
from dataclasses import dataclass
from importlib import metadata, resources, util
from pathlib import Path

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PLOT_LIBRARY = "plotly.min.js"
VERSION_CHARS = 12
GZIP_LEVEL = 6


@dataclass(frozen=True)
class Asset:
    """A file as it is served."""

    content: bytes
    packed: bytes
    media_type: str
    version: str


class AssetShelf:
    """All files below ``/static``."""

    def __init__(self) -> None:
        folder = resources.files("boundless_skies.cloud.pages") / "static"
        self._own = {
            entry.name: _make_asset(entry.name, entry.read_bytes()) for entry in folder.iterdir()
        }
        self._plot_library_file = _find_plot_library()
        self._plot_library: Asset | None = None
        self._lock = threading.Lock()

    def find(self, name: str) -> Asset | None:
        """Return a file, None where there is none of that name; the first call may take long."""
        if name == PLOT_LIBRARY:
            return self._load_plot_library()
        return self._own.get(name)

    def url(self, name: str) -> str:
        """Return a file's path with its version, so that browsers may keep it for good."""
        if name == PLOT_LIBRARY:
            version = metadata.version("plotly") if self._plot_library_file else "missing"
        else:
            version = self._own[name].version
        return f"/static/{name}?v={version}"

    def _load_plot_library(self) -> Asset | None:
        with self._lock:
            if self._plot_library is None and self._plot_library_file is not None:
                content = self._plot_library_file.read_bytes()
                self._plot_library = _make_asset(PLOT_LIBRARY, content)
            return self._plot_library


def _find_plot_library() -> Path | None:
    found = util.find_spec("plotly")
    if found is None or found.origin is None:
        return None
    file = Path(found.origin).parent / "package_data" / PLOT_LIBRARY
    return file if file.is_file() else None


def _make_asset(name: str, content: bytes) -> Asset:
    return Asset(
        content=content,
        packed=gzip.compress(content, GZIP_LEVEL, mtime=0),
        media_type=MEDIA_TYPES.get(Path(name).suffix, "application/octet-stream"),
        version=hashlib.sha256(content).hexdigest()[:VERSION_CHARS],
    )

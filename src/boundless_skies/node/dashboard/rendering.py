"""Templates and the files that pages load; every value is escaped."""

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from boundless_skies import __version__
from boundless_skies.node.dashboard.words import ago, clock, counted, day_clock, iso, span, until

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_VERSION_CHARS = 12


@dataclass(frozen=True)
class Asset:
    """A file as it is served."""

    content: bytes
    media_type: str
    version: str


class Assets:
    """All files below ``/static``."""

    def __init__(self) -> None:
        folder = resources.files("boundless_skies.node.dashboard") / "static"
        self._files = {
            entry.name: _asset(entry.name, entry.read_bytes()) for entry in folder.iterdir()
        }

    def find(self, name: str) -> Asset | None:
        """Return a file; None where there is none of that name."""
        return self._files.get(name)

    def url(self, name: str) -> str:
        """Return a file's path with its version, so that browsers may keep it for good."""
        return f"/static/{name}?v={self._files[name].version}"


class Renderer:
    """Renders the templates of this package.

    Parameters
    ----------
    assets : Assets
        The files that pages load.
    """

    def __init__(self, assets: Assets) -> None:
        self._environment = Environment(
            loader=PackageLoader("boundless_skies.node.dashboard"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            ago=ago,
            clock=clock,
            counted=counted,
            day_clock=day_clock,
            iso=iso,
            span=span,
            until=until,
        )
        self._environment.globals.update(asset=assets.url, version=__version__)

    def render(self, template: str, **values: Any) -> str:
        """Return a page's HTML."""
        return self._environment.get_template(template).render(**values)


def _asset(name: str, content: bytes) -> Asset:
    return Asset(
        content=content,
        media_type=_MEDIA_TYPES.get(Path(name).suffix, "application/octet-stream"),
        version=hashlib.sha256(content).hexdigest()[:_VERSION_CHARS],
    )

"""Turning templates into pages."""

import json
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Response

from boundless_skies import __version__
from boundless_skies.cloud.domain.pictures import is_north_up
from boundless_skies.cloud.domain.times import ago, calendar_text, counted, iso, span_text
from boundless_skies.cloud.pages.assets import AssetShelf

KIB = 1_024


class PageRenderer:
    """Renders the templates of this package; every value is escaped.

    Parameters
    ----------
    assets : AssetShelf
        The files that pages load.
    """

    def __init__(self, assets: AssetShelf) -> None:
        self.assets = assets
        self._environment = Environment(
            loader=PackageLoader("boundless_skies.cloud.pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            ago=ago,
            calendar=calendar_text,
            compact=_compact,
            counted=counted,
            is_north_up=is_north_up,
            iso=iso,
            pretty=_pretty,
            size=_size_text,
            span=span_text,
            target_url=target_url,
        )
        self._environment.globals.update(asset=assets.url, version=__version__)

    def render(self, template: str, **values: Any) -> str:
        """Return a page's HTML."""
        return self._environment.get_template(template).render(**values)

    def respond(self, template: str, status_code: int = 200, **values: Any) -> Response[str]:
        """Return a page as a response."""
        content = self.render(template, **values)
        return Response(content, status_code=status_code, media_type=MediaType.HTML)

    def respond_error(self, status: HTTPStatus, sentence: str) -> Response[str]:
        """Return an error as a page."""
        if status == HTTPStatus.NOT_FOUND:
            sentence = "There is no such page."
        return self.respond("error.html", status, status=int(status), sentence=sentence)


def target_url(name: str) -> str:
    """Return the path of a target's page."""
    return "/targets/" + quote(name, safe="")


def _pretty(example: Any) -> str:
    return json.dumps(example, indent=2, ensure_ascii=False)


def _compact(value: Any) -> str:
    """Return a value that came as JSON in as few characters as tell it."""
    if isinstance(value, list):
        return ", ".join(map(_compact, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _size_text(count: int) -> str:
    """Return a number of bytes in the unit that people read."""
    if count < KIB**2:
        return f"{count / KIB:.1f} KiB"
    return f"{count / KIB**2:.1f} MiB" if count < KIB**3 else f"{count / KIB**3:.1f} GiB"

"""Handing images out."""

import re

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Stream

from boundless_skies.cloud.domain.operators import Operator, Role
from boundless_skies.cloud.handlers import schemas
from boundless_skies.cloud.handlers.described import OPERATOR, PUBLIC, Parameter, described
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.storage.images import UNKNOWN_ENDING, StoredImage
from boundless_skies.cloud.web import CloudRequest
from boundless_skies.wire import paths

IMAGE = f"{paths.IMAGES}/{{sha256:str}}"
HTTP_OK, HTTP_PARTIAL, HTTP_NOT_MODIFIED, HTTP_NO_SUCH_RANGE = 200, 206, 304, 416
SHA256_PARAMETER = Parameter(text="SHA-256 of the file (hex).", schema=schemas.SHA256)
FOR_GOOD = "public, max-age=31536000, immutable"

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


@get(
    f"{IMAGE}/thumbnail.png",
    opt=described(
        reply="a PNG file",
        reply_schema={},
        forms=("image/png",),
        who=PUBLIC,
        path={"sha256": SHA256_PARAMETER},
    ),
    media_type="image/png",
)
async def show_thumbnail(
    services: NamedDependency[Services], sha256: FromPath[str]
) -> Response[bytes]:
    """Return a small picture of an image, by the SHA-256 of its file; it may be kept for good."""
    content = await services.images.thumbnail(sha256)
    return Response(content, media_type="image/png", headers={"Cache-Control": FOR_GOOD})


@get(
    IMAGE,
    opt=described(
        reply="the bytes of the file",
        reply_schema={},
        forms=("application/fits", "application/octet-stream"),
        also={206: "The part that was asked for."},
        refused=(416,),
        path={"sha256": SHA256_PARAMETER},
        reply_headers={"Accept-Ranges": "bytes", "ETag": "Its SHA-256."},
        who=OPERATOR,
        headers={"Range": "Only a part of it, such as bytes=0-2879."},
    ),
)
async def send_image(
    request: CloudRequest,
    services: NamedDependency[Services],
    operator: NamedDependency[Operator],
    sha256: FromPath[str],
) -> Response[dict[str, str]] | Stream:
    """Return an image's file, whole or in part, by the SHA-256 of its content.

    Operators only: a FITS header may tell exactly where its owner lives.
    """
    operator.require(Role.READER)
    image = await services.images.find(sha256)
    part = _read_range(request.headers.get("range", ""), image.size_bytes)
    headers = _headers(image)
    if part is not None and not part[0] < part[1]:
        size = {"Content-Range": f"bytes */{image.size_bytes}"}
        sentence = {"error": f"The file has {image.size_bytes:,} bytes, and none of those."}
        return Response(sentence, status_code=HTTP_NO_SUCH_RANGE, headers=size)
    start, end = part or (0, image.size_bytes)
    opened = await services.images.open(sha256, start, end)
    headers["Content-Length"] = str(end - start)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{image.size_bytes}"
    return Stream(
        opened.chunks(),
        status_code=HTTP_OK if part is None else HTTP_PARTIAL,
        media_type=_media_type(image),
        headers=headers,
    )


def _read_range(header: str, size_bytes: int) -> tuple[int, int] | None:
    """Return the first byte that is asked for and the one after the last; None for the whole.

    One range is served (RFC 9110, 14.2); a header that asks for more is passed over.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.group(1, 2) == ("", ""):
        return None
    first, last = match.group(1, 2)
    if not first:
        return max(0, size_bytes - int(last)), size_bytes
    start = int(first)
    end = size_bytes if not last else min(size_bytes, int(last) + 1)
    if last and int(last) < start:
        return None
    return start, end


def _headers(image: StoredImage) -> dict[str, str]:
    return {
        "Accept-Ranges": "bytes",
        "ETag": f'"{image.sha256}"',
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Disposition": f'attachment; filename="{image.stored_name}"',
    }


def _media_type(image: StoredImage) -> str:
    known = not image.stored_name.endswith((UNKNOWN_ENDING, ".gz"))
    return "application/fits" if known else "application/octet-stream"


CALLS: list[HTTPRouteHandler] = [show_thumbnail, send_image]
"""The calls that hand images out."""

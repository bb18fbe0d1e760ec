"""Reading request bodies: bounded in bytes, time and depth."""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator
from typing import Any

from litestar.exceptions import InternalServerException

from boundless_skies.cloud.domain.errors import InvalidInput, TooLarge, Unavailable, UnsupportedForm
from boundless_skies.cloud.domain.json_text import parse_json
from boundless_skies.cloud.web import CloudRequest, exchange_of, header

JSON_MAX_BYTES = 1 << 20
BATCH_MAX_BYTES = 16 << 20
IMAGE_MAX_BYTES = 200 << 20
JSON_DEADLINE_S = 30
IMAGE_DEADLINE_S = 900
DRAIN_MAX_BYTES = 64 << 20
"""How much of a refused body is read on, so that its sender sees the refusal."""
DRAIN_DEADLINE_S = 2
RETRY_AFTER_S = 5

_JSON_TYPE = re.compile(r"(application|text)/([\w.+-]+\+)?json", re.IGNORECASE)
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


async def read_json(request: CloudRequest, max_bytes: int = JSON_MAX_BYTES) -> Any:
    """Return the parsed body of a request.

    Raises
    ------
    UnsupportedForm
        If it is not sent as JSON, or in an encoding other than gzip.
    TooLarge
        If it is longer than the limit, packed or unpacked.
    InvalidInput
        If it is not valid JSON, or nested too deeply.
    """
    content_type = header(request, b"content-type") or ""
    if content_type and not _JSON_TYPE.fullmatch(content_type.split(";")[0].strip()):
        await drain(request)
        raise UnsupportedForm(
            f"Content-Type {content_type[:80]!r} is not read here; send application/json."
        )
    raw = await _read_whole(request, max_bytes)
    return parse_json(_unpack(raw, header(request, b"content-encoding") or "", max_bytes))


async def stream_bounded(
    request: CloudRequest, max_bytes: int, deadline_s: float
) -> AsyncIterator[bytes]:
    """Yield the body's bytes as they arrive.

    Raises
    ------
    TooLarge
        If there are more than the limit.
    Unavailable
        If they take longer than the deadline.
    """
    await _refuse_announced(request, max_bytes)
    count = 0
    deadline = asyncio.get_running_loop().time() + deadline_s
    stream = aiter(request.stream())
    while (chunk := await _next_before(stream, deadline, deadline_s)) is not None:
        count += len(chunk)
        if count > max_bytes:
            await drain(request)
            raise TooLarge(_too_large(max_bytes))
        yield chunk


async def drain(request: CloudRequest) -> None:
    """Read on and discard, within bounds: a sender that is cut off would not see the answer."""
    count = 0
    try:
        async with asyncio.timeout(DRAIN_DEADLINE_S):
            async for chunk in request.stream():
                count += len(chunk)
                if count > DRAIN_MAX_BYTES:
                    return
    except Exception:  # noqa: BLE001 - whatever fails here, the refusal is the answer
        return


async def _next_before(
    stream: AsyncIterator[bytes], deadline: float, deadline_s: float
) -> bytes | None:
    try:
        async with asyncio.timeout_at(deadline):
            return await anext(stream, None)
    except InternalServerException:  # the framework's word for a sender that hung up
        raise InvalidInput("The sender broke off before the body was whole.") from None
    except TimeoutError:
        raise Unavailable(
            f"The body did not arrive within {deadline_s:g} s; try again.", RETRY_AFTER_S
        ) from None


async def _read_whole(request: CloudRequest, max_bytes: int) -> bytes:
    """Return the whole body; nearly always it has come with the headers."""
    exchange = exchange_of(request.scope)
    whole = None if exchange is None else exchange.take_body()
    if whole is not None:
        if len(whole) > max_bytes:
            raise TooLarge(_too_large(max_bytes))
        return whole
    await _refuse_announced(request, max_bytes)
    chunks: list[bytes] = []
    left = max_bytes
    try:
        async with asyncio.timeout(JSON_DEADLINE_S):
            while True:
                message = await request.receive()
                if message["type"] != "http.request":
                    raise InvalidInput("The sender broke off before the body was whole.")
                chunks.append(message["body"])
                left -= len(chunks[-1])
                if left < 0 or not message["more_body"]:
                    break
    except TimeoutError:
        raise Unavailable(
            f"The body did not arrive within {JSON_DEADLINE_S:g} s; try again.", RETRY_AFTER_S
        ) from None
    if left < 0:
        await drain(request)
        raise TooLarge(_too_large(max_bytes))
    return b"".join(chunks)


async def _refuse_announced(request: CloudRequest, max_bytes: int) -> None:
    announced = header(request, b"content-length") or "0"
    if announced.isdigit() and int(announced) > max_bytes:
        await drain(request)
        raise TooLarge(_too_large(max_bytes))


def _too_large(max_bytes: int) -> str:
    size = f"{max_bytes >> 20} MiB" if max_bytes >= 1 << 20 else f"{max_bytes >> 10} KiB"
    return f"The body is larger than {size}, the limit of this call."


def _unpack(raw: bytes, encoding: str, max_bytes: int) -> bytes:
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return raw
    if name not in ("gzip", "x-gzip"):
        raise UnsupportedForm(f"Content-Encoding {encoding[:40]!r} is not read here; send gzip.")
    packed = zlib.decompressobj(_GZIP_WINDOW)
    try:
        unpacked = packed.decompress(raw, max_bytes + 1)
    except zlib.error as error:
        raise InvalidInput(f"The body is not valid gzip: {error}.") from None
    if len(unpacked) > max_bytes:
        raise TooLarge(_too_large(max_bytes))
    if not packed.eof:
        raise InvalidInput("The body is not valid gzip: it ends too early.")
    return unpacked

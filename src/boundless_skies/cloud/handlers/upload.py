"""Reading a multipart upload as it arrives, without holding it in memory."""

from collections.abc import AsyncIterator

from multipart import (  # type: ignore[import-untyped]  # it ships no py.typed
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from boundless_skies.cloud.domain.errors import InvalidInput, UnsupportedForm
from boundless_skies.cloud.handlers.body import (
    IMAGE_DEADLINE_S,
    IMAGE_MAX_BYTES,
    drain,
    stream_bounded,
)
from boundless_skies.cloud.web import CloudRequest

PART_NAME = "file"
PARTS_MAX = 32
FORM_OVERHEAD_BYTES = 1 << 16
CHUNK_BYTES = 1 << 20
NAME_MAX_CHARS = 500


class Upload:
    """The part ``file`` of a multipart request.

    Parameters
    ----------
    request : CloudRequest
        The request; it is read once, while ``chunks`` is iterated.
    """

    def __init__(self, request: CloudRequest) -> None:
        self._request = request
        self.file_name = ""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the file's bytes, about a MiB at a time.

        Raises
        ------
        UnsupportedForm
            If the request is no multipart form.
        InvalidInput
            If the form is malformed, or has no part ``file``.
        TooLarge
            If it is larger than the limit.
        """
        pending = bytearray()
        async for piece in self._pieces():
            pending += piece
            if len(pending) >= CHUNK_BYTES:
                yield bytes(pending)
                pending.clear()
        if pending:
            yield bytes(pending)

    async def _pieces(self) -> AsyncIterator[bytes]:
        parser = PushMultipartParser(await self._boundary(), max_segment_count=PARTS_MAX)
        inside, found = False, False
        limit = IMAGE_MAX_BYTES + FORM_OVERHEAD_BYTES
        try:
            async for chunk in stream_bounded(self._request, limit, IMAGE_DEADLINE_S):
                for event in parser.parse(chunk) if chunk else ():
                    if isinstance(event, MultipartSegment):
                        inside = event.name == PART_NAME and not found
                        found = found or inside
                        self._take_name(event, inside=inside)
                    elif event is not None and inside:
                        yield bytes(event)
            parser.close()
        except MultipartError as error:
            await drain(self._request)
            raise InvalidInput(f"The upload is no valid multipart form: {error}.") from None
        if not found:
            raise InvalidInput(f'The upload has no part named "{PART_NAME}".')

    def _take_name(self, segment: MultipartSegment, *, inside: bool) -> None:
        if inside:
            printable = "".join(c for c in segment.filename or "" if c.isprintable())
            self.file_name = printable[:NAME_MAX_CHARS]

    async def _boundary(self) -> str:
        content_type = self._request.headers.get("content-type", "")
        kind, options = parse_options_header(content_type)
        if kind.lower() != "multipart/form-data":
            await drain(self._request)
            raise UnsupportedForm(
                f'Send the image as multipart/form-data, in a part named "{PART_NAME}".'
            )
        boundary: str = options.get("boundary", "")
        if not boundary or not boundary.isascii() or not boundary.isprintable():
            await drain(self._request)
            raise InvalidInput("The upload's Content-Type names no usable boundary.")
        return boundary

"""What a browser sends with a form."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from multipart import (  # type: ignore[import-untyped]  # it ships no py.typed
    MultipartError,
    MultipartParser,
    parse_options_header,
)

from boundless_skies.cloud.domain.errors import InvalidInput, UnsupportedForm

FIELDS_MAX = 64
FORM_MAX_BYTES = 2 << 20


@dataclass(frozen=True)
class Form:
    """The fields of a form; of fields of one name the last counts, a file is its text."""

    fields: Mapping[str, str]

    def get(self, name: str) -> str:
        """Return a field without the space around it; empty where it is missing."""
        return self.fields.get(name, "").strip()


def parse_form(content_type: str, raw: bytes) -> Form:
    """Parse a form as browsers send it, plain or with files.

    Raises
    ------
    UnsupportedForm
        If it is none.
    InvalidInput
        If it is malformed, not UTF-8, or has too many fields.
    """
    kind, options = parse_options_header(content_type)
    try:
        if kind == "application/x-www-form-urlencoded":
            pairs = parse_qsl(
                raw.decode("ascii"),
                keep_blank_values=True,
                max_num_fields=FIELDS_MAX,
                errors="strict",
            )
        elif kind == "multipart/form-data":
            pairs = _parse_parts(raw, options.get("boundary", ""))
        else:
            raise UnsupportedForm("Send the form from its page.")
    except (MultipartError, ValueError) as error:
        raise InvalidInput(f"The form cannot be read: {error}.") from None
    return Form(dict(pairs))


def _parse_parts(raw: bytes, boundary: str) -> list[tuple[str, str]]:
    parser = MultipartParser(
        io.BytesIO(raw),
        boundary,
        len(raw),
        part_limit=FIELDS_MAX,
        spool_limit=FORM_MAX_BYTES,
        memory_limit=FORM_MAX_BYTES,
        disk_limit=0,
    )
    return [(part.name, part.raw.decode("utf-8")) for part in parser.parts()]

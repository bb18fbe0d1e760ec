"""A night's measurements as a CSV file that grows point by point."""

import csv
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

from boundless_skies.reports.text import csv_text
from boundless_skies.wire import Measurement

COLUMNS = [field.name for field in fields(Measurement)]
"""The keys that every measurement has; what else it tells stands in columns behind them."""


class CsvTable:
    """Writes each measurement as it comes, so that what was done outlasts a broken night.

    Parameters
    ----------
    path : Path
        The file, which is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._stream: IO[str] = path.open("w", newline="", encoding="utf-8")
        self._writer: csv.DictWriter[str] | None = None

    def add(self, point: Mapping[str, Any]) -> None:
        """Write a measurement; the first one says which columns there are."""
        if self._writer is None:
            self._begin([*COLUMNS, *(key for key in point if key not in COLUMNS)])
        if self._writer is not None:
            self._writer.writerow({key: _cell(value) for key, value in point.items()})
            self._stream.flush()

    def close(self) -> None:
        """End the file; one without measurements has the names of the columns."""
        try:
            if self._writer is None:
                self._begin(COLUMNS)
        finally:
            self._stream.close()

    def _begin(self, columns: list[str]) -> None:
        self._writer = csv.DictWriter(self._stream, columns, extrasaction="ignore")
        self._writer.writeheader()


def _cell(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        value = "; ".join(value)
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, ensure_ascii=False)
    return csv_text(value) if isinstance(value, str) else value

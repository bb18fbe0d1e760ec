"""Backups: a whole cloud in one file that SQLite and PostgreSQL can both be filled from.

The file is a ZIP archive: ``tables/NAME.jsonl`` for each table, ``images/SHA-256``
for each image where they are wanted, and ``manifest.json`` with counts and hashes,
written last.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from sqlalchemy import Connection, select

from boundless_skies import __version__
from boundless_skies.cloud.domain.errors import UnknownObject
from boundless_skies.cloud.domain.times import Clock, iso
from boundless_skies.cloud.schema.tables import images
from boundless_skies.cloud.storage import archive, migrating
from boundless_skies.cloud.storage.archive import UnusableArchive
from boundless_skies.cloud.storage.blobs import BlobStore
from boundless_skies.cloud.storage.database import Database
from boundless_skies.cloud.storage.folder import FILE_MODE, sync_directory

FORMAT = 1
MANIFEST = "manifest.json"
MANIFEST_MAX_BYTES = 1 << 30
CHUNK_BYTES = 1 << 20
DAMAGED = "{} is damaged ({}). Take another backup; nothing was changed."


class Progress(Protocol):
    """Is told how far it is."""

    def begin(self, what: str, length: int) -> None:
        """Begin something of a length."""

    def advance(self, steps: int) -> None:
        """Go on."""


@dataclass
class Manifest:
    """What an archive holds: rows for each table, and a SHA-256 (hex) for each entry."""

    step: str
    made_at: str
    with_images: bool
    format: int = FORMAT
    version: str = __version__
    rows: dict[str, int] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    missing_images: list[str] = field(default_factory=list)

    @property
    def row_count(self) -> int:
        """The rows of all tables."""
        return sum(self.rows.values())

    @property
    def images(self) -> list[str]:
        """The names of the entries that are images."""
        return [name for name in self.sha256 if name.startswith("images/")]


class ArchiveService:
    """Writes a cloud into a file, and fills an empty one from it.

    Parameters
    ----------
    database : Database
        Whose rows they are.
    blobs : BlobStore
        Where images are kept.
    clock : Clock
        The present instant.
    """

    def __init__(self, database: Database, blobs: BlobStore, clock: Clock) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock

    async def back_up(self, target: Path, progress: Progress, *, with_images: bool) -> Manifest:
        """Write everything as it is at one instant into a new file (0600), also beside a server.

        Raises
        ------
        UnusableArchive
            If the file is there already, or cannot be written.
        Unavailable
            If the database or the image store does not answer.
        """
        with _written_durably(target) as file:
            book = _Book(file, Manifest("", iso(self._clock()) or "", with_images))
            await self._database.read(partial(book.add_tables, progress=progress))
            if with_images:
                await self._add_images(book, progress)
            book.close()
        return book.manifest

    async def restore(self, source: Path, progress: Progress) -> Manifest:
        """Fill an empty database, and the image store, from a file; all of it or nothing.

        Raises
        ------
        UnusableArchive
            If the file is damaged or of a newer cloud, or the database is not empty.
        UnusableDatabase
            If the database cannot be opened.
        """
        with _opened(source) as file:
            manifest = _read_manifest(file, source)
            _verify(file, manifest, source, progress)
            await self._database.migrate()
            await self._database.open()
            await self._database.read(_require_empty)
            await self._restore_images(file, manifest, progress)
            progress.begin("Restoring rows", manifest.row_count)
            await self._database.write(partial(_load, file=file, progress=progress))
        return manifest

    async def _add_images(self, book: "_Book", progress: Progress) -> None:
        progress.begin("Copying images", len(book.images))
        for sha256 in book.images:
            try:
                blob = await self._blobs.open(sha256)
            except UnknownObject:
                book.manifest.missing_images.append(sha256)
                continue
            with book.entry(f"images/{sha256}", ZIP_STORED) as sink:
                async for chunk in blob.chunks():
                    sink.write(chunk)
            progress.advance(1)

    async def _restore_images(self, file: ZipFile, manifest: Manifest, progress: Progress) -> None:
        await self._blobs.prepare()
        progress.begin("Restoring images", len(manifest.images))
        for name in manifest.images:
            async with self._blobs.receive() as upload:
                with file.open(name) as entry:
                    while chunk := entry.read(CHUNK_BYTES):
                        await upload.write(chunk)
                await upload.keep()
            progress.advance(1)


class _Sink:
    """Writes an entry and knows its hash."""

    def __init__(self, entry: IO[bytes]) -> None:
        self._entry = entry
        self.digest = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        """Append bytes."""
        self._entry.write(chunk)
        self.digest.update(chunk)


class _Book:
    """An archive that is being written."""

    def __init__(self, file: IO[bytes], manifest: Manifest) -> None:
        self._zip = ZipFile(file, "w")
        self.manifest = manifest
        self.images: list[str] = []

    @contextmanager
    def entry(self, name: str, compression: int) -> Iterator[_Sink]:
        """Write an entry, and note its hash."""
        info = ZipInfo(name)
        info.compress_type = compression
        info.external_attr = FILE_MODE << 16
        with self._zip.open(info, "w", force_zip64=True) as entry:
            sink = _Sink(entry)
            yield sink
        self.manifest.sha256[name] = sink.digest.hexdigest()

    def add_tables(self, connection: Connection, *, progress: Progress) -> None:
        """Write every table, all as they are in one transaction."""
        self.manifest.step = migrating.current(connection) or ""
        progress.begin("Copying rows", archive.count_rows(connection))
        for name, table in archive.TABLES.items():
            lines = 0
            with self.entry(f"tables/{name}.jsonl", ZIP_DEFLATED) as sink:
                for line in archive.read_lines(connection, table):
                    sink.write(line)
                    lines += 1
                    progress.advance(1)
            self.manifest.rows[name] = lines - 1  # the first names the columns
        self.images = list(connection.scalars(_kept_images()))

    def close(self) -> None:
        """Write the manifest; only with it is an archive one."""
        self._zip.writestr(MANIFEST, json.dumps(vars(self.manifest), indent=1), ZIP_DEFLATED)
        self._zip.close()


def _kept_images() -> Any:
    c = images.c
    return select(c.sha256).distinct().where(c.expired_at.is_(None)).order_by(c.sha256)


def _require_empty(connection: Connection) -> None:
    found = archive.find_row(connection)
    if found is not None:
        raise UnusableArchive(
            f"The database is not empty: there are rows in {found}. "
            "Restore into an empty one; nothing was changed."
        )


def _load(connection: Connection, *, file: ZipFile, progress: Progress) -> None:
    _require_empty(connection)
    for name, table in archive.TABLES.items():
        entry = f"tables/{name}.jsonl"
        if entry in file.namelist():
            with file.open(entry) as lines:
                for count in archive.load_lines(connection, table, lines):
                    progress.advance(count)
    archive.set_counters(connection)


def _verify(file: ZipFile, manifest: Manifest, source: Path, progress: Progress) -> None:
    """Read everything once and compare it with the manifest, before anything is changed."""
    progress.begin("Checking", len(manifest.sha256))
    for name, expected in manifest.sha256.items():
        try:
            with file.open(name) as entry:
                found = hashlib.file_digest(entry, "sha256").hexdigest()  # type: ignore[arg-type]
        except (KeyError, BadZipFile, OSError, EOFError, ValueError) as error:
            raise UnusableArchive(DAMAGED.format(source, f"{name}: {error}")) from None
        if found != expected:
            raise UnusableArchive(DAMAGED.format(source, f"{name} is not what it was"))
        progress.advance(1)


def _read_manifest(file: ZipFile, source: Path) -> Manifest:
    try:
        if file.getinfo(MANIFEST).file_size > MANIFEST_MAX_BYTES:
            raise UnusableArchive(DAMAGED.format(source, "its manifest is too large"))
        manifest = Manifest(**json.loads(file.read(MANIFEST)))
        is_newer = manifest.format > FORMAT or int(manifest.step) > int(migrating.HEAD)
    except (KeyError, ValueError, TypeError, BadZipFile) as error:
        raise UnusableArchive(
            f"{source} is no backup of a cloud: its manifest cannot be read ({error})."
        ) from None
    if is_newer:
        raise UnusableArchive(
            f"{source} is of a newer cloud: step {manifest.step}, written by version "
            f"{manifest.version}; this one knows {migrating.HEAD}. Restore it with that version."
        )
    return manifest


@contextmanager
def _opened(source: Path) -> Iterator[ZipFile]:
    try:
        file = ZipFile(source)
    except BadZipFile as error:
        raise UnusableArchive(DAMAGED.format(source, error)) from None
    except OSError as error:
        raise UnusableArchive(f"{source} cannot be read: {error.strerror or error}.") from None
    with file:
        yield file


@contextmanager
def _written_durably(target: Path) -> Iterator[IO[bytes]]:
    """Write a private file under a temporary name; it gets its own once it is whole on disk."""
    partial_file = target.with_name(f".{target.name}.part")
    try:
        if target.exists():
            raise UnusableArchive(f"{target} is there already. Name another file, or move it away.")
        descriptor = os.open(partial_file, os.O_CREAT | os.O_TRUNC | os.O_RDWR, FILE_MODE)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                os.fchmod(descriptor, FILE_MODE)
                yield file
                file.flush()
                os.fsync(descriptor)
            partial_file.rename(target)
            sync_directory(target.absolute().parent)
        finally:
            with suppress(OSError):
                partial_file.unlink(missing_ok=True)
    except OSError as error:
        raise UnusableArchive(
            f"{target} cannot be written: {error.strerror or error}. "
            "Name a place with enough space where you may write."
        ) from None

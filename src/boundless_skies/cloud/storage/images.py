"""Queries about images: which node sent which file, and when."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from boundless_skies.cloud.schema.tables import images

_c = images.c

KNOWN_ENDINGS = (".fits", ".fit", ".fts", ".fits.fz", ".fit.fz", ".fits.gz", ".fit.gz")
UNKNOWN_ENDING = ".image"


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """An image as a node sent it; ``sentence`` says what its thumbnail shows."""

    node_id: str
    sha256: str
    stored_name: str
    original_name: str
    size_bytes: int
    received_at: datetime
    sentence: str | None = None
    expired_at: datetime | None = None


def stored_name(sha256: str, original_name: str) -> str:
    """Return the name that is told of an image; of the sender's, only a known ending remains."""
    name = original_name.lower()
    ending = next((known for known in KNOWN_ENDINGS if name.endswith(known)), UNKNOWN_ENDING)
    return sha256 + ending


def find(connection: Connection, node_id: str, sha256: str) -> StoredImage | None:
    """Return an image that a node has sent before."""
    query = select(images).where(_c.node_id == node_id, _c.sha256 == sha256)
    return _to_image(connection.execute(query).mappings().first())


def find_any(connection: Connection, sha256: str) -> StoredImage | None:
    """Return an image by its content, whoever sent it; rather one that is still kept."""
    query = select(images).where(_c.sha256 == sha256).order_by(_c.expired_at.is_not(None), _c.id)
    return _to_image(connection.execute(query.limit(1)).mappings().first())


def find_by_name(connection: Connection, node_id: str, original_name: str) -> StoredImage | None:
    """Return the newest image that a node sent under a name of its own."""
    query = (
        select(images)
        .where(_c.node_id == node_id, _c.original_name == original_name)
        .order_by(_c.id.desc())
        .limit(1)
    )
    return _to_image(connection.execute(query).mappings().first())


def list_newest(connection: Connection, node_id: str, limit: int) -> list[StoredImage]:
    """Return the images that a node sent last, the newest first."""
    query = select(images).where(_c.node_id == node_id).order_by(_c.id.desc()).limit(limit)
    return [image for row in connection.execute(query).mappings() if (image := _to_image(row))]


def add(connection: Connection, image: StoredImage) -> None:
    """Add an image whose file is kept; what its content shows may be known from another node's."""
    shown = select(_c.sentence).where(_c.sha256 == image.sha256, _c.sentence.is_not(None)).limit(1)
    connection.execute(
        insert(images).values(
            node_id=image.node_id,
            stored_name=image.stored_name,
            original_name=image.original_name,
            size_bytes=image.size_bytes,
            sha256=image.sha256,
            received_at=image.received_at,
            sentence=connection.scalar(shown),
        )
    )


def bring_back(connection: Connection, node_id: str, sha256: str, now: datetime) -> None:
    """Keep an image anew that was sent again after it had expired."""
    connection.execute(
        update(images)
        .where(_c.node_id == node_id, _c.sha256 == sha256)
        .values(expired_at=None, received_at=now)
    )


def describe(connection: Connection, sha256: str, sentence: str) -> None:
    """Keep what an image's thumbnail shows."""
    connection.execute(update(images).where(_c.sha256 == sha256).values(sentence=sentence))


def list_due(connection: Connection, before: datetime, limit: int) -> list[StoredImage]:
    """Return images that came before an instant and are still kept, the oldest first."""
    query = (
        select(images)
        .where(_c.received_at < before, _c.expired_at.is_(None))
        .order_by(_c.received_at)
        .limit(limit)
    )
    return [image for row in connection.execute(query).mappings() if (image := _to_image(row))]


def expire(connection: Connection, image: StoredImage, now: datetime) -> bool:
    """Mark an image as no longer kept; tells whether nobody else's row needs its file."""
    connection.execute(
        update(images)
        .where(_c.node_id == image.node_id, _c.sha256 == image.sha256, _c.expired_at.is_(None))
        .values(expired_at=now)
    )
    return not is_needed(connection, image.sha256)


def is_needed(connection: Connection, sha256: str) -> bool:
    """Tell whether any node's image that is still kept has this content."""
    query = select(_c.id).where(_c.sha256 == sha256, _c.expired_at.is_(None)).limit(1)
    return connection.scalar(query) is not None


def list_old_names(connection: Connection) -> list[StoredImage]:
    """Return the images that the first form kept under names that are not their content's."""
    query = select(images).where(func.substr(_c.stored_name, 1, 64) != _c.sha256)
    return [image for row in connection.execute(query).mappings() if (image := _to_image(row))]


def rename(connection: Connection, image: StoredImage, name: str) -> None:
    """Give an image the name of its content."""
    connection.execute(
        update(images)
        .where(_c.node_id == image.node_id, _c.sha256 == image.sha256)
        .values(stored_name=name)
    )


def count(connection: Connection) -> int:
    """Return how many images are kept."""
    query = select(func.count()).select_from(images).where(_c.expired_at.is_(None))
    return connection.scalar(query) or 0


def _to_image(row: RowMapping | None) -> StoredImage | None:
    if row is None:
        return None
    return StoredImage(**{name: value for name, value in row.items() if name != "id"})

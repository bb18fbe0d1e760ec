"""The address of an image store, as an operator writes it."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from obstore.store import S3Store

from boundless_skies.cloud.domain.errors import CloudError
from boundless_skies.cloud.domain.times import Clock, utc_now
from boundless_skies.cloud.storage.blobs.bucket import BucketBlobs
from boundless_skies.cloud.storage.blobs.folder import INCOMING, FolderBlobs
from boundless_skies.cloud.storage.blobs.store import BlobStore

SETTINGS = ("endpoint", "region", "access_key_id", "secret_access_key", "session_token")
HOW_TO_WRITE = (
    "Write s3://BUCKET/FOLDER?endpoint=https://HOST&region=REGION, with AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY in the environment, or the path of a folder."
)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_FOLDER = re.compile(r"(/(?!\.+(/|$))[A-Za-z0-9._-]+)*/?")
_LIKE_A_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_ENDPOINT = re.compile(r"https?://[^\s/@?#]+/?")


class UnusableStore(CloudError):  # noqa: N818 - named after what happened
    """The address of the image store cannot be understood."""


def open_blob_store(address: str | None, data_dir: Path, clock: Clock = utc_now) -> BlobStore:
    """Return the image store of a cloud; nothing is asked of it yet.

    Parameters
    ----------
    address : str or None
        ``s3://bucket/folder?endpoint=…``; or a folder; None for the data folder.
        What the query leaves out comes from the environment (``AWS_*``).
    data_dir : Path
        The cloud's data folder; images for a bucket are held in it until they are whole.
    clock : callable
        The present instant.

    Raises
    ------
    UnusableStore
        If the address cannot be understood, with what to write. Its own text is not
        repeated, for it may hold keys.
    """
    if address is None:
        return FolderBlobs(data_dir, clock)
    if "://" not in address:
        return FolderBlobs(_folder(address), clock)
    url = _split(address)
    name = f"s3://{url.netloc}{url.path}".rstrip("/")
    return BucketBlobs(_s3_store(url), name, data_dir / INCOMING, clock)


def _folder(address: str) -> Path:
    if not address.strip() or "\0" in address:
        raise UnusableStore(f"The image store's address is empty. {HOW_TO_WRITE}")
    if _LIKE_A_URL.match(address):  # a folder of such a name can be written as ./NAME
        raise _not_understood("begins like a URL, but not with s3://")
    return Path(address)


def _split(address: str) -> SplitResult:
    try:
        url = urlsplit(address)
    except ValueError:
        raise UnusableStore(f"The image store's address is no URL. {HOW_TO_WRITE}") from None
    if url.scheme != "s3":
        raise _not_understood(f"begins with {url.scheme}://, which is not spoken here")
    if "@" in url.netloc:
        raise _not_understood("holds a key before the bucket, where it is not looked for")
    if not _BUCKET.fullmatch(url.netloc):
        raise _not_understood("does not name a bucket: 3 to 63 small letters, digits, dots, dashes")
    if not _FOLDER.fullmatch(url.path) or url.fragment:
        raise _not_understood("names a folder with other signs than letters, digits, dots, dashes")
    return url


def _s3_store(url: SplitResult) -> S3Store:
    settings = _settings(url.query)
    options: dict[str, Any] = dict(settings)
    # Plain HTTP is spoken only where the operator's own endpoint says http://.
    return S3Store(
        url.netloc,
        prefix=url.path.strip("/") or None,
        client_options={"allow_http": True, "connect_timeout": "5s", "timeout": "60s"},
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
        **options,
    )


def _settings(query: str) -> dict[str, str]:
    if not query:
        return {}
    try:
        # A plus is a sign of keys here, not a blank as in forms.
        pairs = parse_qsl(query.replace("+", "%2B"), keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise _not_understood("has a part after ? that is not NAME=VALUE&…") from None
    settings = dict(pairs)
    if set(settings) - set(SETTINGS):
        raise _not_understood(f"sets something else than {', '.join(SETTINGS)} after ?")
    if "" in settings.values():
        raise _not_understood("has a setting without a value after ?")
    if "endpoint" in settings and not _ENDPOINT.fullmatch(settings["endpoint"]):
        raise _not_understood("has an endpoint that is not https://HOST")
    return settings


def _not_understood(what: str) -> UnusableStore:
    return UnusableStore(f"The image store's address {what}. {HOW_TO_WRITE}")

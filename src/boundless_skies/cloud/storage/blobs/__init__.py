"""Image files by their content: in a folder, or in any S3-compatible store."""

from boundless_skies.cloud.storage.blobs.address import UnusableStore, open_blob_store
from boundless_skies.cloud.storage.blobs.bucket import BucketBlobs
from boundless_skies.cloud.storage.blobs.folder import FolderBlobs
from boundless_skies.cloud.storage.blobs.spool import Upload
from boundless_skies.cloud.storage.blobs.store import (
    BlobStore,
    OpenBlob,
    StoredBlob,
    Usage,
    measure_usage,
)

__all__ = [
    "BlobStore",
    "BucketBlobs",
    "FolderBlobs",
    "OpenBlob",
    "StoredBlob",
    "UnusableStore",
    "Upload",
    "Usage",
    "measure_usage",
    "open_blob_store",
]

"""A disk's errors in the words of the cloud."""

from collections.abc import Iterator
from contextlib import contextmanager

from boundless_skies.cloud.domain.errors import Unavailable

RETRY_AFTER_S = 60


@contextmanager
def disk_errors(participle: str) -> Iterator[None]:
    """Turn an error of the disk into one that says to try again later."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or "the disk fails"
        raise Unavailable(f"The image cannot be {participle}: {reason}.", RETRY_AFTER_S) from error

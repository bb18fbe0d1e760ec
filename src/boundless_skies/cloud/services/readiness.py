"""Whether this process can take calls now."""

import asyncio

from boundless_skies.cloud.domain.errors import CloudError, Unavailable
from boundless_skies.cloud.storage import migrating
from boundless_skies.cloud.storage.blobs import BlobStore
from boundless_skies.cloud.storage.database import Database

KEPT_S = 1.0
TRIED_FOR_S = 5.0
RETRY_AFTER_S = 5


class ReadinessService:
    """Asks what a call would need: the database, its tables, the image store.

    Parameters
    ----------
    database : Database
        Must answer, with tables of this cloud.
    blobs : BlobStore
        Must take a file.
    """

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database = database
        self._blobs = blobs
        self._closing = False
        self._asking = asyncio.Lock()
        self._last: tuple[float, CloudError | None] | None = None

    def close(self) -> None:
        """Be ready no more: this process is about to stop."""
        self._closing = True

    async def check(self) -> None:
        """See whether calls can be taken; those who ask within a second share an answer.

        Raises
        ------
        Unavailable
            If not, with the reason.
        """
        if self._closing:
            raise Unavailable("This process is about to stop.", RETRY_AFTER_S)
        async with self._asking:
            now_s = asyncio.get_running_loop().time()
            if self._last is None or now_s - self._last[0] > KEPT_S:
                self._last = (now_s, await self._find_fault())
        if self._last[1] is not None:
            raise Unavailable(str(self._last[1]), RETRY_AFTER_S)

    async def _find_fault(self) -> CloudError | None:
        try:
            async with asyncio.timeout(TRIED_FOR_S):
                await self._database.read(migrating.check)
                await self._blobs.check()
        except TimeoutError:
            return Unavailable(
                f"The database or the image store did not answer within {TRIED_FOR_S:g} s.",
                RETRY_AFTER_S,
            )
        except CloudError as fault:
            return fault
        return None

"""What a cloud is started with."""

from dataclasses import dataclass, field
from pathlib import Path

from boundless_skies.cloud.domain.rates import Rates
from boundless_skies.cloud.peers import LOOPBACK, Networks

DATABASE_FILE = "cloud.sqlite3"
DEFAULT_PORT = 8800
DEFAULT_HOST = "127.0.0.1"
DEFAULT_DATA_DIR = Path("cloud-data")


@dataclass(frozen=True, kw_only=True)
class CloudConfig:
    """Where a cloud keeps its data, what it lets in, and an admin's key where one was handed in.

    ``image_quota_bytes`` is what one node's images may take, ``keep_images_days``
    how long they are kept; None for no limit. What ``trusted_proxies`` say of a
    request's origin is believed.
    """

    data_dir: Path
    database_url: str | None = None
    images_address: str | None = None
    image_max_bytes: int = 200 << 20
    image_quota_bytes: int | None = None
    keep_images_days: float | None = None
    admin_key: str | None = None
    trusted_proxies: Networks = LOOPBACK
    registration: str | None = None
    rates: Rates = field(default_factory=Rates)

    @property
    def database_file(self) -> Path:
        """The embedded database."""
        return self.data_dir / DATABASE_FILE

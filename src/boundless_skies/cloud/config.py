"""What a cloud is started with."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

DATABASE_FILE = "cloud.sqlite3"
IMAGES_FOLDER = "images"
DEFAULT_PORT = 8800
DEFAULT_HOST = "127.0.0.1"
DEFAULT_DATA_DIR = Path("cloud-data")


@dataclass(frozen=True, kw_only=True)
class CloudConfig:
    """Where a cloud keeps its data, and its operator's key where one was handed in."""

    data_dir: Path
    database_url: str | None = None
    admin_key: str | None = None

    @property
    def database_file(self) -> Path:
        """The embedded database."""
        return self.data_dir / DATABASE_FILE

    @property
    def images_dir(self) -> Path:
        """The folder of images."""
        return self.data_dir / IMAGES_FOLDER

    @property
    def effective_database_url(self) -> str:
        """The URL that was given, else that of the embedded database."""
        return self.database_url or str(URL.create("sqlite", database=str(self.database_file)))

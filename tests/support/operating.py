"""What tests of the operator's work share: waiting for it, the command line, the pages.

::

    browser = Pages.signed_in(cloud.url, token)
    reply = browser.submit("/operate/codes", {"count": "2"})
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from click.testing import CliRunner, Result
from tests.support.capture_server import wait_until
from tests.support.cloud_client import Client, Reply
from tests.support.cloud_server import RunningCloud, running_cloud
from tests.support.postgresql import running_postgresql

from boundless_skies.cli import main
from boundless_skies.cloud.storage.opening import make_database

T = TypeVar("T")

WAIT_S = 30.0
OPERATOR = "/api/v1/operator"
_CSRF = re.compile(r'name="csrf" value="(\w+)"')


@contextmanager
def running_coded(kind: str, data_dir: Path) -> Iterator[RunningCloud]:
    """Run a cloud that takes nodes with a code only, on SQLite or PostgreSQL."""
    policy = ("--registration", "code")
    if kind == "sqlite":
        with running_cloud(data_dir, arguments=policy) as cloud:
            yield cloud
        return
    with running_postgresql() as server:
        url = server.create_database()
        asyncio.run(make_database(url, Path()).migrate())
        with running_cloud(data_dir, arguments=(*policy, "--database", url)) as cloud:
            yield cloud


def wait_for(look: Callable[[], T]) -> T:
    """Look until there is something true to see, and return it."""
    seen: T = wait_until(look, WAIT_S, "something to see")
    return seen


def command(cloud: RunningCloud, *arguments: str) -> Result:
    """Run ``boundless cloud --data DIR …`` beside the running server."""
    return CliRunner().invoke(main, ["cloud", "--data", str(cloud.data_dir), *arguments])


def command_json(cloud: RunningCloud, *arguments: str) -> Any:
    """Return the JSON that a command answers, which must succeed."""
    done = command(cloud, *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@dataclass
class Pages:
    """A browser without a window: it keeps one cookie, and sends forms as browsers do."""

    url: str
    cookie: str = ""
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = Client(self.url)

    @classmethod
    def signed_in(cls, url: str, token: str) -> "Pages":
        """Return a browser in which somebody has signed in."""
        pages = cls(url)
        reply = pages.send("/operate/sign-in", {"token": token})
        assert reply.status == 303, reply
        return pages

    def get(self, path: str) -> Reply:
        """Ask for a page; redirects are not followed."""
        return self._keep_cookie(self.client.send("GET", path, None, self._headers()))

    def send(self, path: str, fields: dict[str, str], **headers: str) -> Reply:
        """Send a form as it is given."""
        form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.url}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        raw = urlencode(fields).encode()
        return self._keep_cookie(
            self.client.send("POST", path, raw, self._headers() | form | named)
        )

    def submit(self, path: str, fields: dict[str, str], **headers: str) -> Reply:
        """Send a form of a page that was opened before, with what the page hides in it."""
        return self.send(path, {"csrf": self.csrf(), **fields}, **headers)

    def csrf(self) -> str:
        """Return what the pages of this session hide in their forms."""
        found = _CSRF.search(self.get("/operate").body.decode())
        assert found is not None
        return found[1]

    def _headers(self) -> dict[str, str]:
        return {"Cookie": self.cookie} if self.cookie else {}

    def _keep_cookie(self, reply: Reply) -> Reply:
        if "set-cookie" in reply.headers:
            self.cookie = reply.headers["set-cookie"].partition(";")[0]
        return reply

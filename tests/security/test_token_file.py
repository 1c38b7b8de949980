"""Trusted files are refused when another user could have written them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from argosy.cli.checks import Examined, Outcome, check_data_dir
from argosy.cli.client.locate import FleetAddress, locate
from argosy.clients.controller_address import ControllerAddress
from argosy.contracts.errors import StartError
from argosy.control import record as controller_record
from argosy.control.history.history import History
from argosy.control.platforms.local import LocalPlatform
from argosy.control.preflight import fleet_token, make_parts, prepare_data_dir
from argosy.control.record import ControllerRecord
from argosy.serving import runfile
from argosy.serving.runfile import RunRecord

pytestmark = pytest.mark.security

TOKEN = "0123456789abcdef" * 4
Spoil = Callable[[Path], None]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    prepare_data_dir(folder)
    make_parts(folder)
    return folder


def written(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def a_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def a_link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nothing"))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def readable_by_all(path: Path) -> None:
    path.chmod(0o644)


def writable_by_the_group(path: Path) -> None:
    path.chmod(0o660)


SPOILT = [a_link, a_link_to_nothing, a_folder, a_fifo, readable_by_all, writable_by_the_group]


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"x", TOKEN[:-1].encode(), TOKEN.encode() + b"0", TOKEN.upper().encode(), b"g" * 64, b"\xff" * 64],
)
def test_a_token_that_the_fleet_did_not_make_is_refused(data_dir: Path, content: bytes) -> None:
    written(data_dir / "token", content)
    for read in (lambda: fleet_token(data_dir), locate(None, None, data_dir).token):
        with pytest.raises(StartError, match="remove the file, and start the fleet again") as refused:
            read()
        assert TOKEN not in refused.value.message


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_token_file_that_others_may_have_written_or_read_is_refused(data_dir: Path, spoil: Spoil) -> None:
    spoil(written(data_dir / "token", TOKEN.encode()))
    before = sorted(path.name for path in data_dir.iterdir())
    for read in (lambda: fleet_token(data_dir), locate(None, None, data_dir).token):
        with pytest.raises(StartError, match=r"Remove it|chmod 600"):
            read()
    assert sorted(path.name for path in data_dir.iterdir()) == before


def test_a_token_file_of_another_user_is_refused(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(data_dir / "token", TOKEN.encode())
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    for read in (lambda: fleet_token(data_dir), locate(None, None, data_dir).token):
        with pytest.raises(StartError, match=rf"belongs to another user \(uid {owner}\)"):
            read()


def test_a_token_that_the_fleet_made_is_taken_with_or_without_its_last_newline(data_dir: Path) -> None:
    made = fleet_token(data_dir)
    assert re.fullmatch(r"[0-9a-f]{64}", made)
    assert stat.S_IMODE((data_dir / "token").stat().st_mode) == 0o600
    (data_dir / "token").write_text(f"{made}\n")
    (data_dir / "token").chmod(0o400)
    assert fleet_token(data_dir) == made == locate(None, None, data_dir).token()


def a_record(data_dir: Path) -> RunRecord:
    return RunRecord("store-1", "store", "r1", TOKEN, str(data_dir), "http://127.0.0.1:1", "{}", pid=1, port=1)


@pytest.mark.parametrize("spoil", SPOILT)
async def test_a_run_file_that_others_may_have_written_is_not_adopted(data_dir: Path, spoil: Spoil) -> None:
    path = data_dir / "run" / "store-1.json"
    lock = runfile.ReplicaLock(runfile.lock_path(path))
    assert lock.acquire() is not None
    runfile.write(path, a_record(data_dir))
    spoil(path)
    platform = LocalPlatform(data_dir, "{}", TOKEN, "http://127.0.0.1:1")
    assert await platform.adopt() == platform.replicas() == []
    lock.release()


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_controllers_record_that_others_may_have_written_is_refused(data_dir: Path, spoil: Spoil) -> None:
    """Refuse the record because commands use the address in it to find the fleet."""
    controller_record.write(data_dir, ControllerRecord(1, "http://127.0.0.1:1", "http://127.0.0.1:2", 0.0, "1"))
    path = controller_record.record_path(data_dir)
    spoil(path)
    with pytest.raises(StartError, match=r"Remove it|chmod 600"):
        FleetAddress("", "", data_dir).record()
    assert ControllerAddress("http://127.0.0.1:9", path.parent).url() == "http://127.0.0.1:9"


def test_replicas_take_the_address_of_a_controller_from_its_record(data_dir: Path) -> None:
    address = ControllerAddress("http://127.0.0.1:9", data_dir / "run")
    assert address.url() == "http://127.0.0.1:9"
    controller_record.write(data_dir, ControllerRecord(1, "http://127.0.0.1:1", "http://127.0.0.1:2", 0.0, "1"))
    assert address.url() == "http://127.0.0.1:1"
    runfile.write_private(controller_record.record_path(data_dir), msgspec.json.encode({"admin_url": 7}))
    assert address.url() == "http://127.0.0.1:9"


@pytest.mark.parametrize("spoil", [a_link, a_link_to_nothing, a_folder, a_fifo, writable_by_the_group])
def test_a_history_that_others_may_have_written_is_refused(data_dir: Path, spoil: Spoil) -> None:
    History(data_dir).close()
    spoil(data_dir / "control.db")
    with pytest.raises(StartError, match=r"Remove it|chmod 600"):
        History(data_dir)


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o702, 0o1777])
@pytest.mark.parametrize("name", [".", "run", "logs"])
def test_a_folder_that_others_may_write_into_is_refused(data_dir: Path, name: str, mode: int) -> None:
    folder = data_dir / name
    folder.chmod(mode)
    with pytest.raises(StartError, match=rf"Other users may write into .*mode {mode:04o}.*chmod 700"):
        prepare_data_dir(data_dir)


def test_the_doctor_names_what_is_not_private(data_dir: Path) -> None:
    examined = Examined(FleetAddress("", "", data_dir), None, "", {})
    assert [finding.outcome for finding in check_data_dir(examined)] == [Outcome.OK]
    written(data_dir / "token", TOKEN.encode(), 0o644)
    [finding] = check_data_dir(examined)
    assert (finding.outcome, "chmod 600" in finding.found, TOKEN in finding.found) == (Outcome.FAIL, True, False)
    (data_dir / "run").chmod(0o777)
    [finding] = check_data_dir(examined)
    assert "Other users may write into" in finding.found


@pytest.mark.parametrize("name", ["run", "logs"])
def test_a_part_of_the_folder_that_is_a_link_is_refused(data_dir: Path, name: str) -> None:
    a_link(data_dir / name)
    with pytest.raises(StartError, match="is a symbolic link"):
        prepare_data_dir(data_dir)


def test_a_file_that_is_written_follows_no_link_that_waits_in_its_place(data_dir: Path) -> None:
    victim = written(data_dir / "victim", b"mine")
    (data_dir / f"token.{os.getpid()}.tmp").symlink_to(victim)
    runfile.write_private(data_dir / "token", TOKEN.encode())
    assert (victim.read_bytes(), (data_dir / "token").is_symlink()) == (b"mine", False)
    assert fleet_token(data_dir) == TOKEN

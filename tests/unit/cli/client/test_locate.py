"""Location of a fleet: flag, variable, running fleet, default."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.cli.client.locate import DEFAULT_ADMIN_URL, DEFAULT_DATA_DIR, DEFAULT_URL, default_data_dir, locate
from argosy.contracts.errors import InvalidRequest
from argosy.control import record
from argosy.control.record import ControllerRecord
from argosy.serving.runfile import ReplicaLock

pytestmark = pytest.mark.unit


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Return the data folder of a fleet whose controller has ended."""
    (tmp_path / "run").mkdir()
    record.write(tmp_path, ControllerRecord(1, "http://127.0.0.1:19", "http://127.0.0.1:18", 0.0, "0"))
    return tmp_path


@pytest.fixture
def replica(data_dir: Path) -> Iterator[None]:
    lock = ReplicaLock(data_dir / "run" / "gateway-1.lock")
    lock.acquire()
    yield
    lock.release()


def test_with_nothing_else_to_go_by_the_default_addresses_hold(tmp_path: Path) -> None:
    found = locate(None, None, tmp_path)

    assert (found.url, found.admin_url) == (DEFAULT_URL, DEFAULT_ADMIN_URL)


def test_what_a_dead_fleet_left_behind_is_not_followed(data_dir: Path) -> None:
    assert locate(None, None, data_dir).url == DEFAULT_URL


@pytest.mark.usefixtures("replica")
def test_a_fleet_that_serves_without_its_controller_is_found(data_dir: Path) -> None:
    found = locate(None, None, data_dir)

    assert (found.url, found.admin_url) == ("http://127.0.0.1:18", "http://127.0.0.1:19")
    assert found.live_replicas() == ["gateway-1"]
    assert not found.controller_alive()


@pytest.mark.usefixtures("replica")
def test_a_given_address_comes_before_the_running_fleet(data_dir: Path) -> None:
    found = locate("http://elsewhere:1/", None, data_dir)

    assert (found.url, found.admin_url) == ("http://elsewhere:1", "http://127.0.0.1:19")


def test_a_record_that_is_damaged_is_ignored(data_dir: Path, replica: None) -> None:
    record.record_path(data_dir).write_text("{")

    assert locate(None, None, data_dir).url == DEFAULT_URL


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://x", "http://"])
def test_what_is_no_address_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"--url .* is not an address"):
        locate(url, None, tmp_path)


def test_the_fleet_file_of_this_folder_says_where_the_data_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_data_dir() == DEFAULT_DATA_DIR

    (tmp_path / "argosy.toml").write_text('[fleet]\ndata_dir = "./here"\n')
    assert default_data_dir() == Path("here")

    monkeypatch.setenv("ARGOSY_FLEET__DATA_DIR", "there")
    assert default_data_dir() == Path("there")


def test_a_fleet_file_that_is_wrong_does_not_stop_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "argosy.toml").write_text("fleet = [")

    assert default_data_dir() == DEFAULT_DATA_DIR


def test_the_token_is_read_from_the_data_folder(tmp_path: Path) -> None:
    assert locate(None, None, tmp_path).token() is None

    token = "0123456789abcdef" * 4
    (tmp_path / "token").touch(mode=0o600)
    (tmp_path / "token").write_text(f"{token}\n")
    assert locate(None, None, tmp_path).token() == token

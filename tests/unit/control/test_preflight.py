"""A fleet keeps its data in a private folder, and never changes the folder of another user or program."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from argosy.contracts.errors import StartError
from argosy.control.history.history import History
from argosy.control.preflight import fleet_token, prepare_data_dir

pytestmark = pytest.mark.unit


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    prepare_data_dir(tmp_path / "a" / "data")
    assert mode(tmp_path / "a" / "data") == 0o700


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    (folder / "thesis.tex").write_text("mine")
    with pytest.raises(StartError, match="holds files that do not belong to a fleet"):
        prepare_data_dir(folder)
    assert mode(folder) == 0o755


def test_a_fleets_own_folder_is_taken_again(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    prepare_data_dir(folder)
    (folder / "logs").mkdir()
    prepare_data_dir(folder)
    token = fleet_token(folder)
    prepare_data_dir(folder)
    assert fleet_token(folder) == token
    assert mode(folder / "token") == 0o600


def test_epochs_grow_also_when_the_history_is_lost(tmp_path: Path) -> None:
    first = History(tmp_path)
    epochs = [first.next_epoch(1000.0), first.next_epoch(1000.5), first.next_epoch(10.0)]
    first.close()
    (tmp_path / "control.db").unlink()
    second = History(tmp_path)
    assert epochs == [1000, 1001, 1002]
    assert second.next_epoch(2000.0) == 2000
    second.close()

"""The systemd unit, and the commands that messages name."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from argosy.cli.client import hints
from tests.integration.cli.conftest import Invoke

pytestmark = pytest.mark.integration


def _unit(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _words(text: str) -> list[str]:
    return shlex.split(_unit(text)["ExecStart"])


def test_the_unit_starts_the_fleet_on_the_folder_of_its_file(
    argosy: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "my fleet"
    home.mkdir()
    (home / "fleet.toml").write_text('[fleet]\ndata_dir = "deep/data"\n')
    monkeypatch.chdir(tmp_path)

    words = _words(argosy("render", "systemd", "my fleet/fleet.toml").stdout)

    assert words[:4] == [sys.executable, "-m", "argosy.cli", "up"]
    assert words[4] == str(home / "fleet.toml")
    assert words[words.index("--data-dir") + 1] == str(home / "deep/data")


def test_the_file_in_the_current_folder_is_used_when_none_is_named(
    argosy: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "argosy.toml").write_text('[fleet]\ndata_dir = "d"\n')
    monkeypatch.chdir(tmp_path)
    unit = argosy("render", "systemd").stdout
    assert str(tmp_path / "argosy.toml") in _words(unit)
    assert _unit(unit)["WorkingDirectory"] == str(tmp_path)


def test_a_missing_or_wrong_file_is_an_error(argosy: Invoke, tmp_path: Path) -> None:
    missing = argosy("render", "systemd", str(tmp_path / "none.toml"))
    assert missing.exit_code == 1
    assert "none.toml does not exist" in missing.stderr
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[fleet]\nprot = 1\n")
    assert 'did you mean "port"' in argosy("render", "systemd", str(wrong)).stderr


def test_the_unit_carries_all_options_and_the_settings_of_the_environment(
    argosy: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARGOSY_SERVICES__EMBEDDING__MODEL", "my model 100%")
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
    given = ("--port", "9001", "--admin-port", "9002", "--set", "services.embedding.backend=fake")
    unit = argosy("render", "systemd", "--data-dir", str(tmp_path / "d"), *given).stdout
    words = _words(unit)
    assert [words[words.index(option) + 1] for option in given[::2]] == list(given[1::2])
    assert 'Environment="ARGOSY_SERVICES__EMBEDDING__MODEL=my model 100%%"' in unit
    assert "secret-key" not in unit


def test_a_message_names_the_fleet_that_the_command_was_asked_about(argosy: Invoke, tmp_path: Path) -> None:
    folder = tmp_path / "my data"
    said = argosy("status", "--data-dir", str(folder), "--admin-url", "http://127.0.0.1:1").stderr
    assert f"argosy up --data-dir '{folder}'" in said
    refused = argosy("ask", "What?", "--url", "http://127.0.0.1:1").stderr
    assert "No fleet answers at http://127.0.0.1:1" in refused


def test_a_command_repeats_only_the_options_that_its_target_has() -> None:
    hints.remember("http://h:1", "http://h:2", Path("/data"))
    assert hints.command("status") == "argosy status --url http://h:1 --admin-url http://h:2 --data-dir /data"
    assert hints.command("up") == "argosy up --data-dir /data"
    hints.remember(None, None, None)
    assert hints.command("documents list") == "argosy documents list"

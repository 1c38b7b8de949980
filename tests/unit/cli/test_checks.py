"""Findings of `argosy doctor`, without the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.cli import checks
from argosy.cli.checks import Examined, Outcome
from argosy.cli.client.locate import FleetAddress
from argosy.config.models import Fleet

pytestmark = pytest.mark.unit

SECRET = "sk-very-secret"


def examined(
    data_dir: Path, settings: dict[str, object] | None = None, environ: dict[str, str] | None = None
) -> Examined:
    fleet = FleetAddress("http://127.0.0.1:0", "http://127.0.0.1:0", data_dir)
    return Examined(fleet, Fleet.model_validate(settings or {}), "", environ or {})


def with_provider(**generation: str) -> dict[str, object]:
    return {"services": {"generation": {"backend": "openai", "model": "small", **generation}}}


def test_a_key_alone_switches_nothing_on(tmp_path: Path) -> None:
    [found] = checks.check_generation(examined(tmp_path, environ={"OPENAI_API_KEY": SECRET}))

    assert (found.outcome, found.found) == (Outcome.OK, "extractive, no provider needed")


def test_a_provider_without_a_key_fails(tmp_path: Path) -> None:
    [found] = checks.check_generation(examined(tmp_path, with_provider()))

    assert found.outcome is Outcome.FAIL
    assert "OPENAI_API_KEY" in found.remedy


def test_an_endpoint_of_ones_own_may_need_no_key(tmp_path: Path) -> None:
    [found] = checks.check_generation(examined(tmp_path, with_provider(base_url="http://user:pw@model.test/v1?k=v")))

    assert found.outcome is Outcome.WARN
    assert "http://model.test/v1," in found.found
    assert "pw" not in found.found


def test_a_key_is_never_shown(tmp_path: Path) -> None:
    [found] = checks.check_generation(examined(tmp_path, with_provider(), {"OPENAI_API_KEY": SECRET}))

    assert found.outcome is Outcome.OK
    assert SECRET not in repr(found)


def test_a_data_folder_that_does_not_exist_yet_is_fine(tmp_path: Path) -> None:
    [found] = checks.check_data_dir(examined(tmp_path / "new" / "folder"))

    assert found.outcome is Outcome.OK
    assert "will be created" in found.found


def test_a_file_in_the_place_of_the_data_folder_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    [found] = checks.check_data_dir(examined(tmp_path / "file"))

    assert (found.outcome, found.found) == (Outcome.FAIL, f"{tmp_path / 'file'} is not a folder")


def test_a_missing_model_fails_and_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGOSY_MODEL_DIR", str(tmp_path))

    [found] = checks.check_model(examined(tmp_path))

    assert found.outcome is Outcome.FAIL
    assert found.remedy == "Run: argosy models fetch sentence-transformers/all-MiniLM-L6-v2"


def test_the_fake_back_end_is_pointed_out(tmp_path: Path) -> None:
    [found] = checks.check_model(examined(tmp_path, {"services": {"embedding": {"backend": "fake"}}}))

    assert found.outcome is Outcome.WARN


def test_ports_that_will_be_picked_are_fine(tmp_path: Path) -> None:
    assert {found.found for found in checks.check_ports(examined(tmp_path))} == {"a free port will be picked"}


@pytest.mark.parametrize(("free_gib", "outcome"), [(50, Outcome.OK), (2, Outcome.WARN), (0, Outcome.FAIL)])
def test_little_free_disk_warns_and_none_fails(
    free_gib: int, outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "_free_bytes", lambda folder: free_gib * 2**30)

    [found] = checks.check_disk(examined(tmp_path))

    assert found.outcome is outcome
    assert bool(found.remedy) == (outcome is not Outcome.OK)

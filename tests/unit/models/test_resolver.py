from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from argosy.contracts.errors import InvalidRequest, ModelMissing
from argosy.models import integrity
from argosy.models.catalog import CATALOG, DEFAULT_MODEL, PinnedModel
from argosy.models.integrity import sha256_of
from argosy.models.resolver import list_models, resolve
from argosy.models.sources import Progress, SourceFailed
from tests.unit.models.tiny_model import write_model

pytestmark = pytest.mark.unit

NAME = "someone/tiny"


class CountingSource:
    """Writes the tiny model, or fails as it is told."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.calls = 0
        self.failure = failure

    def __call__(self, name: str, pinned: PinnedModel | None, into: Path, progress: Progress) -> str:
        self.calls += 1
        if self.failure:
            raise self.failure
        write_model(into)
        return "test"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read to be hashed."""
    seen: list[str] = []

    def counting(path: Path) -> str:
        seen.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr(integrity, "sha256_of", counting)
    return seen


def test_a_fetched_model_is_found_again_without_a_source_and_without_hashing(tmp_path: Path, hashed: list[str]) -> None:
    source = CountingSource()
    first = resolve(NAME, fetch=True, cache=tmp_path, sources={"a": source})
    hashed.clear()
    again = resolve(NAME, fetch=True, cache=tmp_path, sources={"a": source})
    assert again == first
    assert again.weights_sha256 == sha256_of(again.weights)
    assert source.calls == 1
    assert hashed == []


def test_sources_are_tried_in_order_and_each_failure_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    sources = {"the first place": CountingSource(SourceFailed("it is closed")), "the second": CountingSource()}
    found = resolve(NAME, fetch=True, cache=tmp_path, sources=sources, progress=told.append)
    assert found.source == "test"
    assert any("the first place: it is closed" in line for line in told)


def test_when_nothing_works_the_error_says_what_was_tried_and_what_to_do(tmp_path: Path) -> None:
    sources = {"one": CountingSource(SourceFailed("closed")), "two": CountingSource(OSError(28, "No space left"))}
    with pytest.raises(ModelMissing) as caught:
        resolve(NAME, fetch=True, cache=tmp_path, sources=sources)
    for part in ("the cache: not there", "one: closed", "two: No space left", "argosy models fetch", "folder"):
        assert part in caught.value.message
    assert not [file for file in tmp_path.iterdir() if not file.name.endswith(".lock")]


def test_without_fetch_no_source_is_asked(tmp_path: Path) -> None:
    source = CountingSource()
    with pytest.raises(ModelMissing, match="argosy models fetch"):
        resolve(NAME, fetch=False, cache=tmp_path, sources={"a": source})
    assert source.calls == 0


def test_a_damaged_file_is_named_with_both_hashes_and_fetched_again(tmp_path: Path) -> None:
    source = CountingSource()
    model = resolve(NAME, fetch=True, cache=tmp_path, sources={"a": source})
    good = sha256_of(model.weights)
    model.weights.write_bytes(b"damaged")
    bad = sha256_of(model.weights)
    with pytest.raises(ModelMissing, match=rf"model\.safetensors is damaged .*{good}.*{bad}"):
        resolve(NAME, fetch=False, cache=tmp_path)
    told: list[str] = []
    healed = resolve(NAME, fetch=True, cache=tmp_path, sources={"a": source}, progress=told.append)
    assert sha256_of(healed.weights) == good
    assert any(good in line and bad in line for line in told)


def test_a_file_that_was_only_touched_is_hashed_once_more_and_kept(tmp_path: Path, hashed: list[str]) -> None:
    model = resolve(NAME, fetch=True, cache=tmp_path, sources={"a": CountingSource()})
    os.utime(model.weights, ns=(1, 1))
    hashed.clear()
    resolve(NAME, fetch=False, cache=tmp_path)
    resolve(NAME, fetch=False, cache=tmp_path)
    assert hashed == ["model.safetensors"]


def test_a_missing_file_counts_as_damage(tmp_path: Path) -> None:
    model = resolve(NAME, fetch=True, cache=tmp_path, sources={"a": CountingSource()})
    (model.path / "1_Pooling" / "config.json").unlink()
    with pytest.raises(ModelMissing, match=r"1_Pooling/config\.json"):
        resolve(NAME, fetch=False, cache=tmp_path)


def test_weights_that_miss_their_pin_are_refused_wherever_they_come_from(tmp_path: Path) -> None:
    pinned = {NAME: PinnedModel(NAME, "0" * 64)}
    with pytest.raises(ModelMissing, match=f"expected sha256 {'0' * 64}"):
        resolve(NAME, fetch=True, cache=tmp_path, sources={"a": CountingSource()}, catalog=pinned)
    write_model(tmp_path / "someone--tiny")
    with pytest.raises(ModelMissing, match=f"expected sha256 {'0' * 64}"):
        resolve(NAME, fetch=False, cache=tmp_path, catalog=pinned)


def test_a_model_placed_into_the_cache_by_hand_is_taken(tmp_path: Path) -> None:
    write_model(tmp_path / "someone--tiny")
    assert resolve(NAME, fetch=False, cache=tmp_path).source == "placed by hand"


def test_a_folder_is_used_as_it_is_and_nothing_is_written_into_it(tmp_path: Path, hashed: list[str]) -> None:
    folder = write_model(tmp_path / "mine")
    before = sorted(folder.rglob("*"))
    model = resolve(str(folder), fetch=False, cache=tmp_path / "cache")
    resolve(str(folder), fetch=False, cache=tmp_path / "cache")
    assert model.path == folder
    assert hashed == ["model.safetensors"]
    assert sorted(folder.rglob("*")) == before
    (folder / "model.safetensors").write_bytes(b"retrained")
    changed = resolve(str(folder), fetch=False, cache=tmp_path / "cache")
    assert changed.weights_sha256 != model.weights_sha256


def test_a_folder_that_is_no_model_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"no config\.json, tokenizer\.json, model\.safetensors"):
        resolve(str(tmp_path), fetch=False, cache=tmp_path / "cache")


@pytest.mark.parametrize("name", ["", "a/b/c", "../..", "a/../b", "-rf", "a b", "a/"])
def test_a_name_that_could_leave_the_cache_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises((InvalidRequest, ModelMissing)):
        resolve(name, fetch=True, cache=tmp_path / "cache", sources={})
    assert not (tmp_path / "cache").exists()


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGOSY_MODEL_DIR", str(tmp_path))
    assert resolve(NAME, fetch=True, sources={"a": CountingSource()}).path == tmp_path / "someone--tiny"


def test_the_listing_shows_the_catalogue_the_cache_and_what_is_damaged(tmp_path: Path) -> None:
    assert [(model.name, model.path) for model in list_models(tmp_path)] == [(name, None) for name in sorted(CATALOG)]
    model = resolve(NAME, fetch=True, cache=tmp_path, sources={"a": CountingSource()})
    model.weights.write_bytes(b"damaged")
    found = {listed.name: listed for listed in list_models(tmp_path)}
    assert found[DEFAULT_MODEL].pinned
    assert found[NAME].path == model.path
    assert "model.safetensors is damaged" in (found[NAME].fault or "")


def test_replicas_that_start_together_fetch_once(tmp_path: Path) -> None:
    class Slow(CountingSource):
        started, go = threading.Event(), threading.Event()

        def __call__(self, name: str, pinned: PinnedModel | None, into: Path, progress: Progress) -> str:
            self.started.set()
            assert self.go.wait(20)
            return super().__call__(name, pinned, into, progress)

    source = Slow()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(resolve, NAME, fetch=True, cache=tmp_path, sources={"a": source})
        assert source.started.wait(20)
        second = threads.submit(resolve, NAME, fetch=True, cache=tmp_path, sources={"a": source})
        source.go.set()
        assert first.result(20) == second.result(20)
    assert source.calls == 1

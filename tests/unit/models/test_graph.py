from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from argosy.contracts.errors import ModelMissing
from argosy.models import bert_onnx
from argosy.models.batch import packed
from argosy.models.description import Pooling, describe
from argosy.models.graph import graph_folder, graph_for
from argosy.models.resolver import ModelFolder, resolve
from tests.unit.models.numpy_bert import Floats, embedding
from tests.unit.models.tiny_model import tiny_weights, write_model

pytestmark = pytest.mark.unit

TEXTS = [[2, 4, 5, 6, 3], [2, 3], [2, 9, 9, 10, 11, 12, 5, 4, 3]]


def model_in(folder: Path, cache: Path) -> ModelFolder:
    return resolve(str(folder), fetch=False, cache=cache)


def run(graph: Path, texts: list[list[int]], pooling: Pooling = Pooling.MEAN) -> Floats:
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    wanted = {given.name for given in session.get_inputs()}
    (found,) = session.run(["embedding"], {name: a for name, a in packed(texts, pooling).items() if name in wanted})
    assert found.dtype == np.float32
    return np.asarray(found, dtype=np.float64)


@pytest.mark.parametrize("pooling", list(Pooling))
@pytest.mark.parametrize("normalise", [False, True])
def test_the_graph_agrees_with_plain_numpy_on_packed_batches(tmp_path: Path, pooling: Pooling, normalise: bool) -> None:
    folder = write_model(tmp_path / "model", pooling=pooling, normalise=normalise)
    about = describe(folder)
    assert about.pooling is pooling
    found = run(graph_for(model_in(folder, tmp_path / "cache"), about), TEXTS, pooling)
    expected = np.stack([embedding(tiny_weights(), about, ids) for ids in TEXTS])
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_a_second_start_builds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model(tmp_path / "model")
    model, about = model_in(folder, tmp_path / "cache"), describe(folder)
    first = graph_for(model, about)
    monkeypatch.setattr(bert_onnx, "build", lambda *_: pytest.fail("built again"))
    assert graph_for(model, about) == first


def test_other_weights_or_another_reading_get_another_graph(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    model, about = model_in(folder, tmp_path / "cache"), describe(folder)
    assert graph_folder(model, about) != graph_folder(replace(model, weights_sha256="0"), about)
    assert graph_folder(model, about) != graph_folder(model, replace(about, normalise=False))


def test_a_build_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    model, about = model_in(folder, tmp_path / "cache"), describe(folder)
    with pytest.raises(ModelMissing, match=r"encoder\.layer\.2\."):
        graph_for(model, replace(about, layers=3))
    assert [file for file in (tmp_path / "cache" / "graphs").iterdir() if file.suffix != ".lock"] == []


def test_replicas_that_start_together_build_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model(tmp_path / "model")
    model, about = model_in(folder, tmp_path / "cache"), describe(folder)
    build, started, go, builds = bert_onnx.build, threading.Event(), threading.Event(), []

    def slow(*given: object) -> object:
        builds.append(1)
        started.set()
        assert go.wait(20)
        return build(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(bert_onnx, "build", slow)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(graph_for, model, about)
        assert started.wait(20)
        second = threads.submit(graph_for, model, about)
        go.set()
        assert first.result(20) == second.result(20)
    assert len(builds) == 1
    assert run(first.result(), TEXTS).shape == (3, about.hidden_size)


def test_what_a_killed_builder_left_is_cleared_away(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    model, about = model_in(folder, tmp_path / "cache"), describe(folder)
    graphs = graph_folder(model, about).parent
    left, others = graphs / f".building-{graph_folder(model, about).name}-x", graphs / ".building-another-y"
    for abandoned in (left, others):
        abandoned.mkdir(parents=True)
        (abandoned / "weights.bin").touch()
    graph_for(model, about)
    assert not left.exists()
    assert others.exists()


@pytest.mark.parametrize("name", ["graph.onnx", "weights.bin", "verified.json"])
def test_a_damaged_graph_is_noticed_and_built_again(tmp_path: Path, name: str) -> None:
    folder = write_model(tmp_path / "model")
    model, about = model_in(folder, tmp_path / "cache"), describe(folder)
    graph = graph_for(model, about)
    good = run(graph, TEXTS)
    file = graph.parent / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    np.testing.assert_array_equal(run(graph_for(model, about), TEXTS), good)
    file.unlink()
    np.testing.assert_array_equal(run(graph_for(model, about), TEXTS), good)

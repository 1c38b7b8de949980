from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from argosy.contracts.errors import ModelMissing
from argosy.models import bert_onnx
from argosy.models.description import describe
from argosy.models.graph import graph_folder, graph_for
from argosy.models.resolver import ModelFolder, resolve
from tests.unit.models.numpy_bert import Floats, embedding
from tests.unit.models.tiny_model import VOCABULARY, tiny_weights, write_model

pytestmark = pytest.mark.unit

TEXTS = [[2, 4, 5, 6, 3], [2, 3], [2, 9, 9, 10, 11, 12, 5, 4, 3]]


def model_in(folder: Path, cache: Path) -> ModelFolder:
    return resolve(str(folder), fetch=False, cache=cache)


def run(graph: Path, texts: list[list[int]]) -> Floats:
    ids = np.zeros((len(texts), max(map(len, texts))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(texts):
        ids[row, : len(tokens)] = tokens
        ids[row, len(tokens) :] = len(VOCABULARY) - 1  # padding must not matter, whatever stands there
        mask[row, : len(tokens)] = 1
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    (found,) = session.run(["embedding"], {"input_ids": ids, "attention_mask": mask})
    assert found.dtype == np.float32
    return np.asarray(found, dtype=np.float64)


@pytest.mark.parametrize("cls", [False, True])
@pytest.mark.parametrize("normalise", [False, True])
def test_the_graph_agrees_with_plain_numpy_on_padded_batches(tmp_path: Path, cls: bool, normalise: bool) -> None:
    folder = write_model(tmp_path / "model", cls=cls, normalise=normalise)
    about = describe(folder)
    found = run(graph_for(model_in(folder, tmp_path / "cache"), about), TEXTS)
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
    assert list((tmp_path / "cache" / "graphs").iterdir()) == []


def test_two_builders_at_once_agree_on_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model(tmp_path / "model")
    model, about = model_in(folder, tmp_path / "cache"), describe(folder)
    build = bert_onnx.build

    def build_while_another_finishes(*given: object) -> object:
        monkeypatch.setattr(bert_onnx, "build", build)
        graph_for(model, about)
        return build(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(bert_onnx, "build", build_while_another_finishes)
    assert run(graph_for(model, about), TEXTS).shape == (3, about.hidden_size)


def test_weights_that_carry_a_prefix_are_understood(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    file = tmp_path / "model.safetensors"
    save_file({f"bert.{name}": tensor.astype(np.float16) for name, tensor in tiny_weights().items()}, file)
    found = bert_onnx.load_weights(file)
    assert found.keys() == tiny_weights().keys()
    assert {str(tensor.dtype) for tensor in found.values()} == {"float32"}
    file.write_bytes(b"not safetensors")
    with pytest.raises(ModelMissing, match="safetensors"):
        bert_onnx.load_weights(file)

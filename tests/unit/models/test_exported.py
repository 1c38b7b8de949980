"""A folder that brings its own ONNX graph: here one that gives every token its row of a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from argosy.contracts.embedding import TextKind
from argosy.contracts.errors import ModelMissing
from argosy.models.description import Pooling, UnsupportedModel
from argosy.models.resolver import resolve
from argosy.services.embedding.backends.onnx import OnnxEngine
from tests.unit.models.tiny_model import HIDDEN, VOCABULARY, write_config, write_model

pytestmark = pytest.mark.unit

TABLE = np.random.default_rng(3).normal(0, 1, (len(VOCABULARY), HIDDEN)).astype(np.float32)
TEXTS = {"the tide rises": [2, 4, 5, 6, 3], "": [2, 3], "a keeper lights": [2, 13, 14, 15, 3]}


def exported(
    *, opset: int = 13, output: str = "last_hidden_state", domain: str = "", types: bool = True
) -> onnx.ModelProto:
    """Write a model as exporters do; `sentence_embedding` comes summed up and not of unit length."""
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if types else [])]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "s"]) for name in names]
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["rows"])]
    constants = [numpy_helper.from_array(TABLE, "table")]
    if output == "sentence_embedding":
        nodes.append(helper.make_node("ReduceMean", ["rows"], [output], axes=[1], keepdims=0))
    else:
        nodes.append(helper.make_node("Identity", ["rows"], [output], domain=domain))
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "exported", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def folder_with(
    model: onnx.ModelProto, folder: Path, name: str = "onnx/model.onnx", pooling: Pooling = Pooling.MEAN
) -> Path:
    write_model(folder, pooling=pooling)
    (folder / "model.safetensors").unlink()
    (folder / name).parent.mkdir(exist_ok=True)
    onnx.save(model, folder / name)
    return folder


def engine_of(folder: Path) -> OnnxEngine:
    return OnnxEngine(resolve(str(folder), fetch=False, cache=folder.parent / "cache"))


def unit(vector: np.ndarray) -> np.ndarray:
    found: np.ndarray = vector / np.linalg.norm(vector)
    return found


@pytest.mark.parametrize("opset", [11, 13, 20])
@pytest.mark.parametrize("pooling", list(Pooling))
def test_pooling_and_normalisation_follow_the_folder(tmp_path: Path, pooling: Pooling, opset: int) -> None:
    folder = folder_with(exported(opset=opset), tmp_path / "tiny", pooling=pooling)
    vectors = engine_of(folder).embed(list(TEXTS), TextKind.PASSAGE)
    for vector, ids in zip(vectors, TEXTS.values(), strict=True):
        rows = TABLE[ids]
        expected = {Pooling.MEAN: rows.mean(axis=0), Pooling.CLS: rows[0], Pooling.MAX: rows.max(axis=0)}[pooling]
        np.testing.assert_allclose(vector, unit(expected), atol=1e-6)


def test_a_graph_that_pools_itself_is_only_normalised(tmp_path: Path) -> None:
    folder = folder_with(exported(output="sentence_embedding", types=False), tmp_path / "tiny", "model.onnx")
    (vector,) = engine_of(folder).embed(["the tide rises"], TextKind.PASSAGE)
    np.testing.assert_allclose(vector, unit(TABLE[TEXTS["the tide rises"]].mean(axis=0)), atol=1e-6)


def test_any_architecture_will_do_and_its_graph_is_cached(tmp_path: Path) -> None:
    folder = folder_with(exported(output="token_embeddings"), tmp_path / "tiny")
    write_config(folder, model_type="mpnet", hidden_act="relu")
    first = engine_of(folder).embed(["noon"], TextKind.QUERY)
    (graph,) = (tmp_path / "cache" / "graphs").glob("*/graph.onnx")
    assert np.array_equal(engine_of(folder).embed(["noon"], TextKind.QUERY), first)
    assert [*(tmp_path / "cache" / "graphs").glob("*/graph.onnx")] == [graph]


def test_tensors_in_a_file_beside_it_count_as_its_content(tmp_path: Path) -> None:
    folder = folder_with(exported(), tmp_path / "tiny")
    before = engine_of(folder).info.revision
    onnx.save(
        exported(), folder / "onnx/model.onnx", save_as_external_data=True, location="model.onnx_data", size_threshold=0
    )
    engine = engine_of(folder)
    (vector,) = engine.embed(["the tide rises"], TextKind.PASSAGE)
    np.testing.assert_allclose(vector, unit(TABLE[TEXTS["the tide rises"]].mean(axis=0)), atol=1e-6)
    data = folder / "onnx/model.onnx_data"
    data.write_bytes(data.read_bytes()[::-1])
    assert len({before, engine.info.revision, engine_of(folder).info.revision}) == 3
    data.unlink()
    with pytest.raises(UnsupportedModel, match=r"model\.onnx_data"):
        engine_of(folder)


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "other.bin", "../onnx/../../x"])
def test_tensors_outside_the_folder_are_never_read(tmp_path: Path, location: str) -> None:
    model = exported()
    (table,) = model.graph.initializer
    table.ClearField("raw_data")
    table.data_location = TensorProto.EXTERNAL
    table.external_data.add(key="location", value=location)
    folder = folder_with(model, tmp_path / "tiny")
    for name in ("secret.bin", "other.bin"):
        (folder / name).write_bytes(TABLE.tobytes())
    with pytest.raises(UnsupportedModel, match="beside it"):
        engine_of(folder)


def test_operators_from_elsewhere_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=r"evil\.Identity"):
        engine_of(folder_with(exported(domain="evil"), tmp_path / "tiny"))


def test_a_graph_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=r"has the outputs logits; it needs one of .*last_hidden_state"):
        engine_of(folder_with(exported(output="logits"), tmp_path / "tiny"))


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    folder = folder_with(exported(), tmp_path / "tiny")
    (folder / "onnx/model.onnx").write_bytes(b"\x08damaged")
    with pytest.raises(ModelMissing, match=r"model\.onnx .*sha256"):
        engine_of(folder)


def test_int8_needs_safetensors(tmp_path: Path) -> None:
    folder = folder_with(exported(), tmp_path / "tiny")
    with pytest.raises(UnsupportedModel, match="fp32"):
        OnnxEngine(resolve(str(folder), fetch=False, cache=tmp_path / "cache"), precision="int8")

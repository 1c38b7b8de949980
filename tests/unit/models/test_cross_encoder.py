from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from argosy.contracts.errors import ModelMissing
from argosy.models.cross_encoder import CrossEncoder
from argosy.models.description import UnsupportedModel, describe_cross_encoder
from argosy.models.resolver import resolve
from argosy.models.weights import load_weights
from tests.unit.models.numpy_bert import relevance
from tests.unit.models.tiny_model import (
    PAIR_TOKENS,
    VOCABULARY,
    cross_encoder_weights,
    write_cross_encoder,
    write_json,
)

pytestmark = pytest.mark.unit

QUERY = "the tide rises"
PASSAGES = ["at noon", "a keeper lights the lamp by night and the tide falls at noon", "the", "night night night falls"]
CLS, SEP = VOCABULARY.index("[CLS]"), VOCABULARY.index("[SEP]")


def encoder_in(folder: Path, max_tokens: int = 512) -> CrossEncoder:
    return CrossEncoder(resolve(str(folder), fetch=False, cache=folder.parent / "cache"), max_tokens=max_tokens)


def test_the_scores_agree_with_plain_numpy_for_batches_and_single_pairs(tmp_path: Path) -> None:
    folder = write_cross_encoder(tmp_path / "tiny")
    weights, about = load_weights(folder / "model.safetensors"), describe_cross_encoder(folder)
    encoder = encoder_in(folder)

    pairs = encoder.read(QUERY, PASSAGES)
    expected = [relevance(weights, about, pair.ids, pair.types) for pair in pairs]

    np.testing.assert_allclose(encoder.scores(pairs), expected, atol=1e-5)
    np.testing.assert_allclose([encoder.scores([pair])[0] for pair in pairs], expected, atol=1e-5)
    assert len({round(score, 3) for score in expected}) == len(expected)
    assert all(0 <= score <= 1 for score in expected)


def test_xlm_roberta_is_built_with_its_own_head_and_without_token_types(tmp_path: Path) -> None:
    folder = write_cross_encoder(tmp_path / "tiny", model_type="xlm-roberta", pad_token_id=1)
    bert = {name.removeprefix("bert."): tensor for name, tensor in cross_encoder_weights().items()}
    renamed = {
        "pooler.dense.weight": "classifier.dense.weight",
        "pooler.dense.bias": "classifier.dense.bias",
        "classifier.weight": "classifier.out_proj.weight",
        "classifier.bias": "classifier.out_proj.bias",
    }
    roberta = {renamed.get(name, f"roberta.{name}"): tensor for name, tensor in bert.items()}
    types = "roberta.embeddings.token_type_embeddings.weight"
    save_file({**roberta, types: roberta[types][:1].copy()}, folder / "model.safetensors")
    weights, about = load_weights(folder / "model.safetensors"), describe_cross_encoder(folder)
    encoder = encoder_in(folder)

    pairs = encoder.read(QUERY, PASSAGES)

    expected = [relevance(weights, about, pair.ids, [0] * len(pair.ids)) for pair in pairs]
    np.testing.assert_allclose(encoder.scores(pairs), expected, atol=1e-5)
    assert len({round(score, 3) for score in expected}) == len(expected)


def test_the_token_types_tell_the_query_from_the_passage(tmp_path: Path) -> None:
    folder = write_cross_encoder(tmp_path / "tiny")
    weights, about = load_weights(folder / "model.safetensors"), describe_cross_encoder(folder)
    encoder = encoder_in(folder)

    (pair,) = encoder.read("the tide", ["rises"])

    words = [VOCABULARY.index(word) for word in ("the", "tide", "rises")]
    assert pair.ids == [CLS, words[0], words[1], SEP, words[2], SEP]
    assert pair.types == [0, 0, 0, 0, 1, 1]
    blind = relevance(weights, about, pair.ids, [0] * 6)
    assert abs(encoder.scores([pair])[0] - blind) > 1e-3


def test_a_pair_that_is_too_long_loses_the_end_of_its_longer_text(tmp_path: Path) -> None:
    encoder = encoder_in(write_cross_encoder(tmp_path / "tiny"))

    (pair,) = encoder.read("the tide", ["noon " * 100])

    assert (len(pair.ids), pair.types.count(0), pair.cut) == (PAIR_TOKENS, 4, True)
    (short,) = encoder_in(tmp_path / "tiny", max_tokens=8).read("the tide", ["noon " * 100])
    assert len(short.ids) == 8


def test_a_model_with_several_labels_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_cross_encoder(tmp_path / "tiny", id2label={"0": "no", "1": "maybe", "2": "yes"})

    with pytest.raises(UnsupportedModel, match="3 classes"):
        encoder_in(folder)


@pytest.mark.parametrize(
    ("tensor", "value", "said"),
    [
        ("classifier.weight", np.zeros((2, 16), np.float32), r"classifier\.weight has shape \[2, 16\]"),
        ("bert.pooler.dense.weight", None, r"no tensor pooler\.dense\.weight"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    tmp_path: Path, tensor: str, value: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None, said: str
) -> None:
    folder = write_cross_encoder(tmp_path / "tiny")
    weights = {name: one for name, one in cross_encoder_weights().items() if name != tensor}
    save_file(weights if value is None else {**weights, tensor: value}, folder / "model.safetensors")

    with pytest.raises(ModelMissing, match=said):
        encoder_in(folder)


def exported_graph(file: Path, labels: int = 1) -> None:
    """Write a graph whose logit is the number of tokens of the passage minus 3, as another architecture might."""
    nodes = [
        helper.make_node("Mul", ["token_type_ids", "attention_mask"], ["passage"]),
        helper.make_node("ReduceSum", ["passage", "one"], ["count"], keepdims=1),
        helper.make_node("Cast", ["count"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["number", "three"], ["single"]),
        helper.make_node("Concat", ["single"] * labels, ["logits"], axis=1),
    ]
    names = ("input_ids", "attention_mask", "token_type_ids")
    graph = helper.make_graph(
        nodes,
        "other",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"]) for name in names],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])],
        [
            numpy_helper.from_array(np.array([1], np.int64), "one"),
            numpy_helper.from_array(np.array(3, np.float32), "three"),
        ],
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)


def test_another_architecture_runs_from_its_own_graph_although_it_has_safetensors(tmp_path: Path) -> None:
    folder = write_cross_encoder(tmp_path / "other", model_type="other")
    exported_graph(folder / "onnx" / "model.onnx")

    encoder = encoder_in(folder)

    scores = encoder.scores(encoder.read("the tide", ["noon", "noon noon noon noon", "noon noon"]))
    np.testing.assert_allclose(scores, [1 / (1 + np.exp(-logit)) for logit in (-1.0, 2.0, 0.0)], atol=1e-6)


def test_another_architecture_without_a_graph_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_cross_encoder(tmp_path / "other", model_type="other")

    with pytest.raises(UnsupportedModel, match="other"):
        encoder_in(folder)


def test_a_graph_of_several_labels_or_without_logits_is_refused(tmp_path: Path) -> None:
    folder = write_cross_encoder(tmp_path / "other", model_type="other", id2label=None)
    exported_graph(folder / "onnx" / "model.onnx", labels=3)
    with pytest.raises(UnsupportedModel, match="3 values"):
        encoder_in(folder)

    model = onnx.load(folder / "onnx" / "model.onnx")
    model.graph.output[0].name = "single"
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 1
    onnx.save(model, folder / "onnx" / "model.onnx")
    with pytest.raises(UnsupportedModel, match="logits"):
        encoder_in(folder)


def test_a_model_type_that_cannot_be_read_is_reported_by_the_reader(tmp_path: Path) -> None:
    folder = write_cross_encoder(tmp_path / "tiny")
    write_json(folder / "config.json", ["no", "object"])

    with pytest.raises(ModelMissing, match=r"config\.json"):
        encoder_in(folder)

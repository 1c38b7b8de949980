"""BERT or RoBERTa encoder with pooling, or with a head that scores pairs, as an ONNX graph over a packed batch.

The texts of a batch lie one after another without padding (`argosy.models.batch.packed`). All products with weights
therefore process real tokens only, and only attention works on a padded view. Query, key and value share one matrix
product. The scale of attention is folded into the query's weights, the one token type that single texts use into the
positions, and biases into `Gemm`. docs/decisions/0013 lists the other measurements.

Importing this module imports `onnx`: `argosy.models.graph` does so only to build.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from argosy.contracts.errors import ModelMissing
from argosy.models.catalog import ROBERTA_TYPES
from argosy.models.description import ModelDescription, Pooling
from argosy.models.weights import Floats, Weights

_OPSET, _IR_VERSION = 20, 10
PAIR_TYPES = 2
"""Token types of a pair: 0 in the query, 1 in the passage."""
FUSED = "com.microsoft"
"""Domain of ONNX Runtime's own operators."""

_INPUTS: dict[str, tuple[int, list[str | int]]] = {
    "ids": (TensorProto.INT64, ["tokens"]),
    "types": (TensorProto.INT64, ["tokens"]),
    "positions": (TensorProto.INT64, ["tokens"]),
    "rows": (TensorProto.INT64, ["batch", "sequence"]),
    "places": (TensorProto.INT64, ["tokens"]),
    "bias": (TensorProto.FLOAT, ["batch", 1, 1, "sequence"]),
    "pool": (TensorProto.FLOAT, ["batch", "tokens"]),
}


class Linear(Protocol):
    """Builder of a product. It appends `tokens @ weight + offset` as `name` and returns the name of the result."""

    def __call__(self, nodes: Nodes, name: str, tokens: str, weight: Floats, offset: Floats) -> str: ...


class Nodes:
    """Nodes and constants of a graph under construction. `op` returns the name of the node's result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._names: dict[tuple[int, ...], str] = {}

    def op(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        result = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [result], domain=domain, **attributes))
        return result

    def ints(self, *values: int) -> str:
        if values not in self._names:
            self._names[values] = self.const(values, np.int64)
        return self._names[values]

    def const(self, value: npt.ArrayLike, kind: type[np.generic] = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind, order="C"), name))
        return name


def exact(nodes: Nodes, name: str, tokens: str, weight: Floats, offset: Floats) -> str:
    """Append the product in float32."""
    return nodes.op("Gemm", tokens, nodes.const(weight), nodes.const(offset))


def build(
    weights: Weights, description: ModelDescription, linear: Linear = exact, *, watched: list[str] | None = None
) -> onnx.ModelProto:
    """Return the graph with its weights inside. Names that `linear` puts into `watched` also become outputs.

    Raises: ModelMissing, naming the tensor, when a tensor is absent or its shape differs from the description.
    """
    try:
        return _Bert(weights, description, linear).model([] if watched is None else watched)
    except KeyError as error:
        raise _absent(error) from error


def build_scores(weights: Weights, description: ModelDescription) -> onnx.ModelProto:
    """Return the graph of a cross-encoder: the encoder, its pooler and a classifier with one label.

    Its output `score` (float32, [batch]) is in [0, 1].

    Raises: ModelMissing, naming the tensor, when a tensor is absent or its shape differs from the description.
    """
    try:
        return _Bert(weights, description, exact, pairs=True).scoring_model()
    except KeyError as error:
        raise _absent(error) from error


def _absent(error: KeyError) -> ModelMissing:
    return ModelMissing(f"The model's weights have no tensor {error.args[0]}; fetch the model again.")


def save(model: onnx.ModelProto, folder: str, graph: str, weights: str) -> None:
    """Write the graph and, in a second file, its weights.

    Raises: OSError when the folder cannot be written.
    """
    onnx.save(model, f"{folder}/{graph}", save_as_external_data=True, location=weights, size_threshold=1024)


class _Bert:
    """Builder of the graph. Methods append nodes and return the name of the result, of shape [tokens, features]."""

    def __init__(self, weights: Weights, description: ModelDescription, linear: Linear, *, pairs: bool = False) -> None:
        """Create a builder; with `pairs`, the graph takes the token types of pairs as an input if the model has any."""
        self._weights = weights
        self._about = description
        self._linear = linear
        self._typed = pairs and description.model_type not in ROBERTA_TYPES
        self._nodes = Nodes()

    def scoring_model(self) -> onnx.ModelProto:
        nodes, hidden = self._nodes, self._about.hidden_size
        first = nodes.op("MatMul", "pool", self._encoded())
        roberta = self._about.model_type in ROBERTA_TYPES
        pooler, classifier = ("classifier.dense", "classifier.out_proj") if roberta else ("pooler.dense", "classifier")
        pooled = nodes.op("Tanh", self._dense(first, pooler, hidden, hidden))
        logit = self._dense(pooled, classifier, 1, hidden)
        share = nodes.op("Sigmoid", logit)
        unused = set() if self._typed else {"types"}
        nodes.nodes.append(helper.make_node("Reshape", [share, nodes.ints(-1)], ["score"]))
        return self._graph([helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch"])], unused=unused)

    def model(self, watched: list[str]) -> onnx.ModelProto:
        about, nodes = self._about, self._nodes
        tokens = self._encoded()
        pooled = self._max(tokens) if about.pooling is Pooling.MAX else nodes.op("MatMul", "pool", tokens)
        if about.normalise:
            nodes.nodes.append(helper.make_node("LpNormalization", [pooled], ["embedding"], axis=-1, p=2))
        else:
            nodes.nodes.append(helper.make_node("Identity", [pooled], ["embedding"]))
        outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", about.hidden_size])]
        outputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in watched]
        return self._graph(outputs, unused={"types", *(("pool",) if about.pooling is Pooling.MAX else ())})

    def _graph(self, outputs: list[onnx.ValueInfoProto], unused: set[str]) -> onnx.ModelProto:
        nodes = self._nodes
        inputs = [helper.make_tensor_value_info(name, *of) for name, of in _INPUTS.items() if name not in unused]
        graph = helper.make_graph(nodes.nodes, self._about.model_type, inputs, outputs, nodes.constants)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(FUSED, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)

    def _encoded(self) -> str:
        tokens = self._embeddings()
        for layer in range(self._about.layers):
            tokens = self._layer(f"encoder.layer.{layer}.", tokens)
        return tokens

    def _embeddings(self) -> str:
        about, nodes = self._about, self._nodes
        words = self._weight("embeddings.word_embeddings.weight", about.vocab_size, about.hidden_size)
        first = about.first_position
        table = self._weight("embeddings.position_embeddings.weight", first + about.max_positions, about.hidden_size)
        places = table[first:]
        types = "embeddings.token_type_embeddings.weight"
        word = nodes.op("Gather", nodes.const(words), "ids")
        if self._typed:
            kind = nodes.op("Gather", nodes.const(self._weight(types, PAIR_TYPES, about.hidden_size)), "types")
            word = nodes.op("Add", word, kind)
        else:
            places = places + self._weights[types][0]
        place = nodes.op("Gather", nodes.const(places), "positions")
        return self._norm(nodes.op("Add", word, place), "embeddings.LayerNorm")

    def _layer(self, prefix: str, tokens: str) -> str:
        hidden = self._about.hidden_size
        inner = len(self._weights[prefix + "intermediate.dense.weight"])
        attended = self._attention(prefix, tokens)
        mixed = self._dense(attended, prefix + "attention.output.dense", hidden, hidden)
        tokens = self._norm(self._nodes.op("Add", mixed, tokens), prefix + "attention.output.LayerNorm")
        wide = self._nodes.op("Gelu", self._dense(tokens, prefix + "intermediate.dense", inner, hidden))
        outer = self._dense(wide, prefix + "output.dense", hidden, inner)
        return self._norm(self._nodes.op("Add", outer, tokens), prefix + "output.LayerNorm")

    def _attention(self, prefix: str, tokens: str) -> str:
        nodes, heads, hidden = self._nodes, self._about.heads, self._about.hidden_size
        scale = np.float32((hidden // heads) ** -0.5)
        parts = [(f"{prefix}attention.self.{part}", by) for part, by in (("query", scale), ("key", 1), ("value", 1))]
        weight = np.concatenate([self._weight(f"{part}.weight", hidden, hidden).T * by for part, by in parts], axis=1)
        offset = np.concatenate([self._weight(f"{part}.bias", hidden) * by for part, by in parts])
        product = self._linear(nodes, f"{prefix}attention.self", tokens, weight, offset)
        split = [part for part, _ in parts]
        padded = nodes.op("Gather", product, "rows", axis=0)
        nodes.nodes.append(helper.make_node("Split", [padded], split, axis=-1, num_outputs=len(split)))
        by_head = nodes.ints(0, 0, heads, hidden // heads)
        query, key, value = (
            nodes.op("Transpose", nodes.op("Reshape", part, by_head), perm=perm)
            for part, perm in zip(split, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True)
        )
        shares = nodes.op("Softmax", nodes.op("Add", nodes.op("MatMul", query, key), "bias"), axis=-1)
        together = nodes.op("Transpose", nodes.op("MatMul", shares, value), perm=[0, 2, 1, 3])
        return nodes.op("Gather", nodes.op("Reshape", together, nodes.ints(-1, hidden)), "places", axis=0)

    def _max(self, tokens: str) -> str:
        """Append the maximum of every feature. The score bias also masks features of empty places."""
        nodes = self._nodes
        mask = nodes.op("Transpose", nodes.op("Squeeze", "bias", nodes.ints(1)), perm=[0, 2, 1])
        padded = nodes.op("Add", nodes.op("Gather", tokens, "rows", axis=0), mask)
        return nodes.op("ReduceMax", padded, nodes.ints(1), keepdims=0)

    def _dense(self, tokens: str, name: str, outputs: int, inputs: int) -> str:
        weight, offset = self._weight(f"{name}.weight", outputs, inputs), self._weight(f"{name}.bias", outputs)
        return self._linear(self._nodes, name, tokens, weight.T, offset)

    def _norm(self, tokens: str, name: str) -> str:
        gain, offset = (self._weight(f"{name}.{part}", self._about.hidden_size) for part in ("weight", "bias"))
        epsilon = self._about.layer_norm_eps
        constants = (self._nodes.const(gain), self._nodes.const(offset))
        return self._nodes.op("LayerNormalization", tokens, *constants, axis=-1, epsilon=epsilon)

    def _weight(self, name: str, *shape: int) -> Floats:
        found = self._weights[name]
        if found.shape != shape:
            raise ModelMissing(
                f"The tensor {name} has shape {list(found.shape)}, not {list(shape)} as in config.json; fetch it again."
            )
        return found

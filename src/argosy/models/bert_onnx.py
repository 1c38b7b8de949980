"""A BERT encoder with pooling, written as an ONNX graph of standard operators.

ONNX Runtime's own optimiser makes this graph as fast as one written with its fused operators
(`Attention`, `SkipLayerNormalization`), and it needs no knowledge of them. Query, key and value share one
matrix product; the scale of attention is folded into the query's weights, and the one token type that
single texts use into the positions.

Importing this module imports `onnx`: `argosy.models.graph` does so only to build.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors import SafetensorError
from safetensors.numpy import load_file

from argosy.contracts.errors import ModelMissing
from argosy.models.description import ModelDescription, Pooling

Floats = npt.NDArray[np.float32]
Weights = Mapping[str, Floats]

_OPSET, _IR_VERSION = 20, 10
_MASKED = -1e9
"""Added to the attention score of a padding token: its share underflows to exactly 0."""


def load_weights(file: Path) -> dict[str, Floats]:
    """All tensors as float32, without the `bert.` that some files put before every name. Raises: ModelMissing."""
    try:
        tensors = load_file(file)
    except (SafetensorError, OSError) as error:
        raise ModelMissing(f"The model's {file.name} cannot be read: {error}") from error
    return {name.removeprefix("bert."): tensor.astype(np.float32, copy=False) for name, tensor in tensors.items()}


def build(weights: Weights, description: ModelDescription) -> onnx.ModelProto:
    """The graph with its weights inside. Raises: ModelMissing naming a tensor that is absent."""
    try:
        return _Bert(weights, description).model()
    except KeyError as error:
        raise ModelMissing(f"The model's weights hold no tensor {error.args[0]}.") from error


def save(model: onnx.ModelProto, file: Path) -> None:
    """Write the graph to `file` and its weights beside it. Raises: OSError."""
    onnx.save(model, str(file), save_as_external_data=True, location="weights.bin", size_threshold=1024)


class _Bert:
    """Collects nodes and constants; every method appends what it needs and returns the name of its result."""

    def __init__(self, weights: Weights, description: ModelDescription) -> None:
        self._weights = weights
        self._about = description
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def model(self) -> onnx.ModelProto:
        about = self._about
        mask = self._op("Cast", "attention_mask", to=TensorProto.FLOAT)
        padding = self._op("Sub", self._const(1.0), self._op("Unsqueeze", mask, self._ints(1, 2)))
        bias = self._op("Mul", padding, self._const(_MASKED))
        tokens = self._embeddings()
        for layer in range(about.layers):
            tokens = self._layer(f"encoder.layer.{layer}.", tokens, bias)
        pooled = self._mean(tokens, mask) if about.pooling is Pooling.MEAN else self._first(tokens)
        if about.normalise:
            self._nodes.append(helper.make_node("LpNormalization", [pooled], ["embedding"], axis=-1, p=2))
        else:
            self._nodes.append(helper.make_node("Identity", [pooled], ["embedding"]))
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
            for name in ("input_ids", "attention_mask")
        ]
        output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", about.hidden_size])
        graph = helper.make_graph(self._nodes, about.model_type, inputs, [output], self._constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)

    def _embeddings(self) -> str:
        words = self._const(self._weights["embeddings.word_embeddings.weight"])
        token_type = self._weights["embeddings.token_type_embeddings.weight"][0]
        positions = self._const(self._weights["embeddings.position_embeddings.weight"] + token_type)
        length = self._op("Shape", "input_ids", start=1, end=2)
        used = self._op("Slice", positions, self._ints(0), length)
        return self._norm(self._op("Add", self._op("Gather", words, "input_ids"), used), "embeddings.LayerNorm")

    def _layer(self, prefix: str, tokens: str, bias: str) -> str:
        attended = self._attention(prefix + "attention.self.", tokens, bias)
        mixed = self._linear(attended, prefix + "attention.output.dense")
        tokens = self._norm(self._op("Add", mixed, tokens), prefix + "attention.output.LayerNorm")
        inner = self._op("Gelu", self._linear(tokens, prefix + "intermediate.dense"))
        outer = self._linear(inner, prefix + "output.dense")
        return self._norm(self._op("Add", outer, tokens), prefix + "output.LayerNorm")

    def _attention(self, prefix: str, tokens: str, bias: str) -> str:
        heads, hidden = self._about.heads, self._about.hidden_size
        scale = np.float32((hidden // heads) ** -0.5)
        parts = [(part, scale if part == "query" else np.float32(1)) for part in ("query", "key", "value")]
        weight = np.concatenate([self._weights[f"{prefix}{part}.weight"].T * by for part, by in parts], axis=1)
        offset = np.concatenate([self._weights[f"{prefix}{part}.bias"] * by for part, by in parts])
        product = self._op("Add", self._op("MatMul", tokens, self._const(weight)), self._const(offset))
        split = [f"{prefix}{part}" for part, _ in parts]
        self._nodes.append(helper.make_node("Split", [product], split, axis=-1, num_outputs=len(split)))
        by_head = self._ints(0, 0, heads, hidden // heads)
        query, key, value = (
            self._op("Transpose", self._op("Reshape", part, by_head), perm=perm)
            for part, perm in zip(split, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True)
        )
        shares = self._op("Softmax", self._op("Add", self._op("MatMul", query, key), bias), axis=-1)
        together = self._op("Transpose", self._op("MatMul", shares, value), perm=[0, 2, 1, 3])
        return self._op("Reshape", together, self._ints(0, 0, hidden))

    def _mean(self, tokens: str, mask: str) -> str:
        total = self._op("MatMul", self._op("Unsqueeze", mask, self._ints(1)), tokens)
        count = self._op("ReduceSum", mask, self._ints(1), keepdims=1)
        return self._op("Div", self._op("Squeeze", total, self._ints(1)), count)

    def _first(self, tokens: str) -> str:
        return self._op("Gather", tokens, self._const(0, np.int64), axis=1)

    def _linear(self, tokens: str, name: str) -> str:
        product = self._op("MatMul", tokens, self._const(self._weights[name + ".weight"].T))
        return self._op("Add", product, self._const(self._weights[name + ".bias"]))

    def _norm(self, tokens: str, name: str) -> str:
        gain, offset = self._const(self._weights[name + ".weight"]), self._const(self._weights[name + ".bias"])
        return self._op("LayerNormalization", tokens, gain, offset, axis=-1, epsilon=self._about.layer_norm_eps)

    def _op(self, operator: str, *inputs: str, **attributes: Any) -> str:
        result = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [result], **attributes))
        return result

    def _ints(self, *values: int) -> str:
        return self._const(values, np.int64)

    def _const(self, value: npt.ArrayLike, kind: type[np.generic] = np.float32) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value, kind, order="C"), name))
        return name

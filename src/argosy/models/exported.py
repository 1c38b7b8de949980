"""Adaptation of a folder's own ONNX graph, to which pooling and normalisation are appended.

Only operators that are the same in every version of the standard are added, so the graph's own version does not matter.

Importing this module imports `onnx`: `argosy.models.graph` does so only to build.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from argosy.contracts.errors import ModelMissing
from argosy.models.batch import MASKED
from argosy.models.description import ModelDescription, Pooling, UnsupportedModel
from argosy.models.integrity import unreadable
from argosy.models.weights import weights_files

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
TOKENS, SENTENCE = ("last_hidden_state", "token_embeddings"), "sentence_embedding"
"""Names of outputs: vectors of tokens [batch, sequence, hidden], or of texts [batch, hidden]."""

LOGITS = "logits"
"""Name of a cross-encoder's output, [batch, 1]."""

DOMAINS = ("", "ai.onnx", "com.microsoft")
"""Domains whose operators ONNX Runtime contains. Any other domain would load code from elsewhere."""


def adapt(folder: Path, file: Path, description: ModelDescription) -> onnx.ModelProto:
    """Return the graph in `file` with the single output `embedding`.

    Raises: UnsupportedModel when inputs, outputs or operators are unknown, or when tensors are in files outside the
    folder or not named after `file`; ModelMissing when a file cannot be read.
    """
    model = _checked(folder, file)
    _pool(model, description)
    return model


def adapt_scores(folder: Path, file: Path) -> onnx.ModelProto:
    """Return the graph of a cross-encoder in `file` with the single output `score` (float32, [batch], in [0, 1]).

    Raises: the errors of `adapt`; UnsupportedModel when the graph has no output `logits`, or one of several labels.
    """
    model = _checked(folder, file)
    graph = model.graph
    outputs = {value.name: value for value in graph.output}
    if LOGITS not in outputs:
        raise UnsupportedModel(f"The ONNX graph has the outputs {', '.join(outputs)}; a cross-encoder has {LOGITS}.")
    sizes = [part.dim_value for part in outputs[LOGITS].type.tensor_type.shape.dim]
    if len(sizes) == 2 and sizes[1] > 1:
        raise UnsupportedModel(f"The ONNX graph gives {sizes[1]} values for a pair; a cross-encoder gives one score.")
    ours = _Tail(graph)
    share = ours.op("Sigmoid", ours.op("Cast", LOGITS, to=TensorProto.FLOAT))
    graph.node.append(helper.make_node("Reshape", [share, ours.const([-1], np.int64)], ["score"]))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch"]))
    return model


def _checked(folder: Path, file: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(file, load_external_data=False)
    except Exception as error:  # protobuf's errors and the library's have no other common base
        raise unreadable(file, "it is not an ONNX graph") from error
    _check_tensors(folder, file, model.graph)
    _check_operators(model)
    try:
        onnx.load_external_data_for_model(model, str(file.parent))
    except Exception as error:
        raise unreadable(file, f"the tensors beside it cannot be read: {error}") from error
    return model


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
                yield from _graphs(inner)


def _check_tensors(folder: Path, file: Path, graph: onnx.GraphProto) -> None:
    allowed = {folder / name for name in weights_files(folder)}
    for part in _graphs(graph):
        held = [tensor for node in part.node for attribute in node.attribute for tensor in _tensors(attribute)]
        for tensor in (*part.initializer, *held):
            if not uses_external_data(tensor):
                continue
            location = PurePosixPath(ExternalDataInfo(tensor).location)
            if location.is_absolute() or ".." in location.parts or file.parent / location not in allowed:
                raise UnsupportedModel(
                    f"{file.name} keeps the tensor {tensor.name} in {str(location)!r}; only a file beside it whose "
                    f"name begins with {file.name} is read."
                )


def _tensors(attribute: onnx.AttributeProto) -> list[onnx.TensorProto]:
    return [*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors]


def _check_operators(model: onnx.ModelProto) -> None:
    own = {(function.domain, function.name) for function in model.functions}
    nodes = [node for graph in _graphs(model.graph) for node in graph.node]
    nodes += [node for function in model.functions for node in function.node]
    for node in nodes:
        if node.domain not in DOMAINS and (node.domain, node.op_type) not in own:
            raise UnsupportedModel(f"The operator {node.domain}.{node.op_type} of the ONNX graph is not supported.")
    unknown = [value.name for value in model.graph.input if value.name not in INPUTS]
    if unknown:
        raise UnsupportedModel(f"The ONNX graph needs the inputs {', '.join(unknown)}; only {', '.join(INPUTS)} exist.")


def _pool(model: onnx.ModelProto, description: ModelDescription) -> None:
    graph = model.graph
    outputs = {value.name: value for value in graph.output}
    found = next((name for name in (SENTENCE, *TOKENS) if name in outputs), None)
    if found is None:
        raise UnsupportedModel(
            f"The ONNX graph has the outputs {', '.join(outputs)}; it needs one of {', '.join((SENTENCE, *TOKENS))}."
        )
    ours = _Tail(graph)
    vectors = ours.op("Cast", found, to=TensorProto.FLOAT)
    if found != SENTENCE:
        if "attention_mask" not in {value.name for value in graph.input}:
            raise ModelMissing("The ONNX graph has no input attention_mask, so its tokens cannot be pooled.")
        vectors = ours.pooled(vectors, description.pooling)
    if description.normalise:
        graph.node.append(helper.make_node("LpNormalization", [vectors], ["embedding"], axis=-1, p=2))
    else:
        graph.node.append(helper.make_node("Identity", [vectors], ["embedding"]))
    del graph.output[:]
    graph.output.append(
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", description.hidden_size])
    )


class _Tail:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._count = 0

    def op(self, operator: str, *inputs: str, **attributes: Any) -> str:
        self._count += 1
        result = f"argosy/{self._count}"
        self._graph.node.append(helper.make_node(operator, list(inputs), [result], **attributes))
        return result

    def const(self, value: object, kind: type[np.generic]) -> str:
        self._count += 1
        name = f"argosy/{self._count}"
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def pooled(self, tokens: str, pooling: Pooling) -> str:
        """Append the pooling of [batch, sequence, hidden] to [batch, hidden]."""
        if pooling is Pooling.CLS:
            return self.op("Gather", tokens, self.const(0, np.int64), axis=1)
        mask = self.op("Cast", "attention_mask", to=TensorProto.FLOAT)
        column = self.op("Reshape", mask, self.const([0, -1, 1], np.int64))
        if pooling is Pooling.MAX:
            padding = self.op("Sub", self.const(1, np.float32), column)
            masked = self.op("Add", tokens, self.op("Mul", padding, self.const(MASKED, np.float32)))
            pooled = self.op("GlobalMaxPool", self.op("Transpose", masked, perm=[0, 2, 1]))
        else:
            row = self.op("Reshape", mask, self.const([0, 1, -1], np.int64))
            total = self.op("MatMul", row, tokens)
            pooled = self.op("Div", total, self.op("MatMul", row, column))  # the product counts the tokens
        return self.op("Reshape", pooled, self.const([0, -1], np.int64))

"""Calibration: statistics of the inputs of a model's products while it reads a sample of texts.

Importing this module imports `onnx` and `onnxruntime`: `argosy.models.graph` does so only to build.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime

from argosy.contracts.embedding import TextKind
from argosy.contracts.vectors import Vectors
from argosy.models.batch import packed
from argosy.models.bert_onnx import Nodes, exact
from argosy.models.description import ModelDescription, Pooling
from argosy.models.sample import PASSAGES, QUERIES
from argosy.models.tokenizer import TextTokenizer
from argosy.models.weights import Floats

_TEXTS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Inputs:
    """Inputs of one product: the largest magnitude of every channel, and the mean product of every two channels."""

    peaks: Floats
    moments: Floats


class Watch:
    """`Linear` that records the inputs of the wanted products, so that they become outputs of the graph."""

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self._wanted = wanted
        self.inputs: list[str] = []
        self.names: list[str] = []

    def __call__(self, nodes: Nodes, name: str, tokens: str, weight: Floats, offset: Floats) -> str:
        if self._wanted(name):
            self.inputs.append(tokens)
            self.names.append(name)
        return exact(nodes, name, tokens, weight, offset)


class _Seen:
    def __init__(self) -> None:
        self._rows = 0
        self._peaks: Floats = np.zeros(1, np.float32)
        self._products: Floats = np.zeros((1, 1), np.float32)

    def add(self, rows: Floats) -> None:
        self._rows += len(rows)
        self._peaks = np.maximum(self._peaks, np.abs(rows).max(axis=0))
        self._products = self._products + rows.T @ rows

    def inputs(self) -> Inputs:
        return Inputs(self._peaks, self._products / np.float32(self._rows))


class Trial:
    """Graph in memory that is run over the sample."""

    def __init__(self, model: onnx.ModelProto, about: ModelDescription, tokenizer: TextTokenizer) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._about = about
        self._tokenizer = tokenizer

    def inputs_of(self, watch: Watch) -> Mapping[str, Inputs]:
        """Return the statistics by product name, over single passages, long texts of joined passages, and queries."""
        found = [_Seen() for _ in watch.inputs]

        def note(values: Sequence[Floats]) -> None:
            for seen, value in zip(found, values, strict=True):
                seen.add(value)

        starts = range(0, len(PASSAGES), _TEXTS_AT_ONCE)
        long = [" ".join(PASSAGES[start : start + _TEXTS_AT_ONCE]) for start in starts]
        for texts, kind in ((long, TextKind.PASSAGE), (PASSAGES, TextKind.PASSAGE), (QUERIES, TextKind.QUERY)):
            self._run(texts, kind, watch.inputs, note)
        return {name: seen.inputs() for name, seen in zip(watch.names, found, strict=True)}

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        parts: list[Vectors] = []
        self._run(texts, kind, ["embedding"], lambda values: parts.append(values[0]))
        return np.concatenate(parts)

    def _run(
        self, texts: Sequence[str], kind: TextKind, wanted: list[str], take: Callable[[Sequence[Floats]], None]
    ) -> None:
        prompt = self._about.prompt(kind)
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            ids = self._tokenizer.ids([prompt + text for text in texts[start : start + _TEXTS_AT_ONCE]])
            feed = dict(packed(ids, self._about.pooling))
            if self._about.pooling is Pooling.MAX:
                del feed["pool"]
            take(self._session.run(wanted, feed))

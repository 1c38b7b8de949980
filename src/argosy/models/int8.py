"""Encoder with products in 8-bit integers: weights are quantised once, activations at run time.

Three methods keep the error small. A channel that is large in the activations passes half of its size (on a log scale)
to its weights (SmoothQuant, Xiao et al. 2022). The rounding error of a weight is compensated by the weights not yet
rounded (GPTQ, Frantar et al. 2022). Both are tuned on a sample of texts at build time. Every token has its own scale
instead of one per batch, so a text's vector does not depend on the other texts. Weights have 7 bits, because processors
without VNNI add pairs of products in 16 bits, which 8 bits would overflow.

Importing this module imports `onnx` and `onnxruntime`: `argosy.models.graph` does so only to build.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

from argosy.contracts.embedding import TextKind
from argosy.models.agreement import Agreement, agreement
from argosy.models.bert_onnx import FUSED, Nodes, exact
from argosy.models.bert_onnx import build as build_exact
from argosy.models.calibration import Inputs, Trial, Watch
from argosy.models.description import ModelDescription
from argosy.models.sample import PASSAGES, QUERIES
from argosy.models.tokenizer import TextTokenizer
from argosy.models.weights import Floats, Weights

_EXACT = ".output.dense"
"""Suffix of the product behind GELU, which stays in float32.

It caused half of the error, and rounding its wide input cost as much time as integers saved.
"""

_MIDDLE, _STEPS, _WEIGHT_LIMIT = 128, 127, 63
"""Activations are 1 to 255 around 128, weights −63 to 63, so the sum of two products stays below 2¹⁵."""

_DAMPING = 0.01
_ROWS_AT_ONCE = 64


def build(weights: Weights, description: ModelDescription, folder: Path) -> tuple[onnx.ModelProto, Agreement]:
    """Return the graph, and how its passage vectors agree with the exact ones under exact queries.

    Raises: ModelMissing when the weights do not fit the description.
    """
    tokenizer = TextTokenizer.load(folder, description.max_tokens)
    watch = Watch(in_integers)
    reference = Trial(build_exact(weights, description, watch, watched=watch.inputs), description, tokenizer)
    quantised = build_exact(weights, description, _Quantised(reference.inputs_of(watch)))
    passages, queries = reference.embed(PASSAGES, TextKind.PASSAGE), reference.embed(QUERIES, TextKind.QUERY)
    rough = Trial(quantised, description, tokenizer).embed(PASSAGES, TextKind.PASSAGE)
    return quantised, agreement((passages, queries), (rough, queries))


class _Quantised:
    """`Linear` in integers."""

    def __init__(self, seen: Mapping[str, Inputs]) -> None:
        self._seen = seen

    def __call__(self, nodes: Nodes, name: str, tokens: str, weight: Floats, offset: Floats) -> str:
        if not in_integers(name):
            return exact(nodes, name, tokens, weight, offset)
        seen = self._seen[name]
        share = shares(seen.peaks, weight)
        even = nodes.op("Mul", tokens, nodes.const(1 / share))
        peak = nodes.op("ReduceMax", nodes.op("Abs", even), nodes.ints(1), keepdims=1)
        peak = nodes.op("Max", peak, nodes.const(np.finfo(np.float32).tiny))
        step, middle = nodes.const(1 / _STEPS), nodes.const(_MIDDLE, np.uint8)
        whole = nodes.op("QuantizeLinear", nodes.op("Div", even, peak), step, middle)
        rounded, scale = round_weights(weight * share[:, None], seen.moments / np.outer(share, share), _WEIGHT_LIMIT)
        constants = (nodes.const(rounded, np.int8), step, nodes.const(scale), middle)
        columns = nodes.const(np.zeros(len(scale)), np.int8)
        product = nodes.op("MatMulIntegerToFloat", whole, *constants, columns, domain=FUSED)
        return nodes.op("Add", nodes.op("Mul", product, peak), nodes.const(offset))


def in_integers(name: str) -> bool:
    """Return whether this product is computed in integers."""
    return not name.endswith(_EXACT) or name.endswith("attention" + _EXACT)


def shares(peaks: Floats, weight: Floats) -> Floats:
    """Return the divisor of each input channel, by which its weights are multiplied. The geometric mean is 1."""
    raw = np.sqrt(np.maximum(peaks, 1e-3) / np.maximum(np.abs(weight).max(axis=1), 1e-5))
    even: Floats = (raw / np.exp(np.log(raw).mean())).astype(np.float32)
    return even


def round_weights(weight: Floats, moments: Floats, limit: int) -> tuple[Floats, Floats]:
    """Return whole numbers of magnitude at most `limit`, and the scale of each column that restores the weights.

    `weight` is [inputs, outputs], `moments` the inputs' second moments [inputs, inputs]. Rows are rounded in turn,
    strongest input first. The error of each row is spread over the remaining rows, as far as their inputs correlate.
    """
    scale = (np.maximum(np.abs(weight).max(axis=0), 1e-12) / limit).astype(np.float32)
    strengths = np.diag(moments)
    order = np.argsort(-strengths)
    damped = moments[np.ix_(order, order)].astype(np.float64)
    damped[np.diag_indices(len(order))] += max(_DAMPING * float(strengths.mean()), 1e-9)
    spread = np.linalg.cholesky(np.linalg.inv(damped)).T.astype(np.float32)
    left = weight[order].astype(np.float32)
    rounded = np.zeros_like(left)
    for first in range(0, len(order), _ROWS_AT_ONCE):
        last = min(len(order), first + _ROWS_AT_ONCE)
        errors = np.zeros((last - first, left.shape[1]), np.float32)
        for row in range(first, last):
            rounded[row] = np.clip(np.round(left[row] / scale), -limit, limit)
            error = errors[row - first] = (left[row] - rounded[row] * scale) / spread[row, row]
            left[row + 1 : last] -= np.outer(spread[row, row + 1 : last], error)
        left[last:] -= spread[first:last, last:].T @ errors
    back = np.empty_like(rounded)
    back[order] = rounded
    return back, scale

"""BERT in plain numpy, one text at a time and without padding: what the graph is compared with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from argosy.models.description import ModelDescription, Pooling

Floats = npt.NDArray[np.float64]
Weights = Mapping[str, npt.NDArray[np.float32]]

_erf = np.vectorize(math.erf, otypes=[np.float64])


def embedding(weights: Weights, about: ModelDescription, ids: Sequence[int]) -> Floats:
    """Return the vector of one text in float64, of unit length if the description normalises."""
    x = encoded(weights, about, ids, [0] * len(ids))
    poolings: dict[Pooling, Floats] = {Pooling.MEAN: x.mean(axis=0), Pooling.CLS: x[0], Pooling.MAX: x.max(axis=0)}
    pooled = poolings[about.pooling]
    return pooled / np.linalg.norm(pooled) if about.normalise else pooled


def relevance(weights: Weights, about: ModelDescription, ids: Sequence[int], types: Sequence[int]) -> float:
    """Return the score of one pair: BERT's pooler over the first token, the classifier, and the logistic function."""
    first = encoded(weights, about, ids, types)[0]
    pooler, classifier = "pooler.dense", "classifier"
    if about.model_type == "xlm-roberta":
        pooler, classifier = "classifier.dense", "classifier.out_proj"
    pooled = np.tanh(weights[f"{pooler}.weight"].astype(np.float64) @ first + weights[f"{pooler}.bias"])
    (logit,) = weights[f"{classifier}.weight"].astype(np.float64) @ pooled + weights[f"{classifier}.bias"]
    return float(1 / (1 + np.exp(-logit)))


def encoded(weights: Weights, about: ModelDescription, ids: Sequence[int], types: Sequence[int]) -> Floats:
    """Return the vectors of all tokens, in float64."""

    def dense(x: Floats, name: str) -> Floats:
        result: Floats = x @ weights[f"{name}.weight"].T.astype(np.float64) + weights[f"{name}.bias"]
        return result

    def norm(x: Floats, name: str) -> Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + about.layer_norm_eps)
        result: Floats = scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]
        return result

    x: Floats = weights["embeddings.word_embeddings.weight"][list(ids)].astype(np.float64)
    first = 2 if about.model_type == "xlm-roberta" else 0  # padding has id 1, and positions count from the next
    x = x + weights["embeddings.position_embeddings.weight"][first : first + len(ids)]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][list(types)], "embeddings.LayerNorm")
    size = about.hidden_size // about.heads
    for number in range(about.layers):
        layer = f"encoder.layer.{number}"
        query, key, value = (dense(x, f"{layer}.attention.self.{part}") for part in ("query", "key", "value"))
        heads = []
        for start in range(0, about.hidden_size, size):
            part = slice(start, start + size)
            scores = query[:, part] @ key[:, part].T / math.sqrt(size)
            shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
            heads.append(shares / shares.sum(axis=-1, keepdims=True) @ value[:, part])
        attended = dense(np.concatenate(heads, axis=-1), f"{layer}.attention.output.dense")
        x = norm(x + attended, f"{layer}.attention.output.LayerNorm")
        inner = dense(x, f"{layer}.intermediate.dense")
        inner = inner * 0.5 * (1 + _erf(inner / math.sqrt(2)))
        x = norm(x + dense(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    return x

"""Engine that runs one embedding model with ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnxruntime

from argosy.contracts.embedding import ModelInfo, Spans, TextKind
from argosy.contracts.errors import Internal, ModelMissing
from argosy.contracts.request import Deadline
from argosy.contracts.vectors import Vectors
from argosy.models.agreement import Agreement, read_agreement
from argosy.models.batch import Feed, packed, padded
from argosy.models.description import ModelDescription, describe
from argosy.models.graph import GRAPH_VERSION, Precision, graph_for
from argosy.models.integrity import unreadable
from argosy.models.resolver import ModelFolder
from argosy.models.session import session_for
from argosy.models.tokenizer import Offsets, TextTokenizer
from argosy.telemetry.logs import logger

log = logger("embedding")

_PADDED_INPUT = "input_ids"
_POOL = "pool"


class OnnxEngine:
    """`EmbeddingEngine` for a verified model folder. It builds the model's graph when the graph cache lacks it.

    In int8, passages are computed in integers and queries in fp32: queries are short, and this halves the error.
    """

    def __init__(
        self,
        model: ModelFolder,
        *,
        threads: int = 1,
        precision: Precision = "fp32",
        prompts: Mapping[TextKind, str | None] = MappingProxyType({}),
    ) -> None:
        """Load the model. `prompts` replace those of the model; None keeps the model's own.

        Raises: ModelMissing when the files cannot be run; its message says why.
        """
        self._about = describe(model.path, model.name, prompts)
        self._tokenizer = TextTokenizer.load(model.path, self._about.max_tokens)
        if self._tokenizer.vocabulary > self._about.vocab_size:
            raise unreadable(
                model.path / "tokenizer.json",
                f"it has {self._tokenizer.vocabulary} tokens, the model only {self._about.vocab_size}",
            )
        self._rooms = {kind: self._room(kind) for kind in TextKind}
        # The contract requires unit length, also of models that do not normalise their vectors.
        about = replace(self._about, normalise=True)
        graph, session = _load(model, about, precision, threads)
        exact = session if precision == "fp32" else _load(model, about, "fp32", threads)[1]
        self._sessions = {TextKind.PASSAGE: session, TextKind.QUERY: exact}
        self._inputs = [given.name for given in session.get_inputs()]
        self.agreement = read_agreement(graph)
        if self.agreement is not None:
            log.info("passages are computed in int8", model=model.name, agreement=str(self.agreement))
        revision = self._about.fingerprint(model.weights_sha256, self._tokenizer.fingerprint(), GRAPH_VERSION)
        self._info = ModelInfo(
            model=model.name,
            revision=revision if precision == "fp32" else f"{revision}-{precision}",
            dimensions=self._about.hidden_size,
            max_tokens=self._about.max_tokens,
        )

    agreement: Agreement | None
    """Agreement of the int8 graph with fp32, measured when the graph was built; None in fp32."""

    @property
    def info(self) -> ModelInfo:
        return self._info

    def full_lengths(self, texts: Sequence[str], kind: TextKind) -> list[int]:
        """Return the tokens of each text with prompt and special tokens, before truncation."""
        return self._tokenizer.lengths(self._prompted(texts, kind))

    def count_tokens(self, texts: Sequence[str], kind: TextKind) -> list[int]:
        return [min(length, self._info.max_tokens) for length in self.full_lengths(texts, kind)]

    def windows(self, text: str, kind: TextKind) -> list[str]:
        """Return pieces of the text that fit the model with the prompt of the kind; joined, they give the text."""
        return self._tokenizer.windows(text, self._rooms[kind])

    def embed(self, texts: Sequence[str], kind: TextKind, deadline: Deadline | None = None) -> Vectors:
        if not texts:
            return np.empty((0, self._info.dimensions), dtype=np.float32)
        ids = [tokens or [0] for tokens in self._tokenizer.ids(self._prompted(texts, kind))]
        return self._run(kind, self._feed(ids))

    def embed_spans(
        self, texts: Sequence[str], spans: Sequence[Spans], kind: TextKind, deadline: Deadline | None = None
    ) -> tuple[Vectors, list[Vectors]]:
        """Implement `SpanEngine.embed_spans`.

        Pooling is a product with the token states, so a span is one more row of the pooling matrix. A graph without
        this matrix (a model's own graph, pooling by maximum) gives zeros.
        """
        if _POOL not in self._inputs or not texts:
            return self.embed(texts, kind, deadline), [_zeros(len(of_text), self._info.dimensions) for of_text in spans]
        prompted = self._prompted(texts, kind)
        prompt = len(self._about.prompt(kind))
        found = self._tokenizer.ids_and_offsets(prompted)
        feed = dict(self._feed([ids or [0] for ids, _ in found]))
        total = feed[_POOL].shape[1]
        rows, first = [feed[_POOL]], 0
        for text, whole, (ids, offsets), of_text in zip(texts, prompted, found, spans, strict=True):
            known = offsets if len(whole) == len(text) + prompt else []  # lower case moved the offsets
            rows.append(_shares(known, [(start + prompt, end + prompt) for start, end in of_text], first, total))
            first += len(ids) or 1
        feed[_POOL] = np.concatenate(rows)
        vectors = self._run(kind, feed)
        of_spans = vectors[len(texts) :]
        of_spans[~feed[_POOL][len(texts) :].any(axis=1)] = 0.0
        ends = np.cumsum([len(of_text) for of_text in spans])
        return vectors[: len(texts)], np.split(of_spans, ends[:-1])

    def _run(self, kind: TextKind, feed: Feed) -> Vectors:
        try:
            found: list[Any] = self._sessions[kind].run(["embedding"], feed)
        except Exception as error:
            raise Internal("The embedding model failed on a batch of texts.") from error
        vectors: Vectors = found[0]
        return vectors

    def _feed(self, ids: list[list[int]]) -> Feed:
        if _PADDED_INPUT in self._inputs:
            return padded(ids, self._inputs)
        feed = packed(ids, self._about.pooling)
        return {name: feed[name] for name in self._inputs}

    def _prompted(self, texts: Sequence[str], kind: TextKind) -> Sequence[str]:
        prompt = self._about.prompt(kind)
        whole = [prompt + text for text in texts] if prompt else texts
        return [text.lower() for text in whole] if self._about.lower_case else whole

    def _room(self, kind: TextKind) -> int:
        """Return how many tokens of a text fit with the special tokens and the prompt.

        Raises: ModelMissing when none fit.
        """
        (prompt,) = self._tokenizer.lengths([self._about.prompt(kind)])
        if prompt >= self._about.max_tokens:
            raise ModelMissing(
                f"The model's {kind} prompt fills its window of {self._about.max_tokens} tokens. Shorten the prompt or "
                "choose another model."
            )
        return self._about.max_tokens - prompt


def _shares(offsets: Offsets, spans: Spans, first: int, total: int) -> Vectors:
    """Return a row for each span with the share of each of the batch's tokens in it.

    `offsets` are those of one text, whose tokens begin at `first` among all `total` tokens. A token that a span cuts
    belongs to the span.
    """
    shares = np.zeros((len(spans), total), np.float32)
    if not offsets or not spans:
        return shares
    starts, ends = np.array(offsets).T
    for row, (start, end) in enumerate(spans):
        inside = np.flatnonzero((ends > start) & (starts < end) & (ends > starts))
        if len(inside):
            shares[row, first + inside] = 1 / len(inside)
    return shares


def _zeros(rows: int, dimensions: int) -> Vectors:
    return np.zeros((rows, dimensions), np.float32)


def _load(
    model: ModelFolder, about: ModelDescription, precision: Precision, threads: int
) -> tuple[Path, onnxruntime.InferenceSession]:
    """Return the graph and its session.

    Raises: ModelMissing when ONNX Runtime refuses the graph.
    """

    def graph(*, anew: bool) -> Path:
        return graph_for(model, about, precision, anew=anew)

    return session_for(graph, model.weights, threads)

"""Cross-encoder on ONNX Runtime: reads a query and a passage together and gives their relevance in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from argosy.contracts.errors import Internal
from argosy.models.batch import packed, padded
from argosy.models.description import describe_cross_encoder
from argosy.models.graph import graph_for
from argosy.models.integrity import unreadable
from argosy.models.pairs import PairTokenizer, PairTokens
from argosy.models.resolver import ModelFolder
from argosy.models.session import session_for

_PADDED_INPUT = "input_ids"


class CrossEncoder:
    """Cross-encoder of a verified model folder. Its methods block; several threads may call them at once."""

    def __init__(self, model: ModelFolder, *, max_tokens: int = 512) -> None:
        """Load the model, and build its graph when the graph cache lacks it.

        `max_tokens` bounds a pair with its special tokens; the model's own limit applies as well.

        Raises: ModelMissing when the files cannot be run; its message says why.
        """
        self.name = model.name
        about = describe_cross_encoder(model.path)
        self._lower_case = about.lower_case
        self._pooling = about.pooling
        self._tokenizer = PairTokenizer.load(model.path, min(max_tokens, about.max_tokens))
        if self._tokenizer.vocabulary > about.vocab_size:
            raise unreadable(
                model.path / "tokenizer.json",
                f"it has {self._tokenizer.vocabulary} tokens, the model only {about.vocab_size}",
            )

        def graph(*, anew: bool) -> Path:
            return graph_for(model, about, task="score", anew=anew)

        _, self._session = session_for(graph, model.weights, threads=1)
        self._inputs = [given.name for given in self._session.get_inputs()]

    def read(self, query: str, passages: Sequence[str]) -> list[PairTokens]:
        """Return the tokens of the query with each passage.

        Raises: InvalidRequest when a text is not valid Unicode.
        """
        if self._lower_case:
            query, passages = query.lower(), [passage.lower() for passage in passages]
        return self._tokenizer.pairs(query, passages)

    def scores(self, pairs: Sequence[PairTokens]) -> list[float]:
        """Return the relevance of each pair, computed as one batch on one thread.

        Raises: Internal when the model fails, or gives something else than one number in [0, 1] for each pair.
        """
        ids, types = [pair.ids for pair in pairs], [pair.types for pair in pairs]
        padding = _PADDED_INPUT in self._inputs
        feed = padded(ids, self._inputs, types) if padding else packed(ids, self._pooling, types)
        try:
            found: list[Any] = self._session.run(["score"], {name: feed[name] for name in self._inputs})
        except Exception as error:  # ONNX Runtime's errors have no narrower base class
            raise Internal("The cross-encoder failed on a batch of passages.") from error
        scores = np.asarray(found[0], dtype=float)
        if scores.shape != (len(pairs),) or not np.isfinite(scores).all():
            raise Internal("The cross-encoder does not give one number for each passage. Choose another model.")
        return [float(score) for score in scores]

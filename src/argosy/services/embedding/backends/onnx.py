"""One embedding model on ONNX Runtime, in fp32 on the processor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime

from argosy.contracts.embedding import ModelInfo, TextKind
from argosy.contracts.errors import Internal, ModelMissing
from argosy.contracts.vectors import Vectors
from argosy.models.description import describe
from argosy.models.graph import graph_for
from argosy.models.resolver import ModelFolder
from argosy.models.tokenizer import TextTokenizer

_ERRORS_ONLY = 3


class OnnxEngine:
    """`EmbeddingEngine` over a verified model folder. Builds the model's graph if the cache does not hold it.

    The memory arena stays on: without it, this took 25 MB more and was no faster. Memory patterns are off:
    they keep one plan for every shape of batch, and shapes here are endless.
    """

    def __init__(self, model: ModelFolder, *, threads: int = 1) -> None:
        """Raises: ModelMissing when the files cannot be run; its message names what is wrong with them."""
        self._about = describe(model.path)
        self._tokenizer = TextTokenizer.load(model.path, self._about.max_tokens)
        # Vectors are of unit length by contract, also those of models that do not normalise themselves.
        graph = graph_for(model, replace(self._about, normalise=True))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False
        options.log_severity_level = _ERRORS_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no other base
            raise ModelMissing(
                f"The cached graph {graph.parent.name} of {model.name} cannot be loaded. Delete it: it is built anew."
            ) from error
        self._info = ModelInfo(
            model=model.name,
            revision=self._about.fingerprint(model.weights_sha256),
            dimensions=self._about.hidden_size,
            max_tokens=self._about.max_tokens,
        )

    @property
    def info(self) -> ModelInfo:
        return self._info

    def full_lengths(self, texts: Sequence[str], kind: TextKind) -> list[int]:
        """Tokens of each text with prompt and special tokens, before truncation."""
        return self._tokenizer.lengths(self._prompted(texts, kind))

    def count_tokens(self, texts: Sequence[str], kind: TextKind) -> list[int]:
        return [min(length, self._info.max_tokens) for length in self.full_lengths(texts, kind)]

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        if not texts:
            return np.empty((0, self._info.dimensions), dtype=np.float32)
        ids = self._tokenizer.ids(self._prompted(texts, kind))
        padded = np.zeros((len(ids), max(map(len, ids))), dtype=np.int64)
        mask = np.zeros_like(padded)
        for row, tokens in enumerate(ids):
            padded[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        try:
            found: list[Any] = self._session.run(["embedding"], {"input_ids": padded, "attention_mask": mask})
        except Exception as error:
            raise Internal("The embedding model failed on a batch.") from error
        vectors: Vectors = found[0]
        return vectors

    def _prompted(self, texts: Sequence[str], kind: TextKind) -> Sequence[str]:
        prompt = self._about.prompt(kind)
        return [prompt + text for text in texts] if prompt else texts

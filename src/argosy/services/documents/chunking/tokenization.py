"""Tokenizer of the embedding model, so that chunk lengths are exact for the model in use."""

from __future__ import annotations

import threading

from argosy.config.services import EmbeddingSettings
from argosy.contracts.errors import ModelMissing, Unavailable
from argosy.models.description import describe
from argosy.models.resolver import resolve
from argosy.models.tokenizer import TextTokenizer
from argosy.models.words import WordTokenizer
from argosy.services.documents.chunking.tokens import Tokenizer, splits_at_space

UNKNOWN_ROOM = 254


class ModelTokenizer:
    """Tokenizer that loads the model on first use: without a model the service still accepts and queues documents."""

    def __init__(self, settings: EmbeddingSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._loaded: Tokenizer | None = None
        self.room = UNKNOWN_ROOM
        """Number of text tokens that the model accepts, special tokens not counted."""
        try:
            self._load(fetch=False)
        except ModelMissing:
            self._loaded = None

    @property
    def splits_at_space(self) -> bool:
        """Whether the tokenizer splits at white space, see `tokens.splits_at_space`; False until it is loaded."""
        return self._loaded is not None and splits_at_space(self._loaded)

    def encode_offsets(self, text: str) -> list[tuple[int, int]]:
        """Tokenise a text; see `tokens.Tokenizer`.

        Raises: Unavailable (retry after 30 s) while there is no model.
        """
        with self._lock:
            if self._loaded is None:
                try:
                    self._load(fetch=True)
                except ModelMissing as error:
                    raise Unavailable(error.message, retry_after_s=30.0) from error
            assert self._loaded is not None
            loaded = self._loaded
        return loaded.encode_offsets(text)

    def _load(self, *, fetch: bool) -> None:
        if self._settings.backend != "onnx":
            # The tokenizer of an external endpoint is unknown: words are counted, and the model may count more tokens.
            self._loaded = WordTokenizer()
            return
        folder = resolve(self._settings.model, fetch=fetch)
        tokenizer = TextTokenizer.load(folder.path, describe(folder.path).max_tokens)
        self.room = tokenizer.max_tokens - tokenizer.special_tokens
        self._loaded = tokenizer

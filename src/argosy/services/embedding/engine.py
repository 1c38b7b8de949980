"""Vectors of texts: from the cache, from a batch that already computes the same text, or from the model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, Protocol

import numpy as np

from argosy.contracts.embedding import MAX_TEXT_CHARS, MAX_TEXTS, EmbedRequest, EmbedResponse, TextFailure, TextKind
from argosy.contracts.errors import ArgosyError, Internal, InvalidRequest
from argosy.contracts.request import RequestContext
from argosy.contracts.vectors import EmbeddingEngine
from argosy.services.embedding.cache.entry import CachedVector, Hit
from argosy.serving.batching.batcher import Batcher
from argosy.serving.batching.outcome import TextTooLong, usable
from argosy.serving.batching.queue import Computed, EmbedResult

LongTexts = Literal["truncate", "split", "refuse"]
WINDOWS_AT_ONCE = 64
"""Number of windows of split long texts that wait for the model at once."""


class VectorCache(Protocol):
    """Part of `EmbeddingCache` that the embedder uses."""

    @property
    def key(self) -> Callable[[str, TextKind], bytes]:
        """Function that returns the key of a text's vector."""
        ...

    async def lookup(self, keys: Sequence[bytes]) -> list[Hit | None]:
        """Return a hit or None for each key, in the order of `keys`."""
        ...

    def store(self, items: Iterable[tuple[bytes, CachedVector]]) -> None:
        """Store the vectors under their keys."""
        ...


class Embedder:
    def __init__(
        self, engine: EmbeddingEngine, batcher: Batcher, cache: VectorCache, long_texts: LongTexts = "truncate"
    ) -> None:
        """Create an embedder.

        `batcher` must refuse long texts unless `long_texts` is `truncate`, and pass its results to `keep_in(cache)`.
        """
        self._engine = engine
        self._batcher = batcher
        self._cache = cache
        self._long_texts = long_texts

    async def embed(self, request: EmbedRequest, context: RequestContext) -> EmbedResponse:
        """Return the vectors of the request in the order of its texts.

        Raises: InvalidRequest when a text cannot be embedded; the errors of `Batcher.embed`. The error of one text has
        its `texts[N]` as `param`; with `partial` it is in `failures` instead.
        """
        check(request)
        keys = [self._cache.key(text, request.kind) for text in request.texts]
        found = [None if hit is None else hit.value for hit in await self._cache.lookup(keys)]
        missing = [row for row, hit in enumerate(found) if hit is None]
        errors: dict[int, ArgosyError] = {}
        if self._long_texts == "refuse":
            errors = {row: _cut(self._engine) for row, hit in enumerate(found) if hit is not None and hit.truncated}
        if missing:
            await self._compute(request, keys, missing, context, found, errors)
        if errors and not request.partial:
            first = min(errors)
            raise _located(errors[first], first)
        return self._response(found, len(found) - len(missing), errors)

    async def _compute(
        self,
        request: EmbedRequest,
        keys: Sequence[bytes],
        missing: Sequence[int],
        context: RequestContext,
        found: list[CachedVector | None],
        errors: dict[int, ArgosyError],
    ) -> None:
        """Compute the vectors that are missing in `found`; put the error of a text without vector into `errors`."""
        result = await self._batcher.embed(
            [request.texts[row] for row in missing],
            request.kind,
            context,
            keys=[keys[row] for row in missing],
            partial=True,
        )
        split = []
        for at, row in enumerate(missing):
            error = result.errors.get(at)
            if error is None:
                found[row] = _row(result, at)
            elif isinstance(error, TextTooLong) and self._long_texts == "split":
                split.append(row)
            else:
                errors[row] = error
        if split:
            texts = list(dict.fromkeys(request.texts[row] for row in split))
            pooled = await self._split(texts, request.kind, context)
            for row in split:
                made = pooled[request.texts[row]]
                if isinstance(made, CachedVector):
                    found[row] = made
                else:
                    errors[row] = made

    async def _split(
        self, texts: Sequence[str], kind: TextKind, context: RequestContext
    ) -> Mapping[str, CachedVector | ArgosyError]:
        """Return for each text the mean of its windows' vectors, weighted by tokens and normalised to unit length."""
        pieces = [await asyncio.to_thread(self._engine.windows, text, kind) for text in texts]
        flat = [(text, window) for text, windows in zip(texts, pieces, strict=True) for window in windows]
        parts: dict[str, list[CachedVector]] = {text: [] for text in texts}
        failed: dict[str, ArgosyError] = {}
        for at in range(0, len(flat), WINDOWS_AT_ONCE):
            part = flat[at : at + WINDOWS_AT_ONCE]
            windows = [window for _, window in part]
            keys = [self._cache.key(window, kind) for window in windows]
            result = await self._batcher.embed(windows, kind, context, keys=keys, partial=True)
            for row, (text, _) in enumerate(part):
                if row in result.errors:
                    failed[text] = result.errors[row]
                else:
                    parts[text].append(_row(result, row))
        made = {text: failed.get(text) or _pooled(parts[text]) for text in texts}
        self._cache.store(
            (self._cache.key(text, kind), pooled) for text, pooled in made.items() if isinstance(pooled, CachedVector)
        )
        return made

    def _response(
        self, found: Sequence[CachedVector | None], hits: int, errors: Mapping[int, ArgosyError]
    ) -> EmbedResponse:
        info = self._engine.info
        good = [hit if row not in errors else None for row, hit in enumerate(found)] if errors else found
        return EmbedResponse(
            model=info.model,
            dimensions=info.dimensions,
            vectors=b"".join([hit.vector.astype("<f4", copy=False).tobytes() for hit in good if hit is not None]),
            tokens=[hit.tokens if hit is not None else 0 for hit in good],
            truncated=[hit.truncated if hit is not None else False for hit in good],
            hits=hits,
            failures=[TextFailure(row, error.code, error.message) for row, error in sorted(errors.items())],
            revision=info.revision,
        )


def check(request: EmbedRequest) -> None:
    """Check the number and the length of the texts.

    Raises: InvalidRequest, naming the first text that is empty or too long, when there is one.
    """
    if not request.texts:
        raise InvalidRequest("texts is empty; send at least one.", param="texts")
    if len(request.texts) > MAX_TEXTS:
        raise InvalidRequest(
            f"texts has {len(request.texts)} entries, the limit is {MAX_TEXTS}; send fewer.", param="texts"
        )
    for index, text in enumerate(request.texts):
        if not text or text.isspace():
            raise InvalidRequest(f"texts[{index}] is empty; send text.", param=f"texts[{index}]")
        if len(text) > MAX_TEXT_CHARS:
            raise InvalidRequest(
                f"texts[{index}] has {len(text)} characters, the limit is {MAX_TEXT_CHARS}. Send it in parts.",
                param=f"texts[{index}]",
            )


def keep_in(cache: VectorCache) -> Callable[[list[Computed]], None]:
    """Return the function to which a batcher passes its results, so that the cache stores them."""

    def keep(results: list[Computed]) -> None:
        cache.store(
            (result.key, CachedVector(result.vector, result.tokens, result.truncated, result.seconds))
            for result in results
            if result.key is not None
        )

    return keep


def _row(result: EmbedResult, row: int) -> CachedVector:
    return CachedVector(result.vectors[row], result.tokens[row], result.truncated[row], result.seconds[row])


def _pooled(parts: Sequence[CachedVector]) -> CachedVector | ArgosyError:
    tokens = [part.tokens for part in parts]
    total = np.average([part.vector for part in parts], axis=0, weights=tokens)
    with np.errstate(all="ignore"):
        vector = (total / np.linalg.norm(total)).astype(np.float32)
    if not usable(vector[None])[0]:
        return Internal("Its parts have no usable vector together.")
    return CachedVector(vector, sum(tokens), truncated=False, seconds=sum(part.seconds for part in parts))


def _cut(engine: EmbeddingEngine) -> InvalidRequest:
    return InvalidRequest(
        f"It is longer than the limit of {engine.info.max_tokens} tokens. Shorten it, or set "
        "services.embedding.long_texts to split or truncate."
    )


def _located(error: ArgosyError, index: int) -> ArgosyError:
    """Return the same error with the position of its text."""
    message = f"The text at position {index} was not embedded. {error.message}"
    return type(error)(message, param=f"texts[{index}]", retry_after_s=error.retry_after_s)

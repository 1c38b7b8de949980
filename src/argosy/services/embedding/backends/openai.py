"""Engine for any OpenAI-compatible endpoint (`POST {base_url}/embeddings`), including text-embeddings-inference.

The endpoint tokenises. Token counts are therefore estimates, and truncation by the endpoint is not noticed.
"""

from __future__ import annotations

import hashlib
import time
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import msgspec
import numpy as np

from argosy.contracts.embedding import ModelInfo, TextKind
from argosy.contracts.errors import (
    ArgosyError,
    DeadlineExceeded,
    InvalidRequest,
    Overloaded,
    Unavailable,
    UpstreamFailed,
)
from argosy.contracts.request import Clock, Deadline
from argosy.contracts.vectors import Vectors
from argosy.services.embedding.backends.endpoint import EndpointConnections, Reply, Unreached
from argosy.serving.endpoint_health import EndpointHealth
from argosy.telemetry.logs import logger

ATTEMPTS = 4
FIRST_PAUSE_S = 0.1
TRANSIENT = frozenset({408, 425, 500, 502, 503, 504})
THE_TEXTS_FAULT = frozenset({400, 413, 422})
BYTES_PER_TOKEN = 4
MOST_LOGGED_BYTES = 500
SETTINGS = "services.embedding.base_url"

log = logger("openai")


class _Item(msgspec.Struct):
    index: int
    embedding: list[float] | str


class _Answer(msgspec.Struct):
    data: list[_Item]


class OpenAIEngine:
    """`EmbeddingEngine` over HTTP. It asks the endpoint once, at the start, for the number of dimensions."""

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None,
        *,
        timeout_s: float = 20.0,
        max_tokens: int = 512,
        prompts: Mapping[TextKind, str | None] = MappingProxyType({}),
        clock: Clock = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Open the endpoint. `base_url` is its address up to `/v1`; `api_key` is None when it needs no key.

        Raises: the errors of `embed`, among them Unavailable when the endpoint cannot be reached or refuses the key or
        the model, and UpstreamFailed when its answer is not a vector. Messages never show the address or the key.
        """
        self.health = EndpointHealth(clock)
        self._connections = EndpointConnections(base_url, api_key)
        self._model = model
        self._prompts = {kind: prompt for kind, prompt in prompts.items() if prompt}
        self._timeout_s = timeout_s
        self._clock = clock
        self._sleep = sleep
        self._dimensions: int | None = None
        try:
            self._dimensions = self.embed(["dimensions"], TextKind.PASSAGE).shape[1]
        except ArgosyError:
            self.close()
            raise
        self._info = ModelInfo(
            model=model,
            revision=_revision(base_url, self._prompts),
            dimensions=self._dimensions,
            max_tokens=max_tokens,
        )

    @property
    def info(self) -> ModelInfo:
        return self._info

    def close(self) -> None:
        self._connections.close()

    def full_lengths(self, texts: Sequence[str], kind: TextKind) -> list[int]:
        """Return an estimate from the number of bytes of each text with its prompt."""
        prompt = self._prompts.get(kind, "")
        return [1 + len((prompt + text).encode("utf-8", "replace")) // BYTES_PER_TOKEN for text in texts]

    def count_tokens(self, texts: Sequence[str], kind: TextKind) -> list[int]:
        return [min(length, self._info.max_tokens) for length in self.full_lengths(texts, kind)]

    def windows(self, text: str, kind: TextKind) -> list[str]:
        """Cut the text into pieces by the estimate, at spaces where there are any."""
        prompt_bytes = len(self._prompts.get(kind, "").encode("utf-8", "replace"))
        room = max(BYTES_PER_TOKEN, (self._info.max_tokens - 1) * BYTES_PER_TOKEN - prompt_bytes)
        pieces = []
        while text:
            end = min(len(text), room)
            while len(text[:end].encode("utf-8", "replace")) > room:
                end = end * 3 // 4
            if end < len(text):
                end = text.rfind(" ", end // 2, end) + 1 or end
            pieces.append(text[:end])
            text = text[end:]
        return pieces

    def embed(self, texts: Sequence[str], kind: TextKind, deadline: Deadline | None = None) -> Vectors:
        """Implement `EmbeddingEngine.embed`. Transient errors are retried while there is time.

        Raises: InvalidRequest when the endpoint refuses the texts; Overloaded, with the endpoint's Retry-After, when it
        answers 429; Unavailable when it cannot be reached or used; DeadlineExceeded; UpstreamFailed when the answer has
        the wrong number of vectors or dimensions, or a vector that is zero or not finite.
        """
        if not texts:
            return np.empty((0, self._dimensions or 0), dtype=np.float32)
        until = Deadline.after(self._timeout_s, self._clock)
        if deadline is not None and deadline.remaining_s() < self._timeout_s:
            until = Deadline.after(deadline.remaining_s(), self._clock)
        prompt = self._prompts.get(kind, "")
        body = msgspec.json.encode(
            {"model": self._model, "input": [prompt + text for text in texts], "encoding_format": "float"}
        )
        try:
            vectors = self._vectors(self._ask(body, until), len(texts))
        except (InvalidRequest, DeadlineExceeded) as error:
            if isinstance(error, DeadlineExceeded) and until.expires_at_s - self._clock() <= 0 and deadline is None:
                self.health.failed(error.message)
            raise
        except ArgosyError as error:
            self.health.failed(error.message)
            raise
        self.health.worked()
        return vectors

    def _ask(self, body: bytes, until: Deadline) -> bytes:
        pauses_s = [FIRST_PAUSE_S * 2**n for n in range(ATTEMPTS - 1)]
        while True:
            answer = self._once(body, until)
            if isinstance(answer, bytes):
                return answer
            if not pauses_s or pauses_s[0] >= until.remaining_s():
                raise answer
            self._sleep(pauses_s.pop(0))

    def _once(self, body: bytes, until: Deadline) -> bytes | ArgosyError:
        """Make one attempt and return the answer or a transient error.

        Raises: ArgosyError when a retry cannot help.
        """
        try:
            reply = self._connections.post("/embeddings", body, until)
        except Unreached as error:
            log.warning("endpoint unreachable", reason=error.reason)
            return Unavailable(
                f"The embeddings endpoint cannot be reached ({error.reason}). Check {SETTINGS}, and the proxy if "
                "HTTPS_PROXY or HTTP_PROXY is set.",
                retry_after_s=1.0,
            )
        except TimeoutError:
            return DeadlineExceeded("The embeddings endpoint did not answer within the time allowed.")
        if reply.status == 200:
            return reply.body
        refused = _refusal(reply, self._model)
        log.warning(
            "endpoint refused", status=reply.status, said=reply.body[:MOST_LOGGED_BYTES].decode(errors="replace")
        )
        if reply.status in TRANSIENT:
            return refused
        raise refused

    def _vectors(self, answer: bytes, count: int) -> Vectors:
        try:
            items = sorted(msgspec.json.decode(answer, type=_Answer).data, key=lambda item: item.index)
            rows = [
                np.frombuffer(b64decode(item.embedding), "<f4") if isinstance(item.embedding, str) else item.embedding
                for item in items
            ]
        except (msgspec.DecodeError, ValueError) as error:
            raise UpstreamFailed(
                "The embeddings endpoint's answer does not have OpenAI's shape. Check services.embedding.base_url."
            ) from error
        if [item.index for item in items] != list(range(count)):
            raise UpstreamFailed(f"The embeddings endpoint gave {len(items)} vectors for {count} texts.")
        expected = self._dimensions or len(rows[0])
        wrong = next((len(row) for row in rows if len(row) != expected), None)
        if wrong is not None or not expected:
            raise UpstreamFailed(f"The embeddings endpoint gave a vector of {wrong or 0} dimensions, not {expected}.")
        with np.errstate(all="ignore"):
            vectors = np.array(rows, dtype=np.float32)
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and (lengths > 0).all()):
            raise UpstreamFailed("The embeddings endpoint gave a vector of zeros, or of numbers that are not finite.")
        normalised: Vectors = vectors / lengths
        return normalised


def _revision(base_url: str, prompts: Mapping[TextKind, str]) -> str:
    """Return the revision of the vectors. Without prompts it is that of releases that sent none."""
    parts = base_url if not prompts else repr((base_url, sorted(prompts.items())))
    return f"endpoint-{hashlib.blake2b(parts.encode(), digest_size=8).hexdigest()}"


def _refusal(reply: Reply, model: str) -> ArgosyError:
    """Return the error for a refusal. The endpoint's own text goes to the log, not to the caller."""
    status = reply.status
    if status in (401, 403):
        return Unavailable(
            f"The embeddings endpoint refused the API key ({status}). Check OPENAI_API_KEY and {SETTINGS}."
        )
    if status == 404:
        return Unavailable(
            f"The embeddings endpoint does not know the model {model}, or has no embeddings at its address. Check "
            f"services.embedding.model and {SETTINGS}."
        )
    if status == 429:
        return Overloaded(
            "The embeddings endpoint is overloaded. Try again after the time in Retry-After.",
            retry_after_s=reply.retry_after_s or 1.0,
        )
    if status in THE_TEXTS_FAULT:
        return InvalidRequest(f"The embeddings endpoint refused the text ({status}). It may be too long; shorten it.")
    if status in TRANSIENT:
        return Unavailable(f"The embeddings endpoint answered {status}.", retry_after_s=reply.retry_after_s or 1.0)
    return UpstreamFailed(f"The embeddings endpoint answered {status}.")

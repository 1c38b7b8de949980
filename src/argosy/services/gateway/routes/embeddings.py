"""Route `POST /v1/embeddings`, in OpenAI's shape, or line by line for lists that are too long for one request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from argosy.contracts.codec import JSON, NDJSON
from argosy.contracts.embedding import EmbedResponse, TextKind
from argosy.contracts.errors import ArgosyError, InvalidRequest, ModelNotFound
from argosy.contracts.request import CACHE_HEADER
from argosy.services.gateway.answer.question import CHAT_MODEL
from argosy.services.gateway.bodies import MAX_COUNT, MAX_LABEL_CHARS, EmbeddingsBody
from argosy.services.gateway.embeddings.stream import EmbeddingStream, LineOptions
from argosy.services.gateway.embeddings.vectors import text_fault, vectors
from argosy.services.gateway.gateway import Gateway
from argosy.services.gateway.reading import read, read_query
from argosy.services.gateway.schema import LINES
from argosy.services.gateway.shapes import Embedding, Embeddings, EmbeddingUsage
from argosy.serving.app import until_gone
from argosy.serving.bodies import media_type
from argosy.serving.middleware import context_of
from argosy.serving.openapi import TEXT, Schema, header, number, query, text

MAX_BODY_BYTES = 32 * 2**20
"""Largest body in OpenAI's shape; longer lists are sent line by line."""
LINE_BY_LINE = "For a request sent line by line: the same as in the body."
LINE_PARAMETERS: tuple[tuple[str, Schema, str], ...] = (
    ("model", text(MAX_LABEL_CHARS), LINE_BY_LINE),
    ("encoding_format", {"type": "string", "enum": ["float", "base64"]}, LINE_BY_LINE),
    ("dimensions", number(1, MAX_COUNT), LINE_BY_LINE),
)
_POSITION = re.compile(r"texts\[([0-9]{1,9})\]")


def router(gateway: Gateway) -> APIRouter:
    routes = APIRouter(tags=["embeddings"])
    model = gateway.kit.fleet.services.embedding.model
    described = gateway.api.route(
        {200: {JSON: Embeddings, NDJSON: TEXT}},
        (404,),
        takes={JSON: EmbeddingsBody, NDJSON: LINES},
        parameters=[query(*parameter) for parameter in LINE_PARAMETERS],
        headers=[header(CACHE_HEADER, TEXT, "Numbers of texts that were and were not in the cache.")],
    )

    @routes.post("/v1/embeddings", openapi_extra=described)
    async def embeddings(request: Request) -> Response:
        """Return a vector of unit length for each text; with `application/x-ndjson`, one line for each line."""
        if media_type(request) == NDJSON:
            return _streamed(request)
        context = context_of(request.scope)
        body = await read(request, EmbeddingsBody, MAX_BODY_BYTES)
        _check_model(body.model, model)
        texts = _texts(body)
        try:
            asked = gateway.upstream.embedding.embed(texts, TextKind.PASSAGE, context)
            embedded = await until_gone(request, asked, context)
        except ArgosyError as error:
            raise _of_input(error, body) from error
        _check_dimensions(body.dimensions, body.model, embedded)
        hits = {CACHE_HEADER: f"hits={embedded.hits},misses={len(texts) - embedded.hits}"}
        return gateway.json(_answer(body, embedded), headers=hits)

    def _streamed(request: Request) -> Response:
        options = read_query(request, LineOptions)
        _check_model(options.model, model)
        return EmbeddingStream(
            gateway.upstream.embedding, context_of(request.scope), options, gateway.settings.max_timeout_s
        )

    return routes


def public_name(model: str) -> str:
    """Return the embedding model's name for callers: its name, or the last part of a folder's path, never a path."""
    path = PurePath(model)
    return path.name if path.is_absolute() or model.startswith((".", "~")) else model


def _check_model(asked: str, model: str) -> None:
    known = public_name(model)
    if asked not in (CHAT_MODEL, known, PurePath(known).name):
        raise ModelNotFound(
            f"There is no model {asked[:100]!r} for embeddings. Send {known}, which this fleet embeds with, or "
            f"{CHAT_MODEL}, which names the same model.",
            param="model",
        )


def _check_dimensions(asked: int | None, model: str, embedded: EmbedResponse) -> None:
    if asked not in (None, embedded.dimensions):
        raise InvalidRequest(
            f"The vectors of {model[:100]} have {embedded.dimensions} dimensions and are not shortened. "
            "Leave dimensions out.",
            param="dimensions",
        )


def _texts(body: EmbeddingsBody) -> list[str]:
    texts = [body.input] if isinstance(body.input, str) else body.input
    for position, one in enumerate(texts):
        fault = text_fault(one)
        if fault:
            raise InvalidRequest(f"The text at position {position} of input {fault}.", param="input")
    return texts


def _of_input(error: ArgosyError, body: EmbeddingsBody) -> ArgosyError:
    """Return the error with its parameter renamed from the embedding service's `texts[3]` to the caller's `input.3`."""
    found = _POSITION.fullmatch(error.param or "")
    if found is not None:
        error.param = "input" if isinstance(body.input, str) else f"input.{found[1]}"
    return error


def _answer(body: EmbeddingsBody, embedded: EmbedResponse) -> Embeddings:
    tokens = sum(embedded.tokens)
    data = [Embedding(n, vector) for n, vector in enumerate(vectors(embedded, body.encoding_format == "base64"))]
    answer = Embeddings(data, body.model, EmbeddingUsage(tokens, tokens))
    truncated = _positions(embedded.truncated)
    if truncated:
        answer.truncated = truncated
    return answer


def _positions(flags: Sequence[bool]) -> list[int]:
    return [n for n, flag in enumerate(flags) if flag]

"""`POST /v1/embeddings`, in OpenAI's shape."""

from __future__ import annotations

from pathlib import PurePath

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from argosy.contracts.embedding import EmbedResponse, TextKind
from argosy.contracts.errors import InvalidRequest, ModelNotFound
from argosy.services.gateway.bodies import MAX_INPUTS, EmbeddingsBody
from argosy.services.gateway.gateway import Gateway
from argosy.services.gateway.reading import read
from argosy.services.gateway.schema import takes
from argosy.services.gateway.shapes import Embedding, Embeddings, EmbeddingUsage
from argosy.serving.app import until_gone
from argosy.serving.middleware import context_of


def router(gateway: Gateway) -> APIRouter:
    routes = APIRouter(tags=["embeddings"])
    model = gateway.kit.fleet.services.embedding.model

    @routes.post("/v1/embeddings", openapi_extra=takes(EmbeddingsBody))
    async def embeddings(request: Request) -> Response:
        """One vector of unit length for each text."""
        context = context_of(request.scope)
        body = await read(request, EmbeddingsBody)
        texts = _texts(body, model)
        embedded = await until_gone(
            request, gateway.upstream.embedding.embed(texts, TextKind.PASSAGE, context), context
        )
        if body.dimensions not in (None, embedded.dimensions):
            raise InvalidRequest(
                f"The vectors of {body.model[:100]} have {embedded.dimensions} dimensions and are not shortened. "
                "Leave dimensions out.",
                param="dimensions",
            )
        return gateway.json(_answer(body, embedded))

    return routes


def public_name(model: str) -> str:
    """What callers know the embedding model as: its name, or of a folder the last part, never a path."""
    path = PurePath(model)
    return path.name if path.is_absolute() or model.startswith((".", "~")) else model


def _texts(body: EmbeddingsBody, model: str) -> list[str]:
    known = public_name(model)
    if body.model not in (known, PurePath(known).name):
        raise ModelNotFound(
            f"There is no model {body.model[:100]!r} for embeddings. This fleet embeds with {known}.", param="model"
        )
    texts = [body.input] if isinstance(body.input, str) else body.input
    if not texts:
        raise InvalidRequest("input holds no text; send at least one.", param="input")
    if len(texts) > MAX_INPUTS:
        raise InvalidRequest(
            f"input holds {len(texts)} texts, the limit is {MAX_INPUTS}. Send fewer at once.", param="input"
        )
    empty = next((n for n, text in enumerate(texts) if not text.strip()), None)
    if empty is not None:
        raise InvalidRequest(f"The text at position {empty} of input is empty; leave it out.", param="input")
    return texts


def _answer(body: EmbeddingsBody, embedded: EmbedResponse) -> Embeddings:
    tokens = sum(embedded.tokens)
    answer = Embeddings(_vectors(body, embedded), body.model, EmbeddingUsage(tokens, tokens))
    truncated = [n for n, cut in enumerate(embedded.truncated) if cut]
    if truncated:
        answer.truncated = truncated
    return answer


def _vectors(body: EmbeddingsBody, embedded: EmbedResponse) -> list[Embedding]:
    """As numbers, or as base64 of the very bytes that came (msgspec writes bytes as base64)."""
    if body.encoding_format == "float":
        # Brings numpy, which a gateway needs for nothing else.
        from argosy.contracts.vectors import matrix

        return [Embedding(n, row) for n, row in enumerate(matrix(embedded).tolist())]
    size = 4 * embedded.dimensions
    return [
        Embedding(n, embedded.vectors[at : at + size]) for n, at in enumerate(range(0, len(embedded.vectors), size))
    ]

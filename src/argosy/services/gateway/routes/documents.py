"""Documents, batches and collections: passed on to the documents service as they come, never held whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from argosy.clients.exchange import RawResponse
from argosy.contracts.codec import JSON
from argosy.contracts.errors import InvalidRequest, NotFound, UnsupportedType
from argosy.contracts.request import Deadline
from argosy.services.gateway.batches import follow
from argosy.services.gateway.caller_stream import CallerStream
from argosy.services.gateway.gateway import Gateway
from argosy.services.gateway.sse import MEDIA_TYPE, EventStream
from argosy.serving.app import until_gone
from argosy.serving.middleware import context_of

PASSED_ON = ("content-type", "content-length")
UPLOAD_TYPES = (JSON, "multipart/form-data")
LONGEST_WAIT_S = 3600.0
WAIT_MARGIN_S = 2.0
"""What a long poll leaves of its deadline to answer in."""


def router(gateway: Gateway) -> APIRouter:
    routes = APIRouter(tags=["documents"])

    async def forward(request: Request, path: str, params: Mapping[str, str] | None = None) -> Response:
        context = context_of(request.scope)
        sent = gateway.upstream.documents.forward(
            request.method, path, context, params=dict(request.query_params) if params is None else params
        )
        return _as_it_came(await until_gone(request, sent, context))

    async def upload(request: Request, path: str, types: tuple[str, ...]) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in types:
            raise UnsupportedType(f"Content-Type {kind or '(none)'} is not accepted here. Send {' or '.join(types)}.")
        context = context_of(request.scope)
        body = CallerStream(request.receive).pieces()
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        answer = await gateway.upstream.documents.forward(
            "POST", path, context, body=body, headers=headers, params=dict(request.query_params)
        )
        return _as_it_came(answer)

    @routes.post("/v1/documents", status_code=202)
    async def add(request: Request) -> Response:
        """Takes files (multipart) or texts (JSON); answers 202 once all of them are on disk."""
        return await upload(request, "/documents", UPLOAD_TYPES)

    @routes.post("/v1/documents/refused", status_code=202)
    async def refused(request: Request) -> Response:
        """Keeps documents that their sender was refused, or could not read, as failed ones with the reason."""
        return await upload(request, "/documents/refused", (JSON,))

    @routes.get("/v1/documents")
    async def documents(request: Request) -> Response:
        """A page of documents and their status."""
        return await forward(request, "/documents")

    @routes.get("/v1/documents/{document_id}")
    async def document(request: Request, document_id: str) -> Response:
        """One document and its status."""
        return await forward(request, f"/documents/{_segment(document_id)}")

    @routes.delete("/v1/documents/{document_id}")
    async def forget(request: Request, document_id: str) -> Response:
        """Forgets a document; no search finds it from now on."""
        return await forward(request, f"/documents/{_segment(document_id)}")

    @routes.post("/v1/documents/{document_id}/retry")
    async def retry(request: Request, document_id: str) -> Response:
        """Tries a failed or dead document again."""
        return await forward(request, f"/documents/{_segment(document_id)}/retry")

    @routes.post("/v1/documents/{document_id}/cancel")
    async def call_off(request: Request, document_id: str) -> Response:
        """Calls off a document that waits or is in work; what is indexed of it stays."""
        return await forward(request, f"/documents/{_segment(document_id)}/cancel")

    @routes.get("/v1/batches/{batch_id}")
    async def batch(request: Request, batch_id: str) -> Response:
        """How far an upload is; `wait_s` waits that long for a change, `follow=1` streams all of them."""
        path = f"/batches/{_segment(batch_id)}"
        accepted = request.headers.get("accept", "")
        if request.query_params.get("follow") == "1" or (MEDIA_TYPE in accepted and JSON not in accepted):
            return await followed(request, path)
        return await forward(request, path, _waiting(request))

    async def followed(request: Request, path: str) -> Response:
        """Server-sent events until the batch is done."""
        context = context_of(request.scope)
        first = await until_gone(request, gateway.upstream.documents.forward("GET", path, context), context)
        if first.status != 200:
            return _as_it_came(first)

        async def poll(wait_s: float) -> RawResponse:
            within = replace(context, deadline=Deadline.after(wait_s + WAIT_MARGIN_S))
            return await gateway.upstream.documents.forward("GET", path, within, params={"wait_s": f"{wait_s:.3f}"})

        return EventStream(follow(first, poll, Deadline.after(LONGEST_WAIT_S)), {})

    @routes.delete("/v1/batches/{batch_id}")
    async def cancel(request: Request, batch_id: str) -> Response:
        """Calls off what has not ended of an upload; what is indexed stays."""
        return await forward(request, f"/batches/{_segment(batch_id)}")

    @routes.post("/v1/batches/{batch_id}/cancel")
    async def cancel_too(request: Request, batch_id: str) -> Response:
        """The same as deleting it."""
        return await forward(request, f"/batches/{_segment(batch_id)}/cancel")

    @routes.get("/v1/jobs")
    async def jobs(request: Request) -> Response:
        """A page of jobs, newest first; `state=dead` lists those that ran out of attempts."""
        return await forward(request, "/jobs")

    @routes.get("/v1/collections")
    async def collections(request: Request) -> Response:
        """All collections."""
        return await forward(request, "/collections")

    @routes.post("/v1/collections")
    async def create(request: Request) -> Response:
        """Creates a collection: `{"name": …}`."""
        return await upload(request, "/collections", (JSON,))

    @routes.delete("/v1/collections/{name}")
    async def drop(request: Request, name: str) -> Response:
        """Deletes a collection and every document in it."""
        return await forward(request, f"/collections/{_segment(name)}")

    return routes


def _as_it_came(answer: RawResponse) -> Response:
    headers = {"retry-after": answer.retry_after} if answer.retry_after is not None else {}
    return Response(answer.body, status_code=answer.status, media_type=answer.content_type, headers=headers)


def _segment(name: str) -> str:
    """`name` as one part of a path. Raises: NotFound for what would lead to another path."""
    if name in ("", ".", ".."):
        raise NotFound("There is nothing of that name.")
    return quote(name, safe="")


def _waiting(request: Request) -> dict[str, str]:
    """The query of a long poll: it waits no longer than leaves time to answer."""
    params = dict(request.query_params)
    if "wait_s" not in params:
        return params
    try:
        wait_s = float(params["wait_s"])
    except ValueError:
        wait_s = -1.0
    if not 0 <= wait_s <= LONGEST_WAIT_S:
        raise InvalidRequest(f"wait_s is not a number of seconds from 0 to {LONGEST_WAIT_S:.0f}.", param="wait_s")
    left_s = context_of(request.scope).deadline.remaining_s()
    return params | {"wait_s": f"{max(0.0, min(wait_s, left_s - WAIT_MARGIN_S)):.3f}"}

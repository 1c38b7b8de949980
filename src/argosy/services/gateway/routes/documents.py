"""Routes for documents, batches and collections. An upload is passed on once it has been received completely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from argosy.clients.exchange import RawResponse
from argosy.contracts.codec import JSON
from argosy.contracts.documents import (
    MAX_TEXTS_BYTES,
    Accepted,
    BatchView,
    Cancelled,
    CollectionCreate,
    CollectionList,
    CollectionView,
    DocumentPage,
    DocumentView,
    Dropped,
    Forgotten,
    JobPage,
    RefusedUpload,
    TextUpload,
)
from argosy.contracts.errors import InvalidRequest, NotFound, UnsupportedType
from argosy.contracts.request import Deadline
from argosy.contracts.strict_json import printable
from argosy.services.gateway.answer.sse import MEDIA_TYPE, EventStream
from argosy.services.gateway.batches import follow
from argosy.services.gateway.caller_stream import CallerStream
from argosy.services.gateway.gateway import Gateway
from argosy.services.gateway.routes.parameters import (
    DOCUMENT_FILTERS,
    FILES,
    FORM,
    JOB_FILTERS,
    LONGEST_WAIT_S,
    MAX_PARAMETER_CHARS,
    WAITING,
)
from argosy.serving.app import until_gone
from argosy.serving.bodies import bounded, media_type
from argosy.serving.middleware import becomes_waiter, context_of
from argosy.serving.openapi import EVENT, number, query
from argosy.serving.spool import spooled

UPLOAD_TYPES = (JSON, FORM)
MAX_REFUSED_BYTES = 4 * 2**20
MAX_NAME_BYTES = 16 * 2**10
NO_WAIT = {"wait_s": "0"}
WAIT_MARGIN_S = 2.0
"""Part of its deadline that a long poll keeps for the response."""


def router(gateway: Gateway) -> APIRouter:
    routes = APIRouter(tags=["documents"])
    described = gateway.api.route
    listed = (query("limit", number(1, 1000), "Number of entries in a page."),)

    async def forward(
        request: Request, path: str, params: Mapping[str, str] | None = None, *, waits: bool = False
    ) -> Response:
        context = context_of(request.scope)
        asked = _query(request) if params is None else params
        sent = gateway.upstream.documents.forward(request.method, path, context, params=asked, waits=waits)
        return _as_it_came(await until_gone(request, sent, context))

    async def upload(request: Request, path: str, types: tuple[str, ...], json_bytes: int) -> Response:
        kind = media_type(request)
        if kind not in types:
            shown = kind[:100] or "(none)"
            raise UnsupportedType(f"Content-Type {shown} is not accepted here. Send {' or '.join(types)}.")
        most_bytes = gateway.settings.max_body_bytes
        pieces = bounded(
            request,
            min(json_bytes, most_bytes) if kind == JSON else most_bytes,
            CallerStream(request.receive).pieces(),
        )
        documents, folder = gateway.upstream.documents, Path(gateway.kit.record.data_dir)
        # The upload is received completely first: a slow sender must not occupy a call of the documents service.
        async with spooled(pieces, folder) as body:
            headers = {"content-type": request.headers["content-type"], "content-length": str(body.size)}
            answer = await documents.forward(
                "POST", path, context_of(request.scope), body=body.pieces(), headers=headers, params=_query(request)
            )
        return _as_it_came(answer)

    @routes.post(
        "/v1/documents",
        status_code=202,
        openapi_extra=described({202: Accepted}, (422, 507), takes={JSON: TextUpload, FORM: FILES}),
    )
    async def add(request: Request) -> Response:
        """Add files (multipart) or texts (JSON). The response is 202 once all of them are on disk."""
        return await upload(request, "/documents", UPLOAD_TYPES, MAX_TEXTS_BYTES)

    @routes.post(
        "/v1/documents/refused",
        status_code=202,
        openapi_extra=described({202: Accepted}, (422, 507), takes=RefusedUpload),
    )
    async def refused(request: Request) -> Response:
        """Record documents that their sender could not read or upload as failed documents, with the reason."""
        return await upload(request, "/documents/refused", (JSON,), MAX_REFUSED_BYTES)

    @routes.get(
        "/v1/documents",
        openapi_extra=described({200: DocumentPage}, (404,), parameters=[*listed, *DOCUMENT_FILTERS]),
    )
    async def documents(request: Request) -> Response:
        """Return a page of documents and their status."""
        return await forward(request, "/documents")

    @routes.get("/v1/documents/{document_id}", openapi_extra=described({200: DocumentView}))
    async def document(request: Request, document_id: str) -> Response:
        """Return one document and its status."""
        return await forward(request, f"/documents/{_segment(document_id)}")

    @routes.delete("/v1/documents/{document_id}", openapi_extra=described({200: Forgotten}, (507,)))
    async def forget(request: Request, document_id: str) -> Response:
        """Forget a document. No search finds it from then on."""
        return await forward(request, f"/documents/{_segment(document_id)}")

    @routes.post(
        "/v1/documents/{document_id}/retry",
        status_code=202,
        openapi_extra=described({202: DocumentView}, (409, 507)),
    )
    async def retry(request: Request, document_id: str) -> Response:
        """Retry a failed or dead document."""
        return await forward(request, f"/documents/{_segment(document_id)}/retry")

    @routes.post("/v1/documents/{document_id}/cancel", openapi_extra=described({200: DocumentView}, (409, 507)))
    async def call_off(request: Request, document_id: str) -> Response:
        """Cancel a document that is waiting or being processed. Content already indexed stays."""
        return await forward(request, f"/documents/{_segment(document_id)}/cancel")

    @routes.get(
        "/v1/batches/{batch_id}",
        openapi_extra=described({200: {JSON: BatchView, MEDIA_TYPE: EVENT}}, parameters=WAITING),
    )
    async def batch(request: Request, batch_id: str) -> Response:
        """Return the progress of an upload. `wait_s` waits that long for a change; `follow=1` streams all changes."""
        path = f"/batches/{_segment(batch_id)}"
        accepted = request.headers.get("accept", "")
        if request.query_params.get("follow") == "1" or (MEDIA_TYPE in accepted and JSON not in accepted):
            return await followed(request, path)
        params = _waiting(request)
        if float(params.get("wait_s", "0")) <= 0:
            return await forward(request, path, params)
        becomes_waiter(request.scope)
        return await gateway.kit.waiters.unless_ending(
            forward(request, path, params, waits=True), lambda: forward(request, path, params | NO_WAIT, waits=True)
        )

    async def followed(request: Request, path: str) -> Response:
        """Stream server-sent events until the batch is done."""
        becomes_waiter(request.scope)
        context, waiters = context_of(request.scope), gateway.kit.waiters
        looked = gateway.upstream.documents.forward("GET", path, context, params=NO_WAIT, waits=True)
        first = await until_gone(request, looked, context)
        if first.status != 200:
            return _as_it_came(first)

        async def poll(wait_s: float) -> RawResponse:
            within = replace(context, deadline=Deadline.after(wait_s + WAIT_MARGIN_S))
            documents = gateway.upstream.documents
            return await waiters.unless_ending(
                documents.forward("GET", path, within, params={"wait_s": f"{wait_s:.3f}"}, waits=True),
                lambda: documents.forward("GET", path, within, params=NO_WAIT, waits=True),
            )

        return EventStream(
            follow(first, poll, Deadline.after(LONGEST_WAIT_S), waiters.pause, waiters.ending.is_set), {}
        )

    @routes.delete("/v1/batches/{batch_id}", openapi_extra=described({200: Cancelled}, (507,)))
    async def cancel(request: Request, batch_id: str) -> Response:
        """Cancel the documents of an upload that have not ended. Content already indexed stays."""
        return await forward(request, f"/batches/{_segment(batch_id)}")

    @routes.post("/v1/batches/{batch_id}/cancel", openapi_extra=described({200: Cancelled}, (507,)))
    async def cancel_too(request: Request, batch_id: str) -> Response:
        """Cancel a batch, as `DELETE /v1/batches/{batch_id}` does."""
        return await forward(request, f"/batches/{_segment(batch_id)}/cancel")

    @routes.get("/v1/jobs", openapi_extra=described({200: JobPage}, parameters=[*listed, *JOB_FILTERS]))
    async def jobs(request: Request) -> Response:
        """Return a page of jobs, newest first. `state=dead` lists the jobs that ran out of attempts."""
        return await forward(request, "/jobs")

    @routes.get("/v1/collections", openapi_extra=described({200: CollectionList}))
    async def collections(request: Request) -> Response:
        """Return all collections."""
        return await forward(request, "/collections")

    @routes.post(
        "/v1/collections",
        status_code=201,
        openapi_extra=described({201: CollectionView}, (409, 507), takes=CollectionCreate),
    )
    async def create(request: Request) -> Response:
        """Create a collection: `{"name": …}`."""
        return await upload(request, "/collections", (JSON,), MAX_NAME_BYTES)

    @routes.delete("/v1/collections/{name}", openapi_extra=described({200: Dropped}, (409, 507)))
    async def drop(request: Request, name: str) -> Response:
        """Delete a collection and every document in it."""
        return await forward(request, f"/collections/{_segment(name)}")

    return routes


def _as_it_came(answer: RawResponse) -> Response:
    headers = {"retry-after": answer.retry_after} if answer.retry_after is not None else {}
    return Response(answer.body, status_code=answer.status, media_type=answer.content_type, headers=headers)


def _segment(name: str) -> str:
    """Return `name` as one segment of a path.

    Raises: NotFound when it would lead to another path or cannot be the name of anything.
    """
    if name in ("", ".", "..") or len(name) > MAX_PARAMETER_CHARS or "\0" in name:
        raise NotFound("There is nothing with that id or name. Check it.")
    return quote(name, safe="")


def _query(request: Request) -> dict[str, str]:
    """Return the query to pass on.

    Raises: InvalidRequest when a parameter is repeated, too long or contains a NUL character.
    """
    params: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        shown = printable(name)
        if name in params:
            raise InvalidRequest(f"The query holds {shown} twice. Send it once.", param=shown)
        if "\0" in value or len(value) > MAX_PARAMETER_CHARS:
            raise InvalidRequest(
                f"{shown} has more than {MAX_PARAMETER_CHARS} characters or contains a NUL. Correct it.", param=shown
            )
        params[name] = value
    return params


def _waiting(request: Request) -> dict[str, str]:
    """Return the query of a long poll, with `wait_s` shortened so that time for the response is left.

    Raises: InvalidRequest when `wait_s` is not a number from 0 to LONGEST_WAIT_S.
    """
    params = _query(request)
    if "wait_s" not in params:
        return params
    try:
        wait_s = float(params["wait_s"])
    except ValueError:
        wait_s = -1.0
    if not 0 <= wait_s <= LONGEST_WAIT_S:
        raise InvalidRequest(f"wait_s must be a number of seconds from 0 to {LONGEST_WAIT_S:.0f}.", param="wait_s")
    left_s = context_of(request.scope).deadline.remaining_s()
    return params | {"wait_s": f"{max(0.0, min(wait_s, left_s - WAIT_MARGIN_S)):.3f}"}

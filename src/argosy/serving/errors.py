"""Conversion of errors into responses; no other place does this."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from argosy.contracts.codec import JSON
from argosy.contracts.errors import (
    ArgosyError,
    CallerGone,
    DeadlineExceeded,
    ErrorResponse,
    Internal,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
)


def as_argosy_error(error: BaseException) -> ArgosyError:
    """Return an ArgosyError unchanged, a framework error by its status, and any other error as `Internal`.

    The text of other errors is not sent to clients.
    """
    if isinstance(error, ArgosyError):
        return error
    if isinstance(error, TimeoutError):
        return DeadlineExceeded("The time allowed for this request has passed. Allow more time, or ask for less.")
    if isinstance(error, ClientDisconnect):
        return CallerGone("The caller disconnected.")
    if isinstance(error, HTTPException):
        if error.status_code == 404:
            return NotFound("There is no such route. The API reference is at /docs on the gateway.")
        if error.status_code == 405:
            return MethodNotAllowed(
                "This route does not accept this method. The API reference is at /docs on the gateway."
            )
        if error.status_code < 500:
            return InvalidRequest(str(error.detail))
    return Internal("Argosy failed to process the request. Quote the request id when you report this error.")


def error_response(error: ArgosyError, request_id: str | None) -> Response:
    """Return the JSON response of an error, with Retry-After if the error has one."""
    headers = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after_s))
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    body = msgspec.json.encode(ErrorResponse(error.body(request_id)))
    return Response(body, status_code=error.status, media_type=JSON, headers=headers)


def raw_response(
    error: ArgosyError, status_line: bytes, headers: Sequence[tuple[bytes, bytes]], request_id: str
) -> bytes:
    """Return the bytes of an error's response that is sent outside of an application and closes its connection."""
    body = msgspec.json.encode(ErrorResponse(error.body(request_id)))
    head = [status_line, *(b"%s: %s\r\n" % pair for pair in headers)]
    if error.retry_after_s is not None:
        head.append(b"retry-after: %d\r\n" % math.ceil(error.retry_after_s))
    head.append(
        b"content-type: %s\r\ncontent-length: %d\r\nx-request-id: %s\r\nconnection: close\r\n\r\n"
        % (JSON.encode(), len(body), request_id.encode())
    )
    return b"".join([*head, body])

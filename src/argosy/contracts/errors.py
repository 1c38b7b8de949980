"""Errors that Argosy raises across a boundary. Each class has its code, its status and whether a retry helps.

A service turns an `ArgosyError` into a response in one place (`argosy.serving`); a client turns the response back into
the same class with `error_from_wire`. The message is for the caller: it names the field, the limit and the remedy, and
never an internal path, a secret or another user's data.
"""

# This is one file of more than 300 lines so that every code stands in one place; `BY_CODE` needs all classes defined.

from __future__ import annotations

from typing import ClassVar

import msgspec


class ErrorBody(msgspec.Struct, omit_defaults=False):
    """Content of `"error"` in a response: OpenAI's shape plus `request_id` and `retryable`."""

    message: str
    type: str
    code: str
    param: str | None = None
    request_id: str | None = None
    retryable: bool = False


class ErrorResponse(msgspec.Struct):
    error: ErrorBody


class ArgosyError(Exception):
    """Root class of all errors of Argosy."""

    code: ClassVar[str] = "internal_error"
    kind: ClassVar[str] = "server_error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, param: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s

    def body(self, request_id: str | None = None) -> ErrorBody:
        return ErrorBody(
            message=self.message,
            type=self.kind,
            code=self.code,
            param=self.param,
            request_id=request_id,
            retryable=self.retryable,
        )


class InvalidRequest(ArgosyError):
    """The request is wrong; sending it again does not help."""

    code = "invalid_request"
    kind = "invalid_request_error"
    status = 400


class ConfigError(ArgosyError):
    """The fleet file, a variable or a flag is wrong. The message names the place, the key and the remedy."""

    code = "invalid_configuration"
    kind = "invalid_request_error"
    status = 400


class StartError(ArgosyError):
    """The fleet or a part of it cannot be started on this machine. The message says why and what to do."""

    code = "start_failed"


class SupervisionLost(ArgosyError):
    """The controller cannot supervise the fleet any more and exits. The data plane serves without it meanwhile."""

    code = "supervision_lost"


class Unauthorized(ArgosyError):
    code = "unauthorized"
    kind = "authentication_error"
    status = 401


class Forbidden(ArgosyError):
    code = "forbidden"
    kind = "permission_error"
    status = 403


class NotFound(ArgosyError):
    code = "not_found"
    kind = "invalid_request_error"
    status = 404


class MethodNotAllowed(ArgosyError):
    code = "method_not_allowed"
    kind = "invalid_request_error"
    status = 405


class ModelNotFound(NotFound):
    """The request names an unknown `model`. The message lists the known models."""

    code = "model_not_found"


class CollectionNotFound(NotFound):
    code = "collection_not_found"


class DocumentNotFound(NotFound):
    code = "document_not_found"


class Conflict(ArgosyError):
    """The current state does not allow the request (a newer version is published, a name is taken)."""

    code = "conflict"
    kind = "invalid_request_error"
    status = 409


class RequestTimeout(ArgosyError):
    """The caller sent its request too slowly. No work was done for it."""

    code = "request_timeout"
    kind = "timeout_error"
    status = 408
    retryable = True


class HeadersTooLarge(ArgosyError):
    """The request line, the headers or the framing of a chunked body are over a limit."""

    code = "headers_too_large"
    kind = "invalid_request_error"
    status = 431


class TooLarge(ArgosyError):
    code = "too_large"
    kind = "invalid_request_error"
    status = 413


class UnsupportedType(ArgosyError):
    code = "unsupported_type"
    kind = "invalid_request_error"
    status = 415


class Misdirected(ArgosyError):
    """The Host header names an address that this process does not serve."""

    code = "misdirected_request"
    kind = "invalid_request_error"
    status = 421


class Overloaded(ArgosyError):
    """A bounded queue is full and nothing was accepted. `retry_after_s` is the time to wait before a retry."""

    code = "overloaded"
    kind = "rate_limit_error"
    status = 429
    retryable = True


class Internal(ArgosyError):
    """Bug or broken part of Argosy. The message never contains internal details."""


class UpstreamFailed(ArgosyError):
    """A service or provider that Argosy calls sent an unusable answer."""

    code = "upstream_failed"
    status = 502
    retryable = True


class Unavailable(ArgosyError):
    """A required service cannot be reached now. The message names the service."""

    code = "unavailable"
    status = 503
    retryable = True


class ModelMissing(Unavailable):
    """There are no usable model files. The message says where they were searched and how to provide them."""

    code = "model_missing"
    retryable = False


class DeadlineExceeded(ArgosyError):
    """The caller's deadline has passed, or the remaining time cannot suffice."""

    code = "deadline_exceeded"
    kind = "timeout_error"
    status = 504
    retryable = True


class CallerGone(ArgosyError):
    """The caller hung up before the answer was ready. No caller reads this error."""

    code = "caller_gone"
    kind = "invalid_request_error"
    status = 499


class StorageFull(ArgosyError):
    """The disk refused a write, and nothing was accepted."""

    code = "storage_full"
    status = 507
    retryable = True


class DocumentError(ArgosyError):
    """A document cannot be indexed for a reason in the document itself. `code` is one of DOCUMENT_ERROR_CODES."""

    code = "document_failed"
    kind = "invalid_request_error"
    status = 422


class EmptyDocument(DocumentError):
    code = "empty_document"


class EncryptedDocument(DocumentError):
    code = "encrypted_document"


class UnreadableDocument(DocumentError):
    """The document is damaged, or its content is not what its name or type says."""

    code = "unreadable_document"


class NoTextInDocument(DocumentError):
    """The document is readable but contains no text (a scan without OCR, images only)."""

    code = "no_text"


class OcrMissing(DocumentError):
    """The document contains only pictures of text, and this machine has no text recognition (OCR)."""

    code = "ocr_missing"


class OversizedDocument(DocumentError):
    """The file is small but unpacks to more pages, archive members or bytes than a document may have."""

    code = "oversized_document"


class ParserTimedOut(DocumentError):
    code = "parser_timed_out"


class ParserCrashed(DocumentError):
    code = "parser_crashed"


SERVICE_FAILURES = (Unavailable, Overloaded, DeadlineExceeded, UpstreamFailed, Internal)
"""Errors after which a caller that has a fallback uses it. All other errors are about the request and are passed on."""


def _subclasses(root: type[ArgosyError]) -> list[type[ArgosyError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in _subclasses(child))]


BY_CODE: dict[str, type[ArgosyError]] = {cls.code: cls for cls in reversed(_subclasses(ArgosyError))}
BY_CODE["internal_error"] = Internal
DOCUMENT_ERROR_CODES = tuple(sorted(cls.code for cls in _subclasses(DocumentError)))


def error_from_wire(status: int, body: bytes, service: str, retry_after_s: float | None = None) -> ArgosyError:
    """Return the error that a service answered with, as the class that the service raised.

    A body that no service of Argosy wrote (a proxy's page, a truncated answer) becomes `Overloaded` for status 429,
    `Unavailable` for 503, and `UpstreamFailed` for any other status.
    """
    try:
        wire = msgspec.json.decode(body, type=ErrorResponse).error
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        if status == Overloaded.status:
            return Overloaded(f"The {service} service is overloaded. Try again later.", retry_after_s=retry_after_s)
        if status == Unavailable.status:
            return Unavailable(f"The {service} service is unavailable.", retry_after_s=retry_after_s)
        return UpstreamFailed(
            f"The {service} service answered with status {status}. See its log.", retry_after_s=retry_after_s
        )
    cls = BY_CODE.get(wire.code, UpstreamFailed)
    return cls(wire.message, param=wire.param, retry_after_s=retry_after_s)

"""Policy for failed attempts: whether a job fails, waits or is retried."""

from __future__ import annotations

from argosy.contracts.documents import DocumentFault
from argosy.contracts.errors import (
    ArgosyError,
    DocumentError,
    InvalidRequest,
    Overloaded,
    ParserCrashed,
    StorageFull,
    TooLarge,
    Unavailable,
    UnsupportedType,
)
from argosy.services.documents.jobs.leases import Job, JobLeases


def settle(jobs: JobLeases, job: Job, error: Exception) -> None:
    """Record a failed attempt according to its cause. This blocks.

    When the document is at fault, the job fails for good. When a service is unavailable or full, the job waits without
    limit. After any other error, and after a parser crash, the job is retried up to `max_attempts`. The recorded detail
    never contains the text of an unexpected exception.

    Raises: LeaseLost when the job is no longer this worker's.
    """
    if not isinstance(error, ArgosyError):
        fault = DocumentFault("internal_error", "Argosy failed internally while it processed the document. Retry it.")
        jobs.fail(job, fault, retryable=True)
        return
    fault = DocumentFault(error.code, error.message)
    if isinstance(error, (Unavailable, Overloaded, StorageFull)):
        jobs.wait(job, fault)
    else:
        blamed = isinstance(error, (DocumentError, UnsupportedType, TooLarge, InvalidRequest))
        killed = isinstance(error, ParserCrashed)  # perhaps not by the document: other causes kill processes too
        jobs.fail(job, fault, retryable=killed or not blamed)

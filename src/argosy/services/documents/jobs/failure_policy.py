"""What becomes of a job whose try went wrong."""

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
from argosy.services.documents.jobs.leases import Job, Jobs


def settle(jobs: Jobs, job: Job, error: Exception) -> None:
    """Records a try that went wrong, by whose fault it was. Blocking. Raises: LeaseLost.

    The document's: failed for good. A service that is away or full: the job waits, for as long as it takes. Anything
    else: tried again a few times. What the caller may read never holds an unexpected exception's own words.
    """
    if not isinstance(error, ArgosyError):
        fault = DocumentFault("internal_error", "Something went wrong inside Argosy while the document was processed.")
        jobs.fail(job, fault, retryable=True)
        return
    fault = DocumentFault(error.code, error.message)
    if isinstance(error, (Unavailable, Overloaded, StorageFull)):
        jobs.wait(job, fault)
    else:
        blamed = isinstance(error, (DocumentError, UnsupportedType, TooLarge, InvalidRequest))
        killed = isinstance(error, ParserCrashed)  # by the document, or by whoever else ends processes
        jobs.fail(job, fault, retryable=killed or not blamed)

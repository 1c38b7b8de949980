"""Id of a request, which appears in logs, on the answer and in every error."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

from argosy.contracts.request import REQUEST_ID_HEADER

SAFE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def request_id_of(headers: Mapping[str, str]) -> str:
    """Return the caller's id if it is safe for logs, else a new id."""
    given = headers.get(REQUEST_ID_HEADER, "")
    return given if SAFE_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex

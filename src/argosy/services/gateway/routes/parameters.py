"""Parameters of the documents routes and the form of an upload, for the description of the API."""

from __future__ import annotations

from argosy.contracts.documents import MAX_METADATA_BYTES, DocumentStatus
from argosy.serving.openapi import BINARY, Schema, number, query, text

FORM = "multipart/form-data"
LONGEST_WAIT_S = 3600.0
MAX_PARAMETER_CHARS = 512
MAX_NUMBER = 10**15 - 1

DOCUMENT_FILTERS = (
    query("after", text(MAX_PARAMETER_CHARS), "`next` of the previous page."),
    query("status", {"type": "string", "enum": list(DocumentStatus)}, "Only documents with this status."),
    query("collection", text(MAX_PARAMETER_CHARS), "Only documents in this collection."),
)
JOB_FILTERS = (
    query("after", number(0, MAX_NUMBER), "`next` of the previous page."),
    query("state", text(MAX_PARAMETER_CHARS), "Only jobs in this state."),
)
WAITING = (
    query("wait_s", number(0, LONGEST_WAIT_S, whole=False), "Seconds to wait for a change."),
    query("follow", {"type": "string", "enum": ["0", "1"]}, "1 streams each change as a server-sent event."),
)
FILES: Schema = {
    "type": "object",
    "required": ["files"],
    "properties": {
        "files": {"type": "array", "items": BINARY, "minItems": 1, "description": "The documents, each with its name."},
        "sources": {
            "type": "array",
            "items": text(2048, minLength=1),
            "description": "Source of each file, in the order of the files; by default, the name of the file.",
        },
        "collection": text(64, pattern="^[a-z0-9_-]+$"),
        "metadata": text(MAX_METADATA_BYTES, contentMediaType="application/json", description="A JSON object."),
        "group": text(64, pattern="^[A-Za-z0-9_-]+$"),
    },
    "additionalProperties": False,
}

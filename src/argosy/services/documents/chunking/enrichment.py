"""The enrich stage: joins the sender's metadata with a document's own properties for its chunks."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from argosy.contracts.store import Metadata
from argosy.services.documents.parsing.parsed import ParsedDocument
from argosy.services.documents.parsing.titles import MAX_GIVEN_TITLE_CHARS, shortened


@dataclass(frozen=True, slots=True)
class Enriched:
    """Title and metadata of a document that its chunks carry."""

    title: str | None
    metadata: Metadata


def enrich(parsed: ParsedDocument, title: str | None, given: Metadata) -> Enriched:
    """Join metadata. The sender's `title` and `given` metadata override what the document states about itself.

    The document contributes `author`, `created`, `modified`, `language` and `page_count`, each only when known. Its
    texts are cut to MAX_TITLE_CHARS, a title from the sender to MAX_GIVEN_TITLE_CHARS.
    """
    said = msgspec.to_builtins(parsed.properties).items()
    found: Metadata = {key: shortened(value) for key, value in said if value}
    if parsed.pages:
        found["page_count"] = len(parsed.pages)
    if title:
        title = shortened(title, MAX_GIVEN_TITLE_CHARS)
    elif parsed.title:
        title = shortened(parsed.title)
    return Enriched(title or None, {**found, **given})

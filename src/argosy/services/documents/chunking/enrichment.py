"""The enrich stage: what is known about a document joined into the metadata that its chunks carry."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from argosy.contracts.store import Metadata
from argosy.services.documents.parsing.parsed import ParsedDocument
from argosy.services.documents.parsing.titles import MAX_GIVEN_TITLE_CHARS, shortened


@dataclass(frozen=True, slots=True)
class Enriched:
    title: str | None
    metadata: Metadata


def enrich(parsed: ParsedDocument, title: str | None, given: Metadata) -> Enriched:
    """`title` and `given` are the sender's own and win over what the document says about itself.

    Found are `author`, `created`, `modified`, `language` and `page_count`, each only where it is known. Texts are cut
    to a bounded length.
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

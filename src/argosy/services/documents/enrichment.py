"""The enrich stage: what is known about a document joined into the metadata that its chunks carry."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from argosy.contracts.store import Metadata
from argosy.services.documents.parsed import ParsedDocument


@dataclass(frozen=True, slots=True)
class Enriched:
    title: str | None
    metadata: Metadata


def enrich(parsed: ParsedDocument, title: str | None, given: Metadata) -> Enriched:
    """`title` and `given` are the sender's own and win over what the document says about itself.

    Found are `author`, `created`, `modified`, `language` and `page_count`, each only where it is known.
    """
    found: Metadata = {key: value for key, value in msgspec.to_builtins(parsed.properties).items() if value}
    if parsed.pages:
        found["page_count"] = len(parsed.pages)
    return Enriched(title or parsed.title, {**found, **given})

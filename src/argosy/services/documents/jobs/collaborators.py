"""The parser and the services that the pipeline uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from argosy.contracts.request import RequestContext
    from argosy.contracts.store import EnsureCollection, ForgetRequest, PublishRequest, UpsertRequest
    from argosy.services.documents.jobs.shared_calls import ChunkEmbedder
    from argosy.services.documents.parsing.parsed import ParsedDocument
    from argosy.services.documents.parsing.short_texts import ShortTexts


class Parser(Protocol):
    async def parse(
        self, data: bytes, name: str, timeout_s: float, content_type: str | None = None
    ) -> ParsedDocument: ...


class ChunkStore(Protocol):
    """The store as the pipeline uses it. Each call may be repeated and raises ArgosyError when it fails."""

    async def ensure(self, request: EnsureCollection, context: RequestContext) -> None: ...

    async def upsert(self, request: UpsertRequest, context: RequestContext) -> None: ...

    async def publish(self, request: PublishRequest, context: RequestContext) -> None: ...

    async def forget(self, request: ForgetRequest, context: RequestContext) -> None: ...


@dataclass(frozen=True, slots=True)
class Shared:
    """Clients whose calls are shared by documents that wait at the same time."""

    embedder: ChunkEmbedder
    store: ChunkStore
    texts: ShortTexts | None = None
    """Reads short texts; None parses them like any other document."""

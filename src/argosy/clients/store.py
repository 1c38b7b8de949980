"""Client of the store service.

Every call is idempotent. All calls except `stats` wait while the store restarts, because it has a single replica.
"""

from __future__ import annotations

from collections.abc import Sequence

from argosy.clients.transport import Transport
from argosy.contracts.request import RequestContext
from argosy.contracts.store import (
    CollectionStats,
    CollectionVersion,
    EnsureCollection,
    ForgetRequest,
    PublishManyRequest,
    PublishRequest,
    StoreOutcome,
    StoreSearchRequest,
    StoreSearchResponse,
    UpsertManyRequest,
    UpsertRequest,
    VersionRequest,
)


class StoreClient:
    """Client whose methods raise the errors of `Transport.call` and those of the store's engine."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def ensure(self, request: EnsureCollection, context: RequestContext) -> None:
        """Create the collection if it does not exist."""
        await self._transport.call("store", "/collections", request, type(None), context, patient=True)

    async def drop(self, request: EnsureCollection, context: RequestContext) -> None:
        """Delete the collection with all its content."""
        await self._transport.call("store", "/collections/drop", request, type(None), context, patient=True)

    async def upsert(self, request: UpsertRequest, context: RequestContext) -> None:
        """Store chunks of one version of a document; a later `publish` makes them visible.

        When this returns, the chunks survive a crash of the store.
        """
        await self._transport.call("store", "/upsert", request, type(None), context, patient=True)

    async def publish(self, request: PublishRequest, context: RequestContext) -> None:
        """Make a version of a document visible, durably, instead of earlier versions."""
        await self._transport.call("store", "/publish", request, type(None), context, patient=True)

    async def upsert_many(self, requests: Sequence[UpsertRequest], context: RequestContext) -> list[StoreOutcome]:
        """Store chunks of several documents in one call. Returns: an outcome for each request, in the same order."""
        message = UpsertManyRequest(list(requests))
        return await self._transport.call("store", "/upsert/many", message, list[StoreOutcome], context, patient=True)

    async def publish_many(self, requests: Sequence[PublishRequest], context: RequestContext) -> list[StoreOutcome]:
        """Publish several versions with one fsync. Returns: an outcome for each request, in the same order."""
        message = PublishManyRequest(list(requests))
        return await self._transport.call("store", "/publish/many", message, list[StoreOutcome], context, patient=True)

    async def forget(self, request: ForgetRequest, context: RequestContext) -> None:
        """Make a document invisible, durably."""
        await self._transport.call("store", "/forget", request, type(None), context, patient=True)

    async def search(self, request: StoreSearchRequest, context: RequestContext) -> StoreSearchResponse:
        """Return the best visible chunks by vector and by text, each list best first."""
        return await self._transport.call(
            "store", "/search", request, StoreSearchResponse, context, patient=True, read=True
        )

    async def version(self, collection: str, context: RequestContext) -> str:
        """Return the version of a collection's visible content, which differs after every acknowledged change."""
        asked = VersionRequest(collection)
        return (await self._transport.call("store", "/version", asked, CollectionVersion, context, read=True)).version

    async def stats(self, context: RequestContext) -> list[CollectionStats]:
        """Return the counts of every collection."""
        return await self._transport.call("store", "/stats", None, list[CollectionStats], context, read=True)

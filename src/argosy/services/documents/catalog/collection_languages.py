"""Languages of collections as the store knows them, and whether they fit the embedding model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from argosy.config.services import EmbeddingSettings
from argosy.contracts.documents import CollectionView
from argosy.contracts.errors import ArgosyError
from argosy.contracts.request import RequestContext
from argosy.contracts.store import CollectionStats
from argosy.models.languages import language_warning
from argosy.telemetry.logs import logger

log = logger("documents")


class CountingStore(Protocol):
    async def stats(self, context: RequestContext) -> list[CollectionStats]:
        """Return the counts of every collection. Raises: ArgosyError when the store cannot be asked."""
        ...


async def add_languages(
    views: Sequence[CollectionView], store: CountingStore, embedding: EmbeddingSettings, context: RequestContext
) -> None:
    """Add to each collection its languages and a warning where the model does not know them.

    The views stay without languages when the store cannot be asked in time.
    """
    try:
        stats = await store.stats(context)
    except ArgosyError as error:
        log.info("collections listed without languages", reason=error.code)
        return
    languages = {one.collection: one.languages for one in stats}
    for view in views:
        view.languages = languages.get(view.name, [])
        view.warning = language_warning(view.languages, embedding)

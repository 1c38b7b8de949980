from __future__ import annotations

import pytest

from argosy.config.services import EmbeddingSettings
from argosy.contracts.documents import CollectionView
from argosy.contracts.errors import Unavailable
from argosy.contracts.request import RequestContext
from argosy.contracts.store import CollectionStats
from argosy.services.documents.catalog.collection_languages import add_languages
from tests.kits import context

pytestmark = pytest.mark.unit


class Store:
    def __init__(self, answer: list[CollectionStats] | None) -> None:
        self._answer = answer

    async def stats(self, context: RequestContext) -> list[CollectionStats]:
        if self._answer is None:
            raise Unavailable("The store is away.")
        return self._answer


def views() -> list[CollectionView]:
    return [CollectionView("handbuch", 2, 1.0), CollectionView("manual", 1, 1.0), CollectionView("new", 0, 1.0)]


async def test_collections_get_their_languages_and_a_warning_where_the_model_does_not_fit() -> None:
    found = views()
    store = Store(
        [CollectionStats("manual", 3, 1, languages=["en"]), CollectionStats("handbuch", 9, 2, languages=["de", "en"])]
    )
    await add_languages(found, store, EmbeddingSettings(), context(1.0))
    assert [one.languages for one in found] == [["de", "en"], ["en"], []]
    assert found[0].warning is not None
    assert "de" in found[0].warning
    assert [one.warning for one in found[1:]] == [None, None]


async def test_collections_are_listed_while_the_store_is_away() -> None:
    found = views()
    await add_languages(found, Store(None), EmbeddingSettings(), context(1.0))
    assert found == views()

from __future__ import annotations

import pytest

from argosy.config.services import EmbeddingSettings
from argosy.models.languages import language_warning

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("settings", "languages", "named"),
    [
        ({}, ["en"], None),
        ({}, [], None),
        ({}, ["en", "de", "fr"], "de, fr"),
        ({"languages": ["en", "de"]}, ["de", "en"], None),
        ({"languages": ["*"]}, ["de"], None),
        ({"model": "intfloat/multilingual-e5-small"}, ["ja"], None),
        ({"model": "BAAI/bge-small-zh-v1.5"}, ["zh", "en"], "en"),
    ],
)
def test_a_collection_in_a_language_that_the_model_does_not_know_is_warned_of(
    settings: dict[str, object], languages: list[str], named: str | None
) -> None:
    said = language_warning(languages, EmbeddingSettings.model_validate(settings))
    if named is None:
        assert said is None
    else:
        assert said is not None
        assert f"does not know the language {named}:" in said
        assert "intfloat/multilingual-e5-small" in said

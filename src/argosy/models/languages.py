"""Languages that the embedding model of the fleet knows, and the warning for a collection with other languages."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.config.services import EmbeddingSettings
from argosy.models.catalog import customary_languages

MULTILINGUAL = "intfloat/multilingual-e5-small"
MAX_NAMED = 5


def known_languages(embedding: EmbeddingSettings) -> list[str]:
    """Return the languages that the embedding model knows; none means all."""
    if embedding.languages:
        return [] if "*" in embedding.languages else [*embedding.languages]
    return [*customary_languages(embedding.model)]


def language_warning(languages: Sequence[str], embedding: EmbeddingSettings) -> str | None:
    """Return the warning for a collection in these languages; None when the model knows all of them."""
    known = known_languages(embedding)
    unknown = [language for language in languages if known and language not in known]
    if not unknown:
        return None
    more = f" and {len(unknown) - MAX_NAMED} more" if len(unknown) > MAX_NAMED else ""
    return (
        f"The embedding model {embedding.model} does not know the language {', '.join(unknown[:MAX_NAMED])}{more}: "
        "such documents are found by their words, hardly by their meaning. For search by meaning, set "
        f'services.embedding.model to a multilingual model such as "{MULTILINGUAL}" and add the documents to a new '
        "collection. If the model does know the language, name it in services.embedding.languages."
    )


def query_warning(language: str, embedding: EmbeddingSettings) -> str | None:
    """Return the warning for a query in this language; None when the model knows it or the language is unclear."""
    known = known_languages(embedding)
    if not known or not language or language in known:
        return None
    return (
        f"The embedding model {embedding.model} does not know the language {language} of the query, so words count "
        "more than meaning. See the warnings of GET /v1/collections."
    )

"""Adapter to xberg, which converts documents to Markdown. No other module calls xberg's extraction.

This module runs in the parser child only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import xberg

from argosy.services.documents.parsing.formats import Format
from argosy.services.documents.parsing.parsed import Properties, normalise

_PAGED = frozenset({Format.PDF, Format.PPTX})
_NOBODY = frozenset({"", "untitled", "anonymous", "unknown", "(anonymous)", "(unspecified)"})
"""Placeholders that programs write when no title or author is filled in."""


@dataclass(frozen=True, slots=True)
class Found:
    """Result of reading a document. `pages` are (number from 1, text); empty when the format has no pages."""

    text: str
    title: str | None = None
    properties: Properties = field(default_factory=Properties)
    pages: list[tuple[int, str]] = field(default_factory=list)


def read(data: bytes, name: str, kind: Format, ocr: xberg.OcrConfig | None = None) -> Found:
    """Read a document. With `ocr`, text is recognised in pictures and on pages without text.

    Raises: RuntimeError when the document cannot be read; xberg raises no other class.
    """
    config = xberg.ExtractionConfig(
        use_cache=False,
        disable_ocr=ocr is None,
        force_ocr=ocr is not None,
        ocr=ocr,
        enable_quality_processing=False,
        output_format="markdown",
        html_options=xberg.ConversionOptions(extract_metadata=False, compact_tables=True),
        pages=xberg.PageConfig(extract_pages=True) if kind in _PAGED else None,
        # `cleaning` removes repeated headers and footers; it keeps lines that occur on one page only.
        content_filter=xberg.ContentFilterConfig(
            include_headers=True, include_footers=True, include_footnotes=True, strip_repeating_text=False
        )
        if kind is Format.PDF
        else None,
        max_archive_depth=0,
        concurrency=xberg.ConcurrencyConfig(max_threads=1),
    )
    found = _run(data, name, kind, config)
    about = found.metadata
    return Found(
        normalise(found.content),
        given(about.title),
        Properties(
            author=given(", ".join(about.authors or [])),
            created=about.created_at,
            modified=about.modified_at,
            language=about.language,
        ),
        [(page.page_number, normalise(page.content)) for page in found.pages or []] if kind in _PAGED else [],
    )


def read_plainly(data: bytes) -> str:
    """Return the words of a text file in any encoding; white space is not preserved.

    Raises: RuntimeError when the text cannot be read.
    """
    config = xberg.ExtractionConfig(
        use_cache=False, disable_ocr=True, enable_quality_processing=False, output_format="plain"
    )
    return str(_run(data, "sample.txt", Format.TEXT, config).content)


def language_of(text: str) -> str | None:
    """Return the language of a text as an ISO 639-3 code, or None when the text is too short or ambiguous."""
    try:
        return _language(_run(text.encode("utf-8", "replace"), "sample.txt", Format.TEXT, _language_config()))
    except RuntimeError:
        return None


def languages_of(texts: Sequence[str]) -> list[str | None]:
    """Return the language of each text, as `language_of` does. One call for all costs a third of a call for each."""
    if len(texts) < 2:
        return [language_of(text) for text in texts]
    sources = [
        xberg.ExtractInput(
            kind="bytes", bytes=text.encode("utf-8", "replace"), mime_type=Format.TEXT.value, filename="sample.txt"
        )
        for text in texts
    ]
    try:
        found = asyncio.run(_extract_batch(sources, _language_config())).results
    except RuntimeError:
        found = []
    if len(found) != len(texts):  # a text that failed has no result, and the others cannot be told apart
        return [language_of(text) for text in texts]
    return [_language(one) for one in found]


def given(value: str | None) -> str | None:
    """Return a title or name in one line, at most 500 characters; None when it is a program's placeholder."""
    value = " ".join((value or "").split())
    return None if value.lower() in _NOBODY else value[:500]


def _run(data: bytes, name: str, kind: Format, config: xberg.ExtractionConfig) -> xberg.ExtractedDocument:
    source = xberg.ExtractInput(kind="bytes", bytes=data, mime_type=kind.value, filename=name)
    result = asyncio.run(_extract(source, config))
    if not result.results:
        raise RuntimeError("nothing was extracted")
    return result.results[0]


def _language_config() -> xberg.ExtractionConfig:
    return xberg.ExtractionConfig(
        use_cache=False,
        disable_ocr=True,
        enable_quality_processing=False,
        output_format="plain",
        language_detection=xberg.LanguageDetectionConfig(enabled=True),
    )


def _language(found: xberg.ExtractedDocument) -> str | None:
    return str(found.detected_languages[0]) if found.detected_languages else None


async def _extract(source: xberg.ExtractInput, config: xberg.ExtractionConfig) -> xberg.ExtractionResult:
    return await xberg.extract(source, config)


async def _extract_batch(sources: list[xberg.ExtractInput], config: xberg.ExtractionConfig) -> xberg.ExtractionResult:
    return await xberg.extract_batch(sources, config)

"""A small document cannot grow large: data derived from its content is bounded and stored once."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from argosy.contracts.store import StoreSearchRequest
from argosy.services.documents.chunking.enrichment import enrich
from argosy.services.documents.chunking.packer import ChunkLimits, chunk
from argosy.services.documents.parsing.parsed import ParsedDocument, Properties, markdown_title
from argosy.services.documents.parsing.titles import MAX_PATH_CHARS, MAX_TITLE_CHARS, heading_title
from argosy.text.blocks import markdown_blocks
from tests.security.kit import Site, quick_folder
from tests.unit.documents.chunking.test_packer import Pieces

pytestmark = pytest.mark.security

MOST_TIMES_THE_TEXT = 22
WORDS = ["harbour", "master", "quay", "tide", "buoy", "pilot", "lighthouse", "anchor", "mooring", "vessel"]


def sections(count: int, above: str) -> str:
    """Return a text with very many tiny sections under the headings `above`."""
    return above + "\n".join(f"## {WORDS[n % 10]} {n}\n\n{WORDS[n % 7]} {n}.\n" for n in range(count))


@pytest.fixture
def site() -> Iterator[Site]:
    with quick_folder() as folder:
        site = Site(folder)
        yield site
        site.close()


async def test_many_tiny_sections_with_large_metadata_take_a_small_multiple_of_their_text(site: Site) -> None:
    await site.index("small.md", "The first document makes the files.")
    before = site.stored_bytes()
    text = sections(8000, f"# {'Very long heading ' * 2000}\n\n")
    metadata = {f"key{n}": "x" * 120 for n in range(16)}
    await site.index("large.md", text, title="T" * 1000, **metadata)
    stored = site.stored_bytes() - before
    assert stored / len(text) <= MOST_TIMES_THE_TEXT
    [found] = [one for one in site.found(f"{WORDS[3]} 13", limit=200) if f"{WORDS[3]} 13\n" in one.text]
    assert found.metadata == metadata


async def test_the_answer_to_a_search_is_bounded_too(site: Site) -> None:
    metadata = {f"key{n}": "x" * 120 for n in range(16)}
    await site.index("large.md", sections(3000, f"# {'y' * 100_000}\n\n"), **metadata)
    answer = site.engine.search(StoreSearchRequest("default", 200, text=" ".join(WORDS)))
    assert len(answer.lexical) == 200
    assert len(msgspec.json.encode(answer)) / len(answer.chunks) < 16_384
    assert all(len("".join(answer.chunk(key).heading_path)) <= MAX_PATH_CHARS for key in answer.chunks)


async def test_the_title_of_a_document_is_bounded_wherever_it_comes_from(site: Site) -> None:
    key = await site.index("a.md", f"# {'Long heading ' * 80_000}\n\nThe quay.")
    title = site.catalog.document(key).title
    assert title is not None
    assert len(title) <= MAX_TITLE_CHARS
    assert title.endswith("…")
    [found] = {one.title for one in site.found("quay")}
    assert found == title


def test_what_a_document_says_about_itself_is_bounded() -> None:
    huge = "x" * 1_000_000
    parsed = ParsedDocument("text", "text/html", huge, properties=Properties(huge, huge, huge, huge))
    enriched = enrich(parsed, None, {})
    assert enriched.title is not None
    assert max(map(len, (enriched.title, *map(str, enriched.metadata.values())))) <= MAX_TITLE_CHARS
    given = enrich(parsed, huge, {})
    assert given.title is not None
    assert len(given.title) <= 2000


@pytest.mark.parametrize("heading", ["# {}\n\n", "{}\n===\n\n", "# [{}](http://x)\n\n", "# **{}**\n\n"])
def test_a_heading_is_cut_with_an_ellipsis_and_stays_whole_in_the_text(heading: str) -> None:
    text = heading.format("word " * 100_000 + "end") + "Body."
    [block, _] = markdown_blocks(text)
    title = heading_title(text, block)
    assert len(title) <= MAX_TITLE_CHARS
    assert title.endswith("…")
    drafts = chunk(ParsedDocument(text, "text/markdown", markdown_title(text)), Pieces(), ChunkLimits(200))
    assert all(len(draft.text) <= 4000 and len("".join(draft.heading_path)) <= MAX_PATH_CHARS for draft in drafts)
    assert "".join("".join(draft.text.split()) for draft in drafts) == "".join(text.split())


def test_a_path_of_long_headings_keeps_something_of_each() -> None:
    text = "".join(f"{'#' * level} {level} {'word ' * 200}\n\n" for level in range(1, 7)) + "Body."
    last = chunk(ParsedDocument(text, "text/markdown"), Pieces(), ChunkLimits(200))[-1]
    assert [title[0] for title in last.heading_path] == ["1", "2", "3", "4", "5", "6"]
    assert len("".join(last.heading_path)) <= MAX_PATH_CHARS


def test_few_small_sections_still_get_a_chunk_each() -> None:
    parsed = ParsedDocument(sections(50, "# Tides\n\nAll of them.\n\n"), "text/markdown")
    assert len(chunk(parsed, Pieces(), ChunkLimits(200))) >= 40


def test_very_many_tiny_sections_share_chunks_that_are_exact_slices_and_within_the_limit() -> None:
    parsed = ParsedDocument(sections(2000, "# Tides\n\n"), "text/markdown")
    drafts = chunk(parsed, Pieces(), ChunkLimits(200))
    assert len(drafts) * 400 <= len(parsed.text)
    assert all(parsed.text[draft.start : draft.end] == draft.text and draft.tokens <= 200 for draft in drafts)
    assert "".join("".join(draft.text.split()) for draft in drafts) == "".join(parsed.text.split())

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.services.documents.chunking.packer import ChunkDraft, ChunkLimits, chunk
from argosy.services.documents.chunking.packer import cut as cut_stage
from argosy.services.documents.chunking.tokens import Tokenizer
from argosy.services.documents.parsing.parsed import PageSpan, ParsedDocument, markdown_title
from argosy.services.documents.parsing.titles import heading_title
from argosy.text.blocks import BlockKind, blocks_of
from tests.samples.make_samples import HERE

pytestmark = pytest.mark.unit


class Pieces:
    """Tokenizer that splits words into pieces of up to four letters and punctuation into single characters."""

    def encode_offsets(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"\w{1,4}|[^\w\s]", text)]


class Words:
    """Tokenizer for which a long word is one token and control characters are none."""

    def encode_offsets(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"[^\s\x00-\x1f]+", text)]


class Greedy:
    """Tokenizer that counts more at the start of a text, so that a slice alone has more tokens than in the whole."""

    def encode_offsets(self, text: str) -> list[tuple[int, int]]:
        return [(0, 1), (0, 1), *((i, i + 1) for i in range(len(text)))] if text else []


HANDBOOK = (HERE / "handbook.md").read_text()
MARKS = ["# One", "## Two", "### Three", "- item", "  - nested", "1. first", "```", "| a | b |", "|---|---|", "====="]
PROSE = [
    "A short line.",
    "Another one! And more? Yes.",
    "Title",
    "ééé 𝄞 日本語。漢字",
    "    code",
    "longword" * 8,
    "-----",
]
LINES = st.sampled_from([*MARKS, *PROSE, "", "", ""])
TEXTS = st.one_of(
    st.lists(LINES, max_size=30).map("\n".join),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300),
)
LIMITS = st.integers(1, 40).flatmap(
    lambda tokens: st.builds(
        ChunkLimits, st.just(tokens), st.integers(0, tokens // 2), chars_per_token=st.integers(1, 20)
    )
)


def cut(text: str, tokens: int = 200, overlap: int = 0, **parsed: object) -> list[ChunkDraft]:
    document = ParsedDocument(text, "text/markdown", **parsed)  # type: ignore[arg-type]
    return chunk(document, Pieces(), ChunkLimits(tokens, overlap))


@given(TEXTS, LIMITS, st.sampled_from([Pieces(), Words(), Greedy()]), st.booleans())
@settings(max_examples=400, deadline=None)
def test_chunks_are_exact_slices_within_the_limit_in_order_and_complete(
    text: str, limits: ChunkLimits, tokenizer: Tokenizer, markdown: bool
) -> None:
    drafts = chunk(ParsedDocument(text, "text/markdown", markdown=markdown), tokenizer, limits)
    covered: set[int] = set()
    for number, draft in enumerate(drafts):
        assert draft.ordinal == number
        assert draft.text == text[draft.start : draft.end]
        assert draft.text == draft.text.strip() != ""
        assert draft.tokens == len(tokenizer.encode_offsets(draft.text))
        assert draft.tokens <= limits.tokens or len(draft.text) == 1
        assert len(draft.text) <= limits.chars
        covered.update(range(draft.start, draft.end))
    assert all(text[at].isspace() for at in set(range(len(text))) - covered)
    for one, two in itertools.pairwise(drafts):
        assert one.start < two.start
        assert one.end < two.end
        assert limits.overlap_tokens or one.end <= two.start


@given(TEXTS, st.booleans())
@settings(deadline=None)
def test_blocks_are_in_order_and_only_white_space_lies_between(text: str, markdown: bool) -> None:
    at = 0
    for block in blocks_of(text, markdown=markdown):
        assert not text[at : block.start].strip()
        assert block.start < block.end
        at = block.end
    assert not text[at:].strip()


def test_blocks_are_told_apart() -> None:
    kinds = [(block.kind, block.level) for block in blocks_of(HANDBOOK, markdown=True)]
    assert kinds[:5] == [
        (BlockKind.HEADING, 1),
        (BlockKind.PARAGRAPH, 0),
        (BlockKind.HEADING, 2),
        (BlockKind.HEADING, 3),
        (BlockKind.PARAGRAPH, 0),
    ]
    assert [kind for kind, _ in kinds].count(BlockKind.TABLE) == 1
    assert [kind for kind, _ in kinds].count(BlockKind.LIST) == 2
    assert [kind for kind, _ in kinds].count(BlockKind.CODE) == 1


LONG = 200_000


@pytest.mark.parametrize(
    "line",
    [
        *("# " + part * LONG for part in ("`x ", "*x ", "__x ", "[", "[x](", "#", " #", "\t")),
        *("# a" + part * LONG + "x" for part in (" ", " #", "\t")),
        *("a\n" + part * LONG + "x" for part in ("=", "= ", "-|", "|-", "| ", "-")),
        "#" * LONG,
        "." + '"' * LONG + "x",
        "!" * LONG,
        "1" * LONG + ".",
    ],
    ids=lambda line: repr(line[:8]),
)
def test_a_line_made_to_do_harm_takes_no_longer_than_others(line: str) -> None:
    """Check for backtracking, which would take hours and block every request."""
    assert blocks_of(line, markdown=True)
    assert chunk(ParsedDocument(line, "text/markdown"), Words(), ChunkLimits(200))
    markdown_title(line)


def test_a_hash_inside_code_or_plain_text_is_no_heading() -> None:
    code = blocks_of("```sh\n# not a heading\n\nls\n```\nafter", markdown=True)
    assert [block.kind for block in code] == [BlockKind.CODE, BlockKind.PARAGRAPH]
    assert [block.kind for block in blocks_of("# remark", markdown=False)] == [BlockKind.PARAGRAPH]


@pytest.mark.parametrize(
    "follower", ["# Berths", "- item", "1. item", "```\nx\n```", "| a | b |\n|---|---|\n| 1 | 2 |"]
)
def test_a_block_may_follow_a_paragraph_without_a_blank_line(follower: str) -> None:
    paragraph, block = blocks_of(f"Some words.\n{follower}", markdown=True)
    assert (paragraph.kind, paragraph.end) == (BlockKind.PARAGRAPH, len("Some words."))
    assert block.kind is not BlockKind.PARAGRAPH


@pytest.mark.parametrize(
    ("text", "level", "title"),
    [
        ("## The *big* `gate` ##", 2, "The big gate"),
        ("# [Berths](#berths)", 1, "Berths"),
        ("Storm\nplan\n====", 1, "Storm plan"),
        ("Berths\n------", 2, "Berths"),
    ],
)
def test_a_heading_is_read_without_its_markup(text: str, level: int, title: str) -> None:
    [block] = blocks_of(text, markdown=True)
    assert (block.kind, block.level, heading_title(text, block)) == (BlockKind.HEADING, level, title)


def test_the_path_holds_the_headings_above() -> None:
    drafts = cut(HANDBOOK, 80)
    [berths] = [draft for draft in drafts if "Heron quay | 9.2" in draft.text]
    assert berths.heading_path == ["Harbour handbook of Kestrel Sound", "Berths"]
    [speed] = [draft for draft in drafts if "Outer fairway" in draft.text]
    assert speed.heading_path == ["Harbour handbook of Kestrel Sound", "Arrival", "Speed limits"]


@pytest.mark.parametrize("tokens", [40, 80, 200])
def test_a_heading_stays_with_the_text_it_heads(tokens: int) -> None:
    for draft in cut(HANDBOOK, tokens):
        assert not draft.text.splitlines()[-1].startswith("#")


def test_a_long_heading_stays_with_text_that_has_no_sentence_to_cut_after() -> None:
    first, *_ = cut("# One two four six nine\n\n" + "word " * 40, 12)
    assert first.text.endswith("word")


def test_a_new_section_begins_a_new_chunk_although_both_would_fit() -> None:
    words = "word " * 20
    assert len(cut(f"## A\n\n{words}\n\n## B\n\n{words}", 200)) == 2
    assert len(cut(f"# Title\n\nIn short.\n\n## A\n\n{words}", 200)) == 1


def test_a_long_paragraph_is_cut_after_a_sentence() -> None:
    text = " ".join(f"Sentence number {n} is here." for n in range(40))
    drafts = cut(text, 50)
    assert len(drafts) > 3
    assert all(draft.text.endswith(".") for draft in drafts)
    assert all(draft.tokens > 25 for draft in drafts[:-1])


def test_a_table_is_cut_between_rows() -> None:
    rows = "\n".join(f"| quay {n} | {n} metres |" for n in range(60))
    drafts = cut(f"| Berth | Depth |\n|---|---|\n{rows}", 60)
    assert len(drafts) > 3
    assert all(line.startswith("|") and line.endswith("|") for draft in drafts for line in draft.text.splitlines())


def test_each_part_of_a_long_table_says_what_its_columns_are() -> None:
    rows = "\n".join(f"| quay {n} | {n} metres |" for n in range(60))
    table = f"# Berths\n\n| Berth | Depth |\n|---|---|\n{rows}"
    pages = [PageSpan(1, 0, 40), PageSpan(2, 41, len(table))]
    stored, drafts = cut_stage(ParsedDocument(table, "text/csv", pages=pages), Pieces(), ChunkLimits(60))
    assert len(drafts) > 3
    assert all("| Berth | Depth |\n|---|---|\n| quay" in draft.text for draft in drafts)
    assert all(draft.text == stored.text[draft.start : draft.end] for draft in drafts)
    assert all(stored.text.count(row) == 1 for row in rows.splitlines())
    assert (drafts[0].page, drafts[-1].last_page) == (1, 2)
    assert stored.pages[-1].end == len(stored.text)


@given(TEXTS, LIMITS)
@settings(deadline=None)
def test_the_stored_text_is_what_chunks_are_slices_of(text: str, limits: ChunkLimits) -> None:
    stored, drafts = cut_stage(ParsedDocument(text, "text/markdown"), Pieces(), limits)
    assert all(draft.text == stored.text[draft.start : draft.end] for draft in drafts)
    assert set(text.split()) <= set(stored.text.split())


@given(TEXTS, LIMITS)
@settings(deadline=None)
def test_lengths_that_are_looked_up_are_the_lengths_that_are_counted(text: str, limits: ChunkLimits) -> None:
    class Trusted(Pieces):
        splits_at_space = True

    parsed = ParsedDocument(text, "text/markdown")
    assert chunk(parsed, Trusted(), limits) == chunk(parsed, Pieces(), limits)


def test_a_chunk_that_begins_before_the_first_heading_is_of_the_section_it_goes_on_with() -> None:
    [draft] = cut(f"Preface.\n\n# Berths\n\n{'word ' * 30}")
    assert draft.heading_path == ["Berths"]


def test_overlap_repeats_the_end_of_the_chunk_before_but_not_across_headings() -> None:
    text = "# A\n\n" + " ".join(f"Sentence number {n} is here." for n in range(30)) + "\n\n# B\n\nLast words."
    drafts = cut(text, 50, overlap=16)
    for one, two in itertools.pairwise(drafts[:-1]):
        assert two.start < one.end
        assert two.text.startswith("Sentence")
    assert drafts[-1].text.startswith("# B")


def test_a_block_that_fits_whole_is_not_cut_for_the_sake_of_an_overlap() -> None:
    drafts = cut("One two. Six ten. Red tan.\n\nThe sea was calm all day.", 9, overlap=4)
    assert [draft.text for draft in drafts] == ["One two. Six ten. Red tan.", "The sea was calm all day."]


def test_a_chunk_is_on_the_page_where_it_begins() -> None:
    text = "# One\n\nfirst page\n\n# Two\n\nsecond page"
    pages = [PageSpan(1, 0, 17), PageSpan(2, 19, len(text))]
    assert [draft.page for draft in cut(text, 5, pages=pages)] == [1, 2]
    assert [draft.page for draft in cut(text, 5)] == [None, None]


def test_a_large_text_is_tokenised_in_bounded_windows() -> None:
    longest = 0

    class Watching(Pieces):
        def encode_offsets(self, text: str) -> list[tuple[int, int]]:
            nonlocal longest
            longest = max(longest, len(text))
            return super().encode_offsets(text)

    text = HANDBOOK * 200
    drafts = chunk(ParsedDocument(text, "text/markdown"), Watching())
    assert longest < 80_000
    assert all(draft.text == text[draft.start : draft.end] for draft in drafts)


def test_limits_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        ChunkLimits(10, 6)


@pytest.mark.parametrize(
    "lead", ["**What does a key cost?**", "Q: What does a key cost?", "**Draft**", "`--depth`, `-d`", "Do this first:"]
)
def test_a_question_term_or_lead_in_is_in_the_chunk_of_what_follows(lead: str) -> None:
    text = f"{'word ' * 14}\n\n{lead}\n\nThirty euros for each key."
    drafts = chunk(ParsedDocument(text, "text/markdown"), Words(), ChunkLimits(tokens=19))
    [found] = [draft for draft in drafts if "Thirty euros" in draft.text]
    assert found.text.startswith(lead)

"""Block structure of Markdown: kinds, nesting and exact offsets."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.text.blocks import MAX_CELLS, Block, BlockKind, blocks_of, markdown_blocks, split_cells

pytestmark = pytest.mark.unit

LINES = st.sampled_from(
    [
        "",
        "",
        "# Head",
        "Title",
        "===",
        "---",
        "word and more.",
        "- item",
        "  - inner",
        "1. one",
        "   goes on",
        "    indented",
        "> quoted",
        "> - in quote",
        "| a | b |",
        "|---|---|",
        "| 1 \\| x | `2` |",
        "```",
        "<div>",
        "* * *",
        "title: x",
        "[a]: http://b",
        "\t\u00a0",
    ]
)


def kinds(text: str) -> list[BlockKind]:
    return [block.kind for block in markdown_blocks(text)]


def words(text: str, block: Block) -> str:
    return text[block.body : block.body_end]


def check(text: str, block: Block) -> None:
    assert 0 <= block.start <= block.body <= block.body_end <= block.end <= len(text)
    assert block.start < block.end
    at = block.start
    for child in block.children:
        assert at <= child.start
        assert child.end <= block.end
        check(text, child)
        at = child.start
    for row in block.rows:
        assert block.start <= row.start <= row.end <= block.end
        at = row.start
        for start, end in row.cells:
            assert at <= start <= end <= row.end
            assert text[start:end] == text[start:end].strip()
            at = end


@given(st.lists(LINES, max_size=25).map("\n".join), st.booleans())
@settings(deadline=None, max_examples=400)
def test_blocks_cover_all_words_in_order_and_parts_lie_within(text: str, markdown: bool) -> None:
    at = 0
    for block in blocks_of(text, markdown=markdown):
        assert not text[at : block.start].strip()
        check(text, block)
        at = block.end
    assert not text[at:].strip()


def test_every_kind_of_block_is_told_apart() -> None:
    text = (
        "---\ntitle: x\n---\n# One ##\n\nTwo\n===\nWords.\n\n- a\n- b\n\n> said\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        "    code\n\n```\nx\n```\n\n<div>y</div>\n\n***\n"
    )
    assert kinds(text) == [
        BlockKind.FRONT_MATTER,
        BlockKind.HEADING,
        BlockKind.HEADING,
        BlockKind.PARAGRAPH,
        BlockKind.LIST,
        BlockKind.QUOTE,
        BlockKind.TABLE,
        BlockKind.CODE,
        BlockKind.CODE,
        BlockKind.HTML,
        BlockKind.RULE,
    ]
    first, second = markdown_blocks(text)[1:3]
    assert (words(text, first), words(text, second)) == ("One", "Two")


def test_lists_hold_their_items_and_the_lists_inside_them() -> None:
    text = "1. First\n   goes on\n\n   more\n2. Second\n   - inner a\n   - inner b\n"
    (outer,) = markdown_blocks(text)
    first, second = outer.children
    assert [words(text, child) for child in first.children] == ["First\n   goes on", "more"]
    assert text[first.start : first.body] == "1. "
    inner = second.children[1]
    assert inner.kind is BlockKind.LIST
    assert [words(text, item) for item in inner.children] == ["inner a", "inner b"]


def test_a_table_has_a_header_rows_and_cells_and_ends_at_a_line_without_a_bar() -> None:
    text = "| Name | Fee |\n|---|---|\n| a \\| b | `1` |\n| c |\nAfter the table.\n"
    table, after = markdown_blocks(text)
    assert [[text[a:b] for a, b in row.cells] for row in table.rows] == [["Name", "Fee"], ["a \\| b", "`1`"], ["c"]]
    assert (after.kind, words(text, after)) == (BlockKind.PARAGRAPH, "After the table.")


def test_quotes_hold_blocks_without_their_marks() -> None:
    text = "> He said\n> this.\n>\n> - one\n"
    (quote,) = markdown_blocks(text)
    paragraph, items = quote.children
    assert words(text, paragraph) == "He said\n> this."
    assert [words(text, item) for item in items.children] == ["one"]


def test_a_row_of_too_many_cells_keeps_its_rest_in_the_last_cell() -> None:
    text = "|" + "a|" * (MAX_CELLS + 50)
    cells = split_cells(text, 0, len(text))
    assert len(cells) == MAX_CELLS
    assert cells[-1][1] == len(text)


HOSTILE: dict[str, Callable[[int], str]] = {
    "nested quotes": lambda n: ">" * n,
    "quoted lines": lambda n: (">" * 50 + " a\n") * (n // 50),
    "nested list": lambda n: "".join(" " * (2 * i) + "- a\n" for i in range(int((2 * n) ** 0.5))),
    "open items": lambda n: "- " * n,
    "bars": lambda n: "|a" * n + "|\n" + "|-" * n + "|\n" + "|b" * n,
    "wide table": lambda n: "|" + "a|" * 300 + "\n|" + "-|" * 300 + "\n" + "|\n" * n,
    "lazy quote": lambda n: "> a\n" + "a\n" * n,
    "setext": lambda n: "a\n" * n + "===",
    "items": lambda n: "- a\n" * n,
    "numbers": lambda n: "1. a\n\n   b\n" * n,
    "fences": lambda n: "```a\n\n" * n,
    "html": lambda n: "<div>\n\n" * n,
    "comment": lambda n: "<!-- \n\n" * n,
    "front matter": lambda n: "---\n" + "a: b\n" * n,
    "rules": lambda n: "- - -\n" * n,
    "references": lambda n: "[a]: b\n" * n,
    "item in quote": lambda n: "- > " * n,
    "stars": lambda n: "* " * n + "x",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_time_grows_no_faster_than_the_text(name: str) -> None:
    """Check that eight times the text takes far less than 64 times the time, which a quadratic rule would take."""

    def spent_s(size: int) -> float:
        text = HOSTILE[name](size)
        gc.collect()
        gc.disable()  # its passes depend on what the tests before have left
        try:
            started_s = time.process_time()
            markdown_blocks(text)
            return time.process_time() - started_s
        finally:
            gc.enable()

    small_s = max(min(spent_s(2_000) for _ in range(3)), 0.005)
    assert min(spent_s(16_000) for _ in range(2)) < 24 * small_s

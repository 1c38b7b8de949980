"""An HTML page after cleaning, as pieces of markup."""

from __future__ import annotations

import re
from dataclasses import dataclass

from argosy.services.documents.parsing.html_text import unescaped

REWRITTEN = "rewritten"
"""Name of the piece that holds a whole table."""
TERM = "term"
"""Name of the piece that holds a term of a definition list."""
_BREAKS = frozenset(
    {"p", "div", "br", "li", "tr", "table", "ul", "ol", "section", "article", "header", "footer", "aside", "main"}
    | {"nav", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote", "dl", "dt", "dd", "details", "summary", "option"}
)
MARKUP = re.compile(r"<[^>]*+>")
SPACE = re.compile(r"[ \t\r\n\f]+")


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was read."""

    title: str | None
    parts: list[tuple[str, str]]
    """Pieces of the cleaned page: the name of the tag ("/p" closes, "" is text) and the markup."""
    left_out: tuple[str, ...] = ()

    @property
    def markup(self) -> str:
        """The cleaned page. The rest after an unclosed comment or tag is missing."""
        return "".join(markup for _, markup in self.parts)

    @property
    def chars(self) -> int:
        """Number of visible characters, roughly: references count as they are written."""
        return sum(len(MARKUP.sub("", markup) if tag else markup.strip()) for tag, markup in self.parts)

    @property
    def text(self) -> str:
        """Visible text, with a blank line between block elements."""
        shown = []
        for tag, markup in self.parts:
            if tag == "":
                shown.append("\n" if markup == "\n" else SPACE.sub(" ", unescaped(markup)))
            elif tag in (REWRITTEN, TERM):
                shown.append("\n" + SPACE.sub(" ", unescaped(MARKUP.sub("\n", markup))) + "\n")
            elif tag.lstrip("/") in _BREAKS:
                shown.append("\n")
        lines = (line.strip() for line in "".join(shown).split("\n"))
        return "\n\n".join(line for line in lines if line)

    @property
    def is_blank(self) -> bool:
        """Whether the page shows no text."""
        return not any(markup.strip() for tag, markup in self.parts if tag in ("", REWRITTEN, TERM))

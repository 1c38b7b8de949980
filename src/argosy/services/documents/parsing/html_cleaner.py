"""Cleaning of HTML pages before they become Markdown.

Navigation, hidden and deleted parts go; links keep their text and images their alternative text; terms of definition
lists and summaries become bold paragraphs; tables lose their merged cells.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from argosy.services.documents.parsing.grids import Budget
from argosy.services.documents.parsing.html_navigation import CONTENTS_LINK_SHARE, LINK_SHARE, is_bar, is_permalink
from argosy.services.documents.parsing.html_page import MARKUP, REWRITTEN, SPACE, TERM, Page
from argosy.services.documents.parsing.html_tables import rewritten
from argosy.services.documents.parsing.html_text import Piece, attributes, pieces, unescaped
from argosy.services.documents.parsing.html_traits import PLAIN, Traits, traits_of
from argosy.services.documents.parsing.scripts import subscript, superscript

_VOID = frozenset(
    {"br", "hr", "img", "input", "meta", "link", "wbr", "col", "area", "base", "embed", "source", "track"}
)
_UNWRAPPED = frozenset(
    {"span", "em", "i", "var", "cite", "dfn", "u", "small", "big", "font", "ins", "mark", "a", "abbr"}
)
"""Inline elements whose tags carry nothing that a reader of plain text sees."""
_DELETED = frozenset({"del", "s", "strike"})
_BARS = frozenset({"p", "div", "table", "ul", "center", "header", "footer"})
_IMPLIED: Mapping[str, frozenset[str]] = {
    "li": frozenset({"li"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
    "td": frozenset({"td", "th"}),
    "th": frozenset({"td", "th"}),
    "tr": frozenset({"tr", "td", "th"}),
    "tbody": frozenset({"tr", "td", "th", "thead", "tbody"}),
    "option": frozenset({"option"}),
    "p": frozenset({"p"}),
}
"""Elements at the top of the stack that a new element of this name ends, because their end tags may be left out."""
_SCOPES = {"li": ("ul", "ol"), "dt": ("dl",), "dd": ("dl",), "tr": ("table",), "td": ("table",), "th": ("table",)}
SMALL_PIECES = 80
MAX_TABLES = 4
"""Deepest nesting of tables that are read as tables; deeper ones are read as text."""
_TERM_TAG = re.compile(r"</?[pb]>")
_CODE_ONLY = re.compile(r"(?:<code>[^<]*+</code>[\s,]*+)++")
LONGEST_TERM_CHARS = 4_000
_BLANKS = frozenset({("", "\n"), ("", " "), ("", "\n\n")})
_HEADING = re.compile(r"<h[1-6]\b")
_BLOCK_TAG = re.compile(r"</?(?:p|div|h[1-6]|ul|ol|li|dl|dd|dt|section)\b[^>]*+>")
_NOTE_MARK = re.compile(r"\[?[\w*†‡§]{1,4}\]?")


def read_html(page: str) -> Page:
    """Read a page, however broken. Text after an unclosed comment or tag counts as invisible.

    A page that is nothing but navigation is read whole.
    """
    found = Cleaner(page, keep_navigation=False).read()
    if found.is_blank:
        found = Cleaner(page, keep_navigation=True).read()
    return found


@dataclass(slots=True)
class _Open:
    """An open element, with the state of the output when it was opened."""

    tag: str
    at: int
    chars: int
    link_chars: int
    traits: Traits


class Cleaner:
    """Reader of one page that writes the cleaned page piece by piece."""

    def __init__(self, page: str, *, keep_navigation: bool) -> None:
        self._page = page
        self._keep_navigation = keep_navigation
        self._out: list[tuple[str, str]] = []
        """Pieces of the cleaned page: the name of the tag ("/p" closes, "" is text) and the markup."""
        self._stack: list[_Open] = []
        self._open: dict[str, int] = {}
        """Number of open elements of each name."""
        self._chars = self._link_chars = self._links = 0
        self._terms = self._pre = self._code = self._skipped = 0
        self._has_h1_at = -1
        self._hidden_chars = self._deleted_chars = 0
        self._title: list[str] = []
        self._budget = Budget()
        self._traits: dict[str, Traits] = {}
        """Traits of the start tags that were seen; most tags of a page repeat."""

    def read(self) -> Page:
        """Return the cleaned page. Call this once."""
        titled = False
        for piece in pieces(self._page):
            if not piece.tag:
                if titled:
                    self._title.append(self._page[piece.start : piece.end])
                else:
                    self._text(self._page[piece.start : piece.end])
            elif piece.tag == "title" and (titled or not self._open.get("svg")):
                titled = not piece.closes and not self._title
            elif piece.closes:
                self._close(piece.tag)
            else:
                self._begin(piece)
        while self._stack:
            self._end(self._stack.pop(), closed=False)
        title = SPACE.sub(" ", unescaped("".join(self._title))).strip()
        return Page(title or None, self._out, self._left_out())

    def _left_out(self) -> tuple[str, ...]:
        told = []
        if self._hidden_chars:
            told.append("Hidden parts of the page were left out.")
        if self._deleted_chars:
            told.append("Text that the page marks as deleted was left out.")
        return tuple(told)

    def _text(self, text: str) -> None:
        chars = len(text.strip())
        if self._skipped:
            self._hidden_chars += chars if any_hidden(self._stack) else 0
            return
        self._chars += chars
        if self._links:
            self._link_chars += chars
        self._out.append(("", text.replace("<", "&lt;") if "<" in text else text))

    def _emit(self, tag: str, markup: str) -> None:
        if not self._skipped:
            self._out.append((tag, markup))

    def _begin(self, piece: Piece) -> None:
        tag, page = piece.tag, self._page
        if tag in _VOID:
            self._void(tag, page[piece.start : piece.end])
            return
        if tag in _IMPLIED:
            self._imply(tag)
        if tag == "body":
            self._forget_invisible()
        markup = page[piece.start : piece.end]
        traits = self._traits.get(markup)
        if traits is None:
            traits = self._traits[markup] = traits_of(tag, markup)
        if traits is PLAIN and tag in _UNWRAPPED and tag != "a" and not self._open.get(tag):
            return  # nothing depends on where the element ends
        opened = _Open(tag, len(self._out), self._chars, self._link_chars, traits)
        self._stack.append(opened)
        self._open[tag] = self._open.get(tag, 0) + 1
        if traits.invisible:
            self._skipped += 1
            return
        self._open_content(tag, markup, opened)

    def _open_content(self, tag: str, markup: str, opened: _Open) -> None:
        """Emit what stands for the start tag of a visible element."""
        if tag == "a":
            self._links += opened.traits.linked
        elif tag in ("dt", "summary"):
            self._terms += 1
        elif tag in ("dl", "details", "dd"):
            self._emit("div", "<div>")
        elif tag == "option":
            self._emit("br", "<br>")
        elif tag in ("code", "tt", "kbd", "samp"):
            self._code += 1
            if self._code == 1 and not self._in_signature() and not self._pre:
                self._emit("code", "<code>")
        elif tag == "pre":
            self._pre += 1
            self._emit(tag, "<pre>")
        elif tag in ("b", "strong"):
            if not (self._terms or self._code or self._pre):
                self._emit("b", "<b>")
        elif tag == "h1":
            self._has_h1_at = len(self._out)
            self._emit(tag, "<h1>")
        elif tag in ("td", "th", "ol") or (tag == "table" and self._open["table"] == 1):
            self._emit(tag, markup)
        elif tag not in _UNWRAPPED and tag not in ("sup", "sub", "label", "form", "select") and tag not in _DELETED:
            self._emit(tag, f"<{tag}>")

    def _close_content(self, opened: _Open) -> None:
        """Emit what stands for the end tag of a visible element."""
        tag = opened.tag
        if tag == "a":
            self._links -= opened.traits.linked
        elif tag in ("dt", "summary"):
            self._terms -= 1
        elif tag in ("dl", "details", "dd"):
            self._emit("/div", "</div>")
        elif tag in ("code", "tt", "kbd", "samp"):
            self._code -= 1
            if not self._code and not self._in_signature() and not self._pre:
                self._emit("/code", "</code>")
        elif tag == "pre":
            self._pre -= 1
            self._emit("/pre", "</pre>")
        elif tag in ("b", "strong"):
            if not (self._terms or self._code or self._pre):
                self._emit("/b", "</b>")
        elif (
            tag not in _UNWRAPPED
            and tag not in ("sup", "sub", "label", "form", "select", "option")
            and tag not in _DELETED
        ):
            self._emit("/" + tag, f"</{tag}>")

    def _in_signature(self) -> bool:
        return self._terms > 0 and any(one.traits.code for one in self._stack[-6:])

    def _void(self, tag: str, markup: str) -> None:
        if self._skipped:
            return
        if tag == "img":
            alt = attributes(markup).get("alt", "") if "alt" in markup.lower() else ""
            if alt.strip():
                self._text(f" {alt} ")
        elif tag == "br":
            self._emit("br", ", " if self._terms else "<br>")
        elif tag == "hr":
            self._emit("hr", "<hr>")
        elif tag == "wbr":
            self._emit("wbr", "")

    def _imply(self, tag: str) -> None:
        ends = _IMPLIED[tag]
        while self._stack and self._stack[-1].tag in ends:
            last = self._stack[-1].tag
            if tag == "td" and last == "tr":
                break
            self._end(self._stack.pop(), closed=False)
            if last == tag and tag not in ("tr", "tbody"):
                break

    def _close(self, tag: str) -> None:
        """Close the innermost open element of that name, with the elements inside of it whose end tags are missing."""
        if tag == "p" and not self._open.get("p"):
            return
        if not self._open.get(tag):
            return
        scope = _SCOPES.get(tag, ())
        if scope and any(one.tag in scope for one in self._stack[-1:]):
            return
        while self._stack:
            opened = self._stack.pop()
            self._end(opened, closed=opened.tag == tag)
            if opened.tag == tag:
                return

    def _forget_invisible(self) -> None:
        """End what a head may have left open, because a body begins."""
        if self._skipped:
            while self._stack and self._skipped:
                self._end(self._stack.pop(), closed=False)

    def _end(self, opened: _Open, *, closed: bool) -> None:
        tag = opened.tag
        self._open[tag] -= 1
        if opened.traits.invisible:
            self._skipped -= 1
            return
        self._close_content(opened)
        if self._skipped:
            return
        if self._is_navigation(opened, closed=closed):
            del self._out[opened.at :]
            return
        rewrite = _REWRITES.get(tag)
        if rewrite is not None:
            rewrite(self, opened)

    def _is_navigation(self, opened: _Open, *, closed: bool) -> bool:
        """Return whether a finished element goes: navigation, a permalink or a bar of links."""
        traits, tag = opened.traits, opened.tag
        if traits.navigation and not self._keep_navigation:
            return True
        chars, link_chars = self._chars - opened.chars, self._link_chars - opened.link_chars
        if tag == "a":
            return traits.linked and chars < 3 and self._is_small(opened) and is_permalink(self._since(opened))
        if self._keep_navigation or not closed or not link_chars:
            return False
        if traits.doubtful and self._has_h1_at < opened.at:
            return link_chars >= (CONTENTS_LINK_SHARE if chars > 4_000 or tag == "table" else LINK_SHARE) * chars
        bar = tag in _BARS and chars < 400 and link_chars * 3 > chars and self._is_small(opened)
        return bar and is_bar(self._since(opened))

    def _is_small(self, opened: _Open) -> bool:
        """Return whether an element has few pieces, so that reading them again for each of its parents costs little."""
        return len(self._out) - opened.at < SMALL_PIECES

    def _since(self, opened: _Open) -> str:
        return "".join(markup for tag, markup in self._out[opened.at :] if not tag)

    def _table(self, opened: _Open) -> None:
        depth = self._open["table"]
        if depth >= MAX_TABLES:
            return
        parts = self._out[opened.at + (depth == 0) : -1]
        del self._out[opened.at :]
        self._out.append((REWRITTEN, rewritten(parts, self._budget)))

    def _term(self, opened: _Open) -> None:
        """Make the term or summary a paragraph, in bold unless it is code. Terms with one definition share it."""
        if self._terms:
            return  # inside of another one, which takes the whole text
        inner = "".join(markup for _, markup in self._out[opened.at :]).strip()
        del self._out[opened.at :]
        if not MARKUP.sub("", inner).strip():
            return
        if _HEADING.search(inner):
            self._out.append((REWRITTEN, inner))
            return
        inner = " ".join(_BLOCK_TAG.sub(" ", inner).split())
        inner = f"<code>{MARKUP.sub('', inner)}</code>" if opened.traits.code else inner
        before = len(self._out) - 1
        while before >= 0 and self._out[before] in _BLANKS:
            before -= 1
        if opened.tag == "dt" and before >= 0 and self._out[before][0] == TERM:
            inner = f"{_TERM_TAG.sub('', self._out[before][1])}, {inner}"
            del self._out[before:]
        shown = f"<p>{inner}</p>" if _CODE_ONLY.fullmatch(inner) else f"<p><b>{inner}</b></p>"
        self._out.append((TERM if len(inner) < LONGEST_TERM_CHARS else REWRITTEN, shown))

    def _script(self, opened: _Open) -> None:
        if self._open.get("sup") or self._open.get("sub"):
            return  # inside of another one, which takes the whole text
        text = unescaped(self._since(opened))
        linked = self._link_chars > opened.link_chars
        del self._out[opened.at :]
        if linked and _NOTE_MARK.fullmatch(text.strip()):
            shown = f"[{text.strip().strip('[]')}]"
        else:
            shown = (superscript if opened.tag == "sup" else subscript)(text)
        self._out.append(("", shown.replace("&", "&amp;").replace("<", "&lt;")))

    def _deletion(self, opened: _Open) -> None:
        self._deleted_chars += self._chars - opened.chars
        del self._out[opened.at :]


def any_hidden(stack: list[_Open]) -> bool:
    """Return whether one of the innermost open elements is hidden, rather than invisible by its kind."""
    return any(one.traits.hidden for one in stack[-8:])


_REWRITES: Mapping[str, Callable[[Cleaner, _Open], None]] = {
    "table": Cleaner._table,
    "sup": Cleaner._script,
    "sub": Cleaner._script,
    "dt": Cleaner._term,
    "summary": Cleaner._term,
    **dict.fromkeys(_DELETED, Cleaner._deletion),
}

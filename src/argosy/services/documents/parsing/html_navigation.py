"""Rules that tell a page's navigation and hidden parts from its content."""

from __future__ import annotations

import re
from collections.abc import Mapping

from argosy.services.documents.parsing.html_text import unescaped

TELLING = re.compile(
    r"hidden|display|visibility|role=|nav|toc|side|bread|menu|pag|skip|relat|content|link|permalink|anchor|foot|linenos",
    re.IGNORECASE,
)
"""A cheap test of a tag: only tags that match are worth reading attribute by attribute."""
_HIDING_STYLE = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_ROLES = frozenset({"navigation", "search", "menu", "menubar", "doc-toc", "doc-pagelist"})
_CLASSES = frozenset(
    {"navheader", "navfooter", "sphinxsidebar", "headerlink", "linenos", "skip-link", "skip-links", "skiplink"}
    | {"breadcrumb", "breadcrumbs", "toctree-wrapper", "wy-nav-side", "rst-footer-buttons", "docnav", "gutter"}
)
"""Classes that generators of documentation and of sites give to navigation and line numbers only."""
_WORDS = frozenset(
    {"nav", "navbar", "navigation", "navlinks", "navpanel", "toc", "sidebar", "menu", "pagination", "pager", "related"}
    | {"contents", "breadcrumb", "breadcrumbs", "toctree", "footer", "prevnext", "skip"}
)
"""Words in classes and ids of elements that are navigation if they hold mostly links."""
_NEVER = frozenset(
    {"html", "body", "main", "article", "h1", "h2", "h3", "h4", "h5", "h6", "td", "th", "tr", "dd", "dt"}
)
_SPLIT = re.compile(r"[\s_-]+")
_BAR_CHARS = 400
_BAR_WORDS = frozenset({"prev", "previous", "next", "up", "home", "top", "index", "contents"})
_BAR = re.compile(r"\W*(?:prev|previous|next|up|home|top|index|contents|table of contents)\b", re.IGNORECASE)
_PERMALINK = re.compile(r"[\s¶§#🔗⚓∞↩]*")
LINK_SHARE = 0.5
CONTENTS_LINK_SHARE = 0.75


def is_hidden(about: Mapping[str, str]) -> bool:
    """Return whether an element with these attributes is hidden from readers."""
    if "hidden" in about and about["hidden"].lower() != "until-found":
        return True
    return about.get("aria-hidden", "").lower() == "true" or bool(_HIDING_STYLE.search(about.get("style", "")))


def is_navigation(tag: str, about: Mapping[str, str]) -> bool:
    """Return whether an element is navigation whatever it holds."""
    if about.get("role", "").lower() in _ROLES and tag not in _NEVER:
        return True
    return not _CLASSES.isdisjoint(about.get("class", "").lower().split())


def may_be_navigation(tag: str, about: Mapping[str, str]) -> bool:
    """Return whether an element is navigation if it holds mostly links."""
    if tag in _NEVER:
        return False
    return not _WORDS.isdisjoint(_SPLIT.split(f"{about.get('class', '')} {about.get('id', '')}".lower()))


def is_bar(text: str) -> bool:
    """Return whether the text of a short element with links is a bar such as "Next: Tides, Up: Pilot"."""
    words = " ".join(text.split())
    if len(words) > _BAR_CHARS or not _BAR.match(words):
        return False
    return len(_BAR_WORDS.intersection(re.findall(r"[a-z]+", words.lower()))) > 1


def is_permalink(text: str) -> bool:
    """Return whether a link's text is only a mark such as ¶, so that it serves to copy the address."""
    return _PERMALINK.fullmatch(unescaped(text)) is not None

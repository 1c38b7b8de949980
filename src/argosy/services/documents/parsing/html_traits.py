"""Traits of HTML elements, read from their start tags: hidden, navigation, code."""

from __future__ import annotations

import re
from dataclasses import dataclass

from argosy.services.documents.parsing.html_navigation import TELLING, is_hidden, is_navigation, may_be_navigation
from argosy.services.documents.parsing.html_text import attributes

_INVISIBLE = frozenset({"script", "style", "template", "noscript", "svg", "head", "button", "datalist", "object"})
_SIGNATURE = re.compile(r"\bsig\b")


@dataclass(frozen=True, slots=True)
class Traits:
    """Element as its start tag describes it."""

    invisible: bool = False
    hidden: bool = False
    """Whether readers do not see the element although it holds content, which is worth telling."""
    navigation: bool = False
    doubtful: bool = False
    """Whether the element is navigation if it holds mostly links."""
    code: bool = False
    linked: bool = False


PLAIN = Traits()


def traits_of(tag: str, markup: str) -> Traits:
    """Return the traits of an element by its start tag."""
    if tag in _INVISIBLE:
        return Traits(invisible=True)
    if tag == "a":
        linked = "href" in markup
        hidden = TELLING.search(markup) is not None and is_hidden(attributes(markup))
        return Traits(invisible=hidden, linked=linked, navigation=linked and is_navigation(tag, attributes(markup)))
    told = len(markup) > len(tag) + 2 and TELLING.search(markup) is not None
    about = attributes(markup) if told else {}
    navigation = tag == "nav" or (told and is_navigation(tag, about))
    hidden = told and is_hidden(about) and tag not in ("html", "body")
    doubtful = told and may_be_navigation(tag, about)
    code = tag == "dt" and _SIGNATURE.search(markup) is not None
    if hidden or navigation or doubtful or code:
        return Traits(hidden, hidden and not navigation, navigation, doubtful, code)
    return PLAIN

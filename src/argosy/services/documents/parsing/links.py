"""Removal of addresses from Markdown: links keep their text and images their description."""

from __future__ import annotations

import re

_FENCE = re.compile(r" {0,3}(?:>[ >]*)?(?:[-*+][ ]+)?(`{3,}|~{3,})")
_INLINE = re.compile(
    r"(?P<code>`+[^`\n]*+`+)"
    r"|!?\[(?P<text>(?:[^\[\]`\n]|`[^`\n]*+`)*+)\]"
    r"\((?:<[^<>\n]*+>|(?:[^()\s<>]|\([^()\s]*+\))*+)(?:[ \t]++(?:\"[^\"\n]*+\"|'[^'\n]*+'))?+[ \t]*+\)"
)
"""A code span, or a link or image with its address and title. All quantifiers are possessive."""
_NESTING = 2
"""A picture may be the text of a link."""


def without_addresses(text: str) -> str:
    """Return Markdown without the addresses and titles of links and pictures. Code stays as it is."""
    if "](" not in text:
        return text
    out, fence = [], ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark is not None and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1][:3]
        elif not fence and "](" in line:
            for _ in range(_NESTING):
                line = _INLINE.sub(_bare, line)
        out.append(line)
    return "\n".join(out)


def _bare(found: re.Match[str]) -> str:
    return found["code"] if found["code"] is not None else found["text"]

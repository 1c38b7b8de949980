"""Short plain texts, many of which are read in one round trip to a parser child, because the trip costs more than
reading the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from argosy.services.documents.parsing.formats import Format, detect
from argosy.services.documents.parsing.parsed import ParsedDocument
from argosy.serving.grouping import Grouped

SHORT_BYTES = 4000
"""Size of the largest short text. Reading it takes well under a millisecond, so that it needs no turn among senders."""
MOST = 32
"""Texts in one round trip."""
SHORT_KINDS = frozenset({Format.TEXT, Format.MARKDOWN})


class TextParser(Protocol):
    async def parse_texts(self, texts: Sequence[tuple[bytes, str, Format]]) -> list[ParsedDocument | Exception]:
        """Parse several texts, each (data, name, format). Returns: the document or the error of each, in order."""
        ...


class ShortTexts:
    """Parse short texts of several documents together. A text that fails, fails alone."""

    def __init__(self, parser: TextParser, linger_s: float) -> None:
        self._grouped: Grouped[tuple[bytes, str, Format], ParsedDocument] = Grouped(
            parser.parse_texts, most=MOST, linger_s=linger_s
        )

    async def parse(self, data: bytes, name: str, content_type: str) -> ParsedDocument | None:
        """Return the parsed document, or None when it is not a short text.

        Raises: DocumentError, UnsupportedType.
        """
        if len(data) > SHORT_BYTES or content_type not in SHORT_KINDS:
            return None
        kind = detect(data, name, content_type)
        return await self._grouped((data, name, kind)) if kind in SHORT_KINDS else None

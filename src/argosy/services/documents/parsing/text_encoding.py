"""Detection of the encoding of a text file that is not UTF-8.

This module runs in the parser child because it calls xberg's detector.
"""

from __future__ import annotations

import codecs

from argosy.services.documents.parsing import xberg_reader
from argosy.services.documents.parsing.formats import has_binary
from argosy.services.documents.parsing.parsed import decode_text, normalise
from argosy.services.documents.parsing.utf8 import mostly_utf8
from argosy.services.documents.parsing.wide_text import marked_encoding, unmarked_encoding

_SAMPLE_BYTES = 8192
CANDIDATES = (
    *("cp1252", "shift_jis", "cp932", "euc_jp", "gb18030", "big5", "cp949", "cp1251", "koi8_r", "koi8_u", "cp1250"),
    *("iso8859_2", "cp1253", "iso8859_7", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "iso8859_5", "iso8859_15"),
    *("cp866", "cp874"),
)


def decode_any(data: bytes, *, html: bool = False) -> str:
    """Decode like `decode_text`, but detect the encoding of text that is not marked, not UTF-8 and declares none.

    The detector returns the words, not the encoding: the first candidate that decodes to the same words is used.
    """
    marked = data.startswith(codecs.BOM_UTF8) or marked_encoding(data) is not None
    if marked or (html and b"charset" in data[:4096].lower()):
        return decode_text(data, html=html)
    if has_binary(data) and (wide := unmarked_encoding(data)) is not None:
        return normalise(data.decode(wide, errors="replace"))
    try:
        return normalise(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        first = error.start
    if (text := mostly_utf8(data)) is not None:
        return normalise(text)
    sample = _sample(data, first)
    try:
        words = xberg_reader.read_plainly(sample).split()
    except RuntimeError:
        return decode_text(data)
    for candidate in CANDIDATES:
        try:
            if sample.decode(candidate).split() == words:
                return normalise(data.decode(candidate, errors="replace"))
        except UnicodeDecodeError:
            continue
    return decode_text(data)


def _sample(data: bytes, first: int) -> bytes:
    """Return the non-ASCII lines from `first` on: only they reveal the encoding."""
    start = data.rfind(b"\n", 0, first) + 1
    lines = data[max(start, first - _SAMPLE_BYTES) : first + 64 * _SAMPLE_BYTES].split(b"\n")
    telling = b"\n".join(line for line in lines if not line.isascii())
    return telling if len(telling) <= _SAMPLE_BYTES else telling[: telling.rfind(b"\n", 0, _SAMPLE_BYTES) + 1 or None]

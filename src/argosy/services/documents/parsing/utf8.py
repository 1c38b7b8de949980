"""Decoding of text that is UTF-8 except for a few bytes: a stray byte must not turn every "ü" into "Ã¼"."""

from __future__ import annotations

import codecs

_SAMPLE_BYTES = 1 << 20
LEAST_SHARE = 0.65
"""Share of the bytes outside of ASCII that must be valid UTF-8. Text in other encodings stays far below it."""


def mostly_utf8(data: bytes) -> str | None:
    """Decode text that is UTF-8 but for single bytes, which are read as cp1252; None when it is another encoding.

    A last character that is cut off is left out.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        first = error.start
    sample = data[max(0, first - _SAMPLE_BYTES) : first + _SAMPLE_BYTES]
    foreign = len(sample) - _count_ascii(sample)
    valid = len(sample.decode("utf-8", "ignore").encode()) - _count_ascii(sample)
    cut_off = len(data) - first < 4 and _is_cut_off(data[first:])
    if valid < LEAST_SHARE * foreign and not (cut_off and valid > 0):
        return None
    return data.decode("utf-8", _HANDLER)


def _count_ascii(data: bytes) -> int:
    return len(data.decode("ascii", "ignore"))


def _is_cut_off(tail: bytes) -> bool:
    """Return whether the bytes are the beginning of a character."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        return decoder.decode(tail) == ""
    except UnicodeDecodeError:
        return False


def _as_cp1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    tail = error.object[error.start : error.start + 4]
    if error.start + len(tail) == len(error.object) and len(tail) < 4 and _is_cut_off(tail):
        return "", len(error.object)
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


_HANDLER = "argosy.cp1252"
codecs.register_error(_HANDLER, _as_cp1252)

"""Comparison of texts: whether an answer contains an expected text, and which words it has."""

from __future__ import annotations

import re
import unicodedata

_MARKER = re.compile(r"\s*\[(\d{1,6})\]")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")
_EMPHASIS = re.compile(r"(?<!\w)[*_]{1,3}(?=\S)|(?<=\S)[*_]{1,3}(?!\w)|`+")
_SAME = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "–": "-", "—": "-", "−": "-", "‑": "-"})
_WORD = re.compile(r"\d+(?:[.,:]\d+)*|[^\W_]+(?:['’][^\W_]+)*")
_NO_SPACES = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")


def normalised(text: str) -> str:
    """Return the text for comparison: composed, without case, emphasis, invisible characters and kinds of quote marks.

    Superscripts stay what they are: 10⁶ is not 106.
    """
    visible = _INVISIBLE.sub("", unicodedata.normalize("NFC", text)).translate(_SAME)
    return " ".join(_EMPHASIS.sub("", visible).casefold().split())


def contains(text: str, expected: str) -> bool:
    """Return whether the normalised text contains the normalised `expected`.

    A number must be whole: `48` is not in `48.5` and not in `148`. A word may go on: `tide` is in `tides`.
    """
    haystack, needle = normalised(text), normalised(expected)
    if not needle:
        return True
    at = haystack.find(needle)
    while at >= 0:
        before, after = haystack[:at], haystack[at + len(needle) :]
        cut_before = needle[0].isdecimal() and re.search(r"\d[.,]?$", before[-2:])
        cut_after = needle[-1].isdecimal() and re.match(r"[.,]?\d", after[:2])
        if not (cut_before or cut_after):
            return True
        at = haystack.find(needle, at + 1)
    return False


def contains_literally(text: str, expected: str) -> bool:
    return expected.lower() in text.lower()


def without_markers(answer: str) -> str:
    return _MARKER.sub("", answer)


def markers(answer: str) -> list[int]:
    """Return the numbers of the markers `[n]` in order."""
    return [int(number) for number in _MARKER.findall(answer)]


def statements(answer: str) -> list[tuple[str, tuple[int, ...]]]:
    """Return the parts of the answer, each with the numbers of the markers that follow it directly."""
    found: list[tuple[str, tuple[int, ...]]] = []
    start = 0
    for match in _MARKER.finditer(answer):
        text = answer[start : match.start()].strip()
        if _WORD.search(text) or not found:
            found.append((text, (int(match[1]),)))
        else:
            found[-1] = (found[-1][0], (*found[-1][1], int(match[1])))
        start = match.end()
    rest = answer[start:].strip()
    if _WORD.search(rest):
        found.append((rest, ()))
    return found


def word_count(answer: str) -> int:
    """Return the number of words, without markers. Without spaces between words, two characters count as a word."""
    count = 0
    for word in _WORD.findall(without_markers(answer)):
        dense = len(_NO_SPACES.findall(word))
        count += max(1, round(dense / 2)) if dense else 1
    return count


def words(text: str) -> list[str]:
    """Return the normalised words of a text; of text without spaces, the pairs of neighbouring characters."""
    found: list[str] = []
    for word in _WORD.findall(normalised(text)):
        if _NO_SPACES.search(word) and len(word) > 1:
            found += [word[at : at + 2] for at in range(len(word) - 1)]
        else:
            found.append(word)
    return found

"""Superscripts and subscripts as plain characters, so that 10⁶ does not become 106."""

from __future__ import annotations

_SUPER = str.maketrans("0123456789+-−=()nabcdefghijklmoprstuvwxyz", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐᵒᵖʳˢᵗᵘᵛʷˣʸᶻ")
_SUB = str.maketrans("0123456789+-−=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
_READ_AS_TEXT = frozenset(
    {"st", "nd", "rd", "th", "er", "re", "ère", "ème", "eme", "tm", "®", "™", "©", "°", "º", "ª", "*"}
)
"""Endings and marks that mean the same on the line: 1st, ™."""
_LONGEST_CHARS = 40


def superscript(text: str) -> str:
    """Return the text as a superscript: in Unicode's characters where there is one for each, else as ^(text)."""
    words = text.strip()
    if words.lower() in _READ_AS_TEXT or len(words) > _LONGEST_CHARS:
        return text
    return _raised(words, _SUPER, "^")


def subscript(text: str) -> str:
    """Return the text as a subscript: in Unicode's characters where there is one for each, else as _(text)."""
    words = text.strip()
    return text if len(words) > _LONGEST_CHARS else _raised(words, _SUB, "_")


def _raised(words: str, letters: dict[int, int], mark: str) -> str:
    if not words:
        return ""
    if all(ord(letter) in letters for letter in words):
        return words.translate(letters)
    return f"{mark}({words})"

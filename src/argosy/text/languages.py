"""Language of a text or a query, by its script and its stop words. It needs no model and works on a few words."""

from __future__ import annotations

import re
from collections.abc import Collection

from argosy.text.scripts import LATIN, script_of
from argosy.text.stop_words import STOP_WORDS
from argosy.text.visible import visible_text

OF_SCRIPT = {
    "han": "zh",
    "kana": "ja",
    "hangul": "ko",
    "thai": "th",
    "lao": "lo",
    "khmer": "km",
    "burmese": "my",
    "greek": "el",
    "hebrew": "he",
    "bengali": "bn",
    "gurmukhi": "pa",
    "gujarati": "gu",
    "tamil": "ta",
    "telugu": "te",
    "kannada": "kn",
    "malayalam": "ml",
    "sinhala": "si",
    "armenian": "hy",
    "georgian": "ka",
}
"""Languages of scripts with one important language."""

_USUAL = {"cyrillic": "ru", "arabic": "ar", "devanagari": "hi"}
"""Most frequent languages of scripts with several languages."""
_LETTERS = {
    "cyrillic": (("uk", re.compile("[іїєґ]")), ("sr", re.compile("[ђјљњћџ]")), ("be", re.compile("[ў]"))),
    "arabic": (("ur", re.compile("[ٹڈڑے]")), ("fa", re.compile("[پچژگ]"))),
}
"""Letters by which a language is told from the usual language of its script."""
_SCRIPTS = (
    {language: script for script, language in OF_SCRIPT.items()}
    | {language: script for script, language in _USUAL.items()}
    | {language: script for script, others in _LETTERS.items() for language, _ in others}
)
_ACCENTS = {
    "de": re.compile("[äöüß]"),
    "es": re.compile("[ñ¿¡áíóú]"),
    "fr": re.compile("[çèêàùœ]"),
    "pt": re.compile("[ãõçáâ]"),
    "it": re.compile("[àèìòù]"),
    "sv": re.compile("[åäö]"),
    "da": re.compile("[åæø]"),
    "no": re.compile("[åæø]"),
    "fi": re.compile("[äö]"),
    "pl": re.compile("[ąćęłńśźż]"),
    "cs": re.compile("[ěščřžýů]"),
    "hu": re.compile("[őűáéíóöü]"),
    "ro": re.compile("[ăâîșțşţ]"),
    "vi": re.compile("[ăđơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]"),
    "ca": re.compile("[çàèòï·]"),
}
_ACCENT_VOTE = 0.7
_DISTINCT = {"tr": re.compile("[ğışİ]"), "de": re.compile("ß"), "es": re.compile("[¿¡ñ]"), "pl": re.compile("[łąę]")}
_DISTINCT_VOTE = 1.0
_WORD = re.compile(r"[^\W\d_]+(?:[\u0300-\u036f][^\W\d_]*)*")
LATIN_LANGUAGES = tuple(
    language for language, words in STOP_WORDS.items() if script_of(" ".join(sorted(words)[:50])) == LATIN
)
SAMPLE_CHARS = 4000


def script_for(language: str) -> str:
    """Return the script in which the language is written."""
    return _SCRIPTS.get(language, LATIN)


def script_language(text: str) -> tuple[str | None, str | None]:
    """Return the script of `text`, and the language that the script alone implies (None for Latin)."""
    script = script_of(text)
    if script is None or script == LATIN:
        return script, None
    for language, letters in _LETTERS.get(script, ()):
        if letters.search(text):
            return script, language
    return script, OF_SCRIPT.get(script) or _USUAL.get(script)


def language_of(text: str, among: Collection[str] | None = None) -> str | None:
    """Return the language of `text` as an ISO 639-1 code; None when it is unclear.

    In the Latin script each stop word votes for its languages, and a word shared by n languages counts 1/n for each.
    `among` limits the languages of the Latin script to those that are likely, which makes the votes sharper.
    """
    low = visible_text(text[:SAMPLE_CHARS]).lower()
    script, language = script_language(low)
    if script is None:
        return None
    if script != LATIN:
        return language
    return _voted(low, LATIN_LANGUAGES if among is None else [known for known in among if known in LATIN_LANGUAGES])


def _voted(low: str, languages: Collection[str]) -> str | None:
    votes = dict.fromkeys(languages, 0.0)
    for word in _WORD.findall(low):
        having = [language for language in languages if word in STOP_WORDS[language]]
        for language in having:
            votes[language] += 1.0 / len(having)
    for patterns, vote in ((_ACCENTS, _ACCENT_VOTE), (_DISTINCT, _DISTINCT_VOTE)):
        for language, letters in patterns.items():
            if language in votes and letters.search(low):
                votes[language] += vote
    best = sorted(votes.values(), reverse=True)[:2]
    if not best or best[0] <= 0.0 or (len(best) > 1 and best[0] == best[1]):
        return None
    return max(votes, key=lambda language: votes[language])

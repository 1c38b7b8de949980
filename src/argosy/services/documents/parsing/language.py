"""Language codes, and the sample of a text from which its language is detected."""

from __future__ import annotations

SAMPLE_CHARS = 4000

_SHORT = {
    "afr": "af", "ara": "ar", "aze": "az", "bel": "be", "ben": "bn", "bul": "bg", "cat": "ca", "ces": "cs",
    "cmn": "zh", "zho": "zh", "dan": "da", "deu": "de", "ell": "el", "eng": "en", "epo": "eo", "est": "et",
    "fin": "fi", "fra": "fr", "guj": "gu", "heb": "he", "hin": "hi", "hrv": "hr", "hun": "hu", "hye": "hy",
    "ind": "id", "ita": "it", "jpn": "ja", "kan": "kn", "kat": "ka", "khm": "km", "kor": "ko", "lat": "la",
    "lav": "lv", "lit": "lt", "mal": "ml", "mar": "mr", "mkd": "mk", "mya": "my", "nep": "ne", "nld": "nl",
    "nob": "nb", "ori": "or", "pan": "pa", "pes": "fa", "pol": "pl", "por": "pt", "ron": "ro", "rus": "ru",
    "sin": "si", "slk": "sk", "slv": "sl", "sna": "sn", "spa": "es", "srp": "sr", "swe": "sv", "tam": "ta",
    "tel": "te", "tgl": "tl", "tha": "th", "tuk": "tk", "tur": "tr", "ukr": "uk", "urd": "ur", "uzb": "uz",
    "vie": "vi", "yid": "yi", "zul": "zu",
}  # fmt: skip


def short_code(code: str | None) -> str | None:
    """Return the two-letter ISO 639-1 code for an ISO 639-3 code, or the given code when there is none."""
    return None if code is None else _SHORT.get(code, code)


def telling_part(text: str) -> str:
    """Return SAMPLE_CHARS from the middle of the text: the start is often a cover, a table of contents or a licence."""
    middle = max(0, (len(text) - SAMPLE_CHARS) // 2)
    return text[middle : middle + SAMPLE_CHARS]

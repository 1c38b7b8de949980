"""Configuration of text recognition (OCR): the folder of its trained data and the languages."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import xberg

from argosy.contracts.errors import OcrMissing

_FOLDERS = (
    "/usr/share/tesseract-ocr/*/tessdata",
    "/usr/share/tessdata",
    "/usr/local/share/tessdata",
    "/opt/homebrew/share/tessdata",
)
_NO_LANGUAGE = frozenset({"osd", "equ"})
MAX_LANGUAGES = 3
"""Highest number of languages: each takes time on every page."""


def trained_data(environment: Mapping[str, str] = os.environ) -> tuple[Path, list[str]] | None:
    """Return the folder of the trained data and its languages, English first; None when there is none.

    TESSDATA_PREFIX, when set, is the only folder searched.
    """
    given = environment.get("TESSDATA_PREFIX")
    folders = [Path(given)] if given else [path for glob in _FOLDERS for path in sorted(Path("/").glob(glob[1:]))]
    for folder in folders:
        languages = {path.stem for path in folder.glob("*.traineddata")} - _NO_LANGUAGE
        if languages:
            return folder, sorted(languages, key=lambda language: (language != "eng", language))[:MAX_LANGUAGES]
    return None


def recognition(name: str) -> xberg.OcrConfig:
    """Return the configuration of text recognition.

    Raises: OcrMissing when no trained data is installed; the message says what to install.
    """
    found = trained_data()
    if found is None:
        raise OcrMissing(
            f"{name} holds only pictures of text, and text recognition (OCR) is not installed. Install Tesseract with "
            "its language data (Debian and Ubuntu: apt-get install tesseract-ocr tesseract-ocr-eng; macOS: brew "
            "install tesseract), then retry the document."
        )
    folder, languages = found
    return xberg.OcrConfig(backend="tesseract", language=languages, auto_rotate=False, tessdata_path=str(folder))

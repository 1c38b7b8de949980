"""Version of the answer's prompt as its file says now, so that answers to an earlier prompt are not repeated."""

from __future__ import annotations

import re
from pathlib import Path

from argosy.config.generation import PACKAGED_PROMPT, GenerationSettings

_VERSION = re.compile(rb"^version:[ \t]*([\w.-]+)", re.MULTILINE)
HEAD_BYTES = 512


def prompt_version(settings: GenerationSettings) -> str:
    """Return the version; empty for extractive answers, and when the file cannot be read."""
    if settings.backend == "extractive":
        return ""
    if not settings.prompts:
        return PACKAGED_PROMPT
    try:
        with (Path(settings.prompts).expanduser() / "answer.md").open("rb") as stream:
            found = _VERSION.search(stream.read(HEAD_BYTES))
    except OSError:
        return ""
    return found[1].decode() if found else ""

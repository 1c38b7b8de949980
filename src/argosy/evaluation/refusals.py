"""Recognition of an answer that says that the documents do not say."""

from __future__ import annotations

import re

_REFUSAL = re.compile(r"(do|does) not (say|tell|answer|contain)|no answer|not (found|covered|mentioned)", re.IGNORECASE)


def is_refusal(answer: str, citations: int) -> bool:
    """Return whether the answer refuses. An answer with a citation states something, whatever else it says."""
    return citations == 0 and bool(_REFUSAL.search(answer))

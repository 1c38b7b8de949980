"""Parser of the header `Retry-After`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_S = 3600.0
"""Longest wait. A longer one is shortened, so that a header cannot make a caller wait for days."""
MAX_CHARS = 64
_SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?")


def retry_after_s(header: str | None, wall_s: Callable[[], float] = time.time) -> float | None:
    """Return the seconds to wait, from 0 to MAX_RETRY_AFTER_S; None when the header is missing or cannot be read.

    The header is a number of seconds or an HTTP date (RFC 9110, 10.2.3). No value of the header raises an error.
    """
    text = (header or "").strip()
    if not text or len(text) > MAX_CHARS or not text.isascii():
        return None
    if _SECONDS.fullmatch(text):
        return min(float(text), MAX_RETRY_AFTER_S)
    try:
        wait_s = parsedate_to_datetime(text).timestamp() - wall_s()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(0.0, wait_s), MAX_RETRY_AFTER_S)

"""Durations on the command line, like 90s or 2h."""

from __future__ import annotations

import re

import typer

UNITS_S = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}


def seconds(text: str | None) -> float | None:
    """Return the seconds of a duration like 90s, 30m, 2h or 7d. A bare number is seconds; None stays None.

    Raises: typer.BadParameter when the text is not a duration.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|min|m|h|d|)", text.strip())
    if found is None:
        raise typer.BadParameter(f"{text} is not a duration; write it like 90s, 30m or 2h.")
    return float(found[1]) * UNITS_S[found[2]]

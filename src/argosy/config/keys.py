"""Keys of the fleet file: their names in messages, and the known key nearest to a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import get_args

from pydantic import BaseModel

from argosy.config.models import Fleet, Services
from argosy.config.service import CustomSettings

NEAR = 0.75
"""Least similarity of a suggestion. It accepts a missing, doubled or swapped letter, and refuses another word."""


def near(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` is probably meant to be, or None when no name is near."""
    return next(iter(difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=NEAR)), None)


def in_users_words(path: tuple[str, ...]) -> str:
    """Return the key as it is written in a file: `services.gateway.allowed_hosts[0]`."""
    return "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in path).removeprefix(".")


def nearest(path: tuple[str, ...]) -> str:
    """Return the remedy for an unknown key: the similar known key, or all keys known at that place."""
    model: type[BaseModel] = Fleet
    for part in path[:-1]:
        field = model.model_fields.get(part)
        if field is None and model is Services:
            if ours := near(part, Services.model_fields):
                return f'did you mean "services.{ours}"'
            model = CustomSettings
            continue
        kinds = [] if field is None else [field.annotation, *get_args(field.annotation)]
        below = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
        if below is None:
            return "remove it"
        model = below
    close = near(path[-1], model.model_fields)
    return f'did you mean "{close}"' if close else f"known here are {', '.join(model.model_fields)}"

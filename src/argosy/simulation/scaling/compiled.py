"""Loops over single requests are compiled where numba is installed (`pip install argosy[simulate]`), else plain Python.

Both give the same numbers; plain Python takes some fifty times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

try:
    import numba
except ImportError:
    COMPILED = False
else:
    COMPILED = True


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Only for functions of numbers and arrays; the result is kept beside the source, or in the user's cache."""
    if not COMPILED:
        return function
    made: Callable[P, R] = numba.njit(cache=True, nogil=True)(function)
    return made

"""Compilation of loops over single requests, where numba is installed (`pip install argosy[simulate]`).

Without numba the loops run as plain Python, with the same numbers but about fifty times slower.
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
    """Compile a function of numbers and arrays.

    The result is cached beside the source, or in the user's cache directory.
    """
    if not COMPILED:
        return function
    made: Callable[P, R] = numba.njit(cache=True, nogil=True)(function)
    return made

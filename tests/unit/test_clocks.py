"""Elapsed time comes from the monotonic clock: the wall clock may jump."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import argosy

pytestmark = pytest.mark.unit

SOURCES = Path(argosy.__file__).parent
WALL = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow"), ("date", "today")}


@pytest.mark.parametrize("package", ["balancing", "clients", "serving"])
def test_what_picks_calls_and_serves_never_looks_at_the_wall_clock(package: str) -> None:
    paths = sorted((SOURCES / package).rglob("*.py"))
    assert paths
    assert [str(path) for path in paths if WALL & _attributes(path)] == []


def _attributes(path: Path) -> set[tuple[str, str]]:
    """Every `name.attribute` in the module; of a longer chain the last two."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            found.add((owner, node.attr))
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            found |= {("time", name.name) for name in node.names}
    return found

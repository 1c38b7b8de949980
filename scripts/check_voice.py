"""Check that docstrings begin with a verb or a noun phrase, as CONTRIBUTING asks. Prints each one that does not."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("src", "scripts", "benchmarks", "tests")
NO_BEGINNING = frozenset(
    (
        "What",
        "Of",
        "Those",
        "That",
        "How",
        "Why",
        "Where",
        "When",
        "Who",
        "Whose",
        "Which",
        "So",
        "Also",
        "From",
        "By",
        "As",
        "In",
        "With",
        "Without",
        "For",
        "Not",
        "At",
        "On",
        "Its",
        "Nothing",
        "Nobody",
        "Never",
    )
)
"""First words of sentences that do not name the thing they describe."""


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of every docstring, including those below attributes."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                text = statement.value.value
                if isinstance(text, str):
                    yield statement.lineno, text


def main() -> int:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {text.strip().splitlines()[0]}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, text in docstrings(ast.parse(path.read_text("utf-8")))
        if text.split(None, 1) and text.split(None, 1)[0].rstrip(",") in NO_BEGINNING
    ]
    sys.stdout.write("".join(f"{place}\n" for place in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

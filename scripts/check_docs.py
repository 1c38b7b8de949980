"""Check every relative link and anchor in the Markdown files that git tracks. Print broken ones and exit with 1."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
OUTSIDE = ("http://", "https://", "mailto:")


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    plain = (re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", h) for h in HEADING.findall(FENCE.sub("", text)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


def broken_links(page: Path) -> list[str]:
    text = FENCE.sub("", page.read_text("utf-8"))
    found = []
    for target in LINK.findall(text):
        if target.startswith(OUTSIDE):
            continue
        name, _, anchor = target.partition("#")
        aim = page if not name else (page.parent / name).resolve()
        where = page.relative_to(ROOT)
        if not aim.exists():
            found.append(f"{where}: {target} does not exist")
        elif anchor and aim.suffix == ".md" and anchor not in anchors(aim.read_text("utf-8")):
            found.append(f"{where}: {target}: no such heading")
    return found


def main() -> int:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    broken = [line for name in listed for line in broken_links(ROOT / name)]
    sys.stdout.write("".join(f"{line}\n" for line in broken))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

"""Two corpora of documentation pages, taken from Debian packages by one fixed rule.

The pages are not part of this repository. `build` downloads the packages with apt-get, which needs no privileges and
uses whatever archive the machine is set up with, unpacks them, and copies the chosen pages into one flat folder. The
development corpus and the test corpus share no page: choices are tuned on the first and reported on the second.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PARTS = ("dev", "test")
"""Names of the corpora. A part's position is the position of its first page in each group."""


@dataclass(frozen=True, slots=True)
class Group:
    """Pages of one package that stand in one folder.

    `every` is the step through the sorted pages. Each part begins at its own position, so a step of at least two keeps
    the parts apart. `parts` names the parts that take pages of this group.
    """

    name: str
    package: str
    folder: str
    every: int
    kept: str = ""
    least_bytes: int = 6_000
    parts: tuple[str, ...] = PARTS

    def names(self, paths: Sequence[Path]) -> list[Path]:
        """Return the pages that may be chosen, sorted by name.

        Indexes and search pages answer no question.
        """
        kept = re.compile(self.kept)
        return sorted(
            path
            for path in paths
            if not path.is_symlink()
            and kept.match(path.name)
            and not re.match(r"(gen|book)?index|search", path.name)
            and path.stat().st_size >= self.least_bytes
        )

    def chosen(self, root: Path, part: str) -> list[Path]:
        """Return the pages of `part` below `root`, the folder with the unpacked packages."""
        if part not in self.parts:
            return []
        pages = self.names(list((root / self.folder).glob("*.html")))
        return pages[PARTS.index(part) :: self.every]


PYTHON = "usr/share/doc/python3.11/html"
POSTGRESQL = (
    r"(sql-[a-z]|functions-|runtime-config|datatype|ddl|dml|queries|indexes|app-pg|backup|continuous|client-auth|auth"
    r"|tutorial|textsearch|plpgsql|monitoring|routine|logical-replication|role|transaction|explicit|using|populate"
    r"|manage|warm|hot|pg|hstore|mvcc|wal|rules|config|server|view-pg|storage|typeconv|arrays|rangetypes|libpq-conn)"
)
GROUPS = (
    Group("python-tutorial", "python3.11-doc", f"{PYTHON}/tutorial", every=2),
    Group("python-howto", "python3.11-doc", f"{PYTHON}/howto", every=2),
    Group("python-faq", "python3.11-doc", f"{PYTHON}/faq", every=2),
    Group("python-using", "python3.11-doc", f"{PYTHON}/using", every=2),
    Group("python-library", "python3.11-doc", f"{PYTHON}/library", every=4, least_bytes=20_000),
    Group("postgresql", "postgresql-doc-15", "usr/share/doc/postgresql-doc-15/html", every=3, kept=POSTGRESQL),
    Group("debian-faq", "debian-faq", "usr/share/doc/debian/FAQ", every=2, kept=r".*\.en\.html"),
    Group("debian-handbook", "debian-handbook", "usr/share/doc/debian-handbook/html/en-US", every=2),
    Group("debian-reference", "debian-reference-en", "usr/share/debian-reference", every=2),
    Group("debian-policy", "debian-policy", "usr/share/doc/debian-policy/policy.html", every=2, kept="ch-"),
    Group("debian-developers", "developers-reference", "usr/share/developers-reference", every=2),
    Group("git", "git-doc", "usr/share/doc/git-doc", every=7, kept="git", parts=("dev",)),
    Group("sqlite", "sqlite3-doc", "usr/share/doc/sqlite3", every=7, parts=("test",)),
)


def can_build(folder: Path) -> bool:
    """Return whether the packages are in `folder` or can be downloaded, and print why not."""
    if (folder / "root").is_dir() or shutil.which("apt-get"):
        return True
    print("Documentation is left out: this machine has no apt-get. --packages DIR takes a folder from another one.")
    return False


def unpack(folder: Path) -> Path:
    """Download and unpack the packages into `folder` unless they are there, and return the root of their files.

    Raises: SystemExit with the command's own words when a package cannot be had.
    """
    root = folder / "root"
    packages = folder / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    for name in sorted({group.package for group in GROUPS}):
        if not list(packages.glob(f"{name}_*.deb")):
            _run(["apt-get", "download", name], packages)
            [archive] = packages.glob(f"{name}_*.deb")
            _run(["dpkg-deb", "-x", str(archive), str(root)], packages)
    return root


def build(root: Path, part: str, folder: Path) -> list[Path]:
    """Copy the pages of `part` into `folder` and return them, sorted. A page's name begins with its group."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = []
    for group in GROUPS:
        for page in group.chosen(root, part):
            copy = folder / f"{group.name}-{page.name}"
            shutil.copyfile(page, copy)
            pages.append(copy)
    return sorted(pages)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} exited with {done.returncode}: {done.stderr.strip()}")


def main() -> None:
    """Build both corpora in a folder: DIR/dev and DIR/test."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument(
        "--packages",
        type=Path,
        default=Path(tempfile.gettempdir()) / "argosy-documentation",
        help="Downloads stay here.",
    )
    options = parser.parse_args()
    root = unpack(options.packages)
    for part in PARTS:
        pages = build(root, part, options.folder / part)
        print(f"{part}: {len(pages)} pages, {sum(page.stat().st_size for page in pages) // 2**20} MiB")


if __name__ == "__main__":
    main()

"""Changes below a path as the operating system reports them."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from argosy.cli.sending.watching import changes

pytestmark = pytest.mark.integration

QUIET = 3
"""Number of consecutive answers without changes that prove that nothing was reported."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "papers"
    (folder / "deep").mkdir(parents=True)
    (folder / ".git").mkdir()
    return folder


@pytest.fixture
def watched(folder: Path) -> Iterator[Iterator[bool]]:
    told = changes([folder])
    assert next(told) is False
    yield told
    with contextlib.suppress(KeyboardInterrupt):
        told.close()  # type: ignore[attr-defined]


def heard(told: Iterator[bool]) -> bool:
    return any(next(told) for _ in range(20))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "new.md").write_text("new"),
        lambda folder: (folder / "deep" / "new.md").write_text("new"),
        lambda folder: (folder / "deep").rename(folder / "moved"),
        lambda folder: (folder / "deep").rmdir(),
    ],
    ids=["a file", "a file below", "a folder moved", "a folder removed"],
)
def test_a_change_is_told(change: Callable[[Path], object], folder: Path, watched: Iterator[bool]) -> None:
    change(folder)
    assert heard(watched)


def test_what_is_hidden_is_not_told(folder: Path, watched: Iterator[bool]) -> None:
    (folder / ".git" / "index").write_text("new")
    assert not any(next(watched) for _ in range(QUIET))


def test_a_folder_that_comes_back_is_watched_again(folder: Path, watched: Iterator[bool]) -> None:
    shutil.rmtree(folder)
    assert heard(watched)
    folder.mkdir()
    assert heard(watched)
    (folder / "new.md").write_text("new")
    assert heard(watched)

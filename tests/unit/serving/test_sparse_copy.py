"""Tests of the copy of folders with sparse files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.serving.sparse_copy import allocated_bytes, copy_folder

pytestmark = pytest.mark.unit


def test_a_copy_has_the_same_content_and_keeps_holes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "empty").write_bytes(b"")
    (source / "deep" / "small").write_bytes(os.urandom(5000))
    with (source / "deep" / "er" / "sparse").open("wb") as file:
        file.write(b"begin")
        file.seek(40 * 2**20)
        file.write(b"middle")
        file.truncate(90 * 2**20)
    copy_folder(source, tmp_path / "copy")
    for path in source.rglob("*"):
        there = tmp_path / "copy" / path.relative_to(source)
        assert there.is_dir() if path.is_dir() else there.read_bytes() == path.read_bytes()
        assert there.stat().st_mode & 0o077 == 0
    assert allocated_bytes(tmp_path / "copy") <= allocated_bytes(source) + 2**17


def test_an_existing_folder_is_not_mixed_with_the_copy(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    with pytest.raises(FileExistsError):
        copy_folder(tmp_path / "source", tmp_path)

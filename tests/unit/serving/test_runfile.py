"""Tests of the records of replicas on disk."""

from __future__ import annotations

from pathlib import Path

from argosy.serving import runfile


def test_what_a_killed_writer_left_goes_with_the_record_and_no_others(tmp_path: Path) -> None:
    for name in ("store-1.json", "store-1.lock", "store-1.77.tmp", "store-10.json", "store-10.78.tmp"):
        (tmp_path / name).write_bytes(b"{")
    runfile.remove(tmp_path / "store-1.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store-10.78.tmp", "store-10.json"]
    runfile.remove(tmp_path / "store-1.json")

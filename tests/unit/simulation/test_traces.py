"""Traces in their three shapes, packed and not, and what is said about one that is wrong."""

from __future__ import annotations

import bz2
import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from argosy.contracts.errors import ConfigError
from argosy.simulation.balancing.replay import replay
from argosy.simulation.balancing.run import run
from argosy.simulation.balancing.subject import Subject
from argosy.simulation.loads.traces import read_trace

pytestmark = pytest.mark.unit

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,8000,0
2023-11-16 18:17:04.0319600,8000,800
2023-11-16 18:17:06.0319600,0,80
"""
MOONCAKE = """{"timestamp": 0, "input_length": 8000, "output_length": 80, "hash_ids": [0, 14]}
{"timestamp": 500, "input_length": 8000, "output_length": 80, "hash_ids": [0]}
{"timestamp": 3000, "input_length": 8000, "output_length": 80, "hash_ids": [0, 14, 15]}
"""
COUNTS = "0 2 0 3\n1"


def test_azure_gives_moments_and_work_by_tokens(tmp_path: Path) -> None:
    (tmp_path / "code.csv").write_text(AZURE)
    trace = read_trace(tmp_path / "code.csv", most=100)
    assert trace.arrivals.draw(3, np.random.default_rng(0)) == pytest.approx([0, 0.052, 2.052], abs=1e-4)
    assert trace.work is not None
    assert trace.work[1] == pytest.approx(2 * trace.work[0])


def test_mooncake_gives_the_block_that_tells_conversations_apart(tmp_path: Path) -> None:
    (tmp_path / "conversation.jsonl.gz").write_bytes(gzip.compress(MOONCAKE.encode()))
    trace = read_trace(tmp_path / "conversation.jsonl.gz", most=100)
    assert trace.prefixes == (14, 0, 14)
    assert trace.arrivals.draw(3, np.random.default_rng(0)).tolist() == [0, 0.5, 3]


def _tar(text: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:bz2") as archive:
        member = tarfile.TarInfo("workload.txt")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rps.txt", COUNTS.encode()),
        ("rps.gz", gzip.compress(COUNTS.encode())),
        ("rps.bz2", bz2.compress(COUNTS.encode())),
        ("rps.tbz2", _tar(COUNTS)),
    ],
    ids=["plain", "gz", "bz2", "tar"],
)
def test_counts_a_second_are_read_packed_or_not(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    trace = read_trace(tmp_path / name, most=100)
    assert trace.requests == 6
    assert np.floor(trace.arrivals.draw(6, np.random.default_rng(0))).tolist() == [1, 1, 3, 3, 3, 4]


def test_no_more_than_asked_is_read(tmp_path: Path) -> None:
    (tmp_path / "rps.txt").write_text(COUNTS)
    (tmp_path / "code.csv").write_text(AZURE)
    assert read_trace(tmp_path / "rps.txt", most=2).requests == 2
    assert read_trace(tmp_path / "code.csv", most=2).requests == 2


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("a.csv", "TIMESTAMP,ContextTokens\n2023-11-16 18:17:03,4\n", "line 2"),
        ("a.csv", AZURE + "yesterday,1,2\n", "line 5"),
        ("a.jsonl", MOONCAKE + "{}\n", "line 4"),
        ("a.jsonl", MOONCAKE + "not json\n", "line 4"),
        ("a.txt", "1 2 many", "whole numbers"),
        ("a.txt", "1 -2", "negative"),
        ("a.txt", "0 0", "no request"),
        ("a.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n", "two requests"),
        ("a.bz2", "BZh9 cut short", "cannot be read"),
        ("missing", None, "cannot be read"),
    ],
)
def test_a_trace_that_is_wrong_is_named_with_its_line(name: str, text: str | None, named: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=named) as refused:
        read_trace(tmp_path / name, most=100)
    assert name in refused.value.message


def test_a_replay_has_the_load_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "rps.txt").write_text("20 " * 50)
    regime = replay(read_trace(tmp_path / "rps.txt", most=1000), replicas=4, load=0.5)
    record = run(regime, Subject.parse("adaptive"), seed=0)
    assert regime.work.mean_s * regime.arrivals.mean_rps / 4 == pytest.approx(0.5)
    assert record.served.all()

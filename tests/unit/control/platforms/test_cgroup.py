"""Limits of a container, as the kernel writes them, in both versions of control groups."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from argosy.control.platforms.cgroup import busy_s, limits

pytestmark = pytest.mark.unit

GIB = 2**30


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000", "memory.max": f"{2 * GIB}"}, (1.5, 2 * GIB)),
        ("0::/\n", {"cpu.max": "max 100000", "memory.max": "max"}, (None, None)),
        (
            "0::/a/b\n",
            {"a/cpu.max": "200000 100000", "a/b/cpu.max": "max 100000", "a/b/memory.max": f"{GIB}"},
            (2.0, GIB),
        ),
        (
            "4:memory:/x\n3:cpu,cpuacct:/x\n",
            {
                "memory/x/memory.limit_in_bytes": f"{3 * GIB}",
                "cpu,cpuacct/x/cpu.cfs_quota_us": "50000",
                "cpu,cpuacct/x/cpu.cfs_period_us": "100000",
            },
            (0.5, 3 * GIB),
        ),
        (
            "4:memory:/\n3:cpu:/\n",
            {
                "memory/memory.limit_in_bytes": "9223372036854771712",
                "cpu/cpu.cfs_quota_us": "-1",
                "cpu/cpu.cfs_period_us": "100000",
            },
            (None, None),
        ),
        ("0::/\n", {"cpu.max": "nonsense"}, (None, None)),
    ],
)
def test_the_least_of_all_groups_counts(
    tmp_path: Path, membership: str, files: Mapping[str, str], expected: tuple[float | None, int | None]
) -> None:
    (tmp_path / "cgroup").write_text(membership)
    for name, text in files.items():
        path = tmp_path / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert limits(tmp_path / "mount", tmp_path / "cgroup") == expected


@pytest.mark.parametrize(
    ("membership", "name", "text"),
    [
        ("0::/a\n", "a/cpu.stat", "usage_usec 2500000\nuser_usec 1\n"),
        ("2:cpuacct:/a\n", "cpuacct/a/cpuacct.usage", "2500000000\n"),
    ],
)
def test_what_a_container_used_is_counted(tmp_path: Path, membership: str, name: str, text: str) -> None:
    (tmp_path / "cgroup").write_text(membership)
    path = tmp_path / "mount" / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert busy_s(tmp_path / "mount", tmp_path / "cgroup") == 2.5
    assert busy_s(tmp_path / "elsewhere", tmp_path / "cgroup") is None


def test_where_there_are_none_there_is_no_limit(tmp_path: Path) -> None:
    assert limits(tmp_path / "mount", tmp_path / "cgroup") == (None, None)

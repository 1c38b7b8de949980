"""Tests of the spool: small bodies in memory, large ones on disk, and no files left afterwards."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from argosy.contracts.errors import ArgosyError, Overloaded, StorageFull
from argosy.serving.spool import MEMORY_BYTES, spooled

pytestmark = pytest.mark.unit


async def pieces(*sizes: int) -> AsyncIterator[bytes]:
    for n, size in enumerate(sizes):
        yield bytes([97 + n]) * size


@pytest.mark.parametrize("sizes", [(), (3, 4), (MEMORY_BYTES, 1), (MEMORY_BYTES // 2, MEMORY_BYTES * 3)])
async def test_a_body_comes_back_as_it_was(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    async with spooled(pieces(*sizes), tmp_path) as body:
        assert body.size == sum(sizes)
        found = b"".join([piece async for piece in body.pieces()])
        assert not os.listdir(tmp_path)
    assert found == b"".join([piece async for piece in pieces(*sizes)])


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, StorageFull), (errno.EMFILE, Overloaded)])
async def test_a_disk_that_refuses_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[ArgosyError]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(error):
        async with spooled(pieces(MEMORY_BYTES + 1), tmp_path):
            pass

"""A disk that is full for a while during a batch delays accepted documents and loses none."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from tests.chaos.disk import filled, small_disk
from tests.chaos.harbours import LIMIT_S, Harbours, started

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(LIMIT_S)]

FULL_S = 2.5
"""Time for which the disk is full; longer than a lease."""
ROOM_BYTES = 160 * 2**20
"""Free space that a round needs."""


@pytest.fixture(scope="module")
def harbours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbours]:
    with small_disk(tmp_path_factory.mktemp("disk")) as folder:
        yield from started(tmp_path_factory.mktemp("harbours-disk"), {}, data_dir=folder)


@pytest.mark.parametrize("seed", range(3))
def test_a_disk_full_for_a_while_delays_and_loses_nothing(harbours: Harbours, seed: int) -> None:
    draw = random.Random(seed)

    def interrupt() -> None:
        harbours.pause(draw)
        with filled(harbours.data_dir):
            time.sleep(FULL_S)

    with filled(harbours.data_dir, leaving_bytes=ROOM_BYTES):  # the remaining space fills quickly
        harbours.fill(f"round-{seed}", interrupt)
    harbours.recovered()
    assert harbours.chunks(f"round-{seed}") == harbours.expected

"""Watching: a failure is reported once, and a later round does the missed work."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import cast

import pytest

from argosy.cli.client.gateway import NoFleet
from argosy.cli.sync import AGAIN_S, Mirror, keep
from argosy.contracts.errors import ArgosyError

pytestmark = pytest.mark.unit

AWAY = NoFleet("No fleet answers.")


class Scripted:
    """Mirror whose rounds end as scripted; later ones succeed. `now_s` advances only between values of `changes`."""

    def __init__(self, *script: ArgosyError | None) -> None:
        self.script = deque(script)
        self.now_s = 0.0
        self.rounds_at_s: list[float] = []

    def round(self) -> int:
        self.rounds_at_s.append(self.now_s)
        error = self.script.popleft() if self.script else None
        if error is not None:
            raise error
        return 0

    def changes(self, *answers: bool) -> Iterator[bool]:
        for answer in answers:
            yield answer
            self.now_s += 1.0

    def watch(self, *answers: bool) -> list[float]:
        keep(cast("Mirror", self), self.changes(*answers), lambda: self.now_s)
        return self.rounds_at_s


def test_there_is_a_round_at_first_and_after_each_change() -> None:
    assert Scripted().watch(False, False, True, False, True) == [0.0, 2.0, 4.0]


def test_a_round_that_failed_is_tried_again_after_a_pause_however_much_changes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = Scripted(AWAY, AWAY).watch(False, *[True] * 5, *[False] * 10)
    assert made == [0.0, AGAIN_S, 2 * AGAIN_S]
    said = capsys.readouterr().err
    assert said.count("No fleet answers.") == 1
    assert said.endswith("Synchronised again.\n")

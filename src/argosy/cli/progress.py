"""How far long work has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from argosy.cli import output

LINE_EVERY_S = 5.0


class Progress(Protocol):
    def at(self, what: str, done: float, total: float) -> None:
        """`what` has come to `done` of `total`."""
        ...

    def tell(self, sentence: str) -> None:
        """Says something without disturbing the bar."""
        ...


class Lines:
    """A line when a stage begins or ends, and every LINE_EVERY_S in between, on standard error."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said_at_s = 0.0
        self._said = ""
        self._what = ""

    def at(self, what: str, done: float, total: float) -> None:
        text = f"{what}: {int(done)} of {int(total)}"
        due = what != self._what or done >= total or self._clock() - self._said_at_s >= LINE_EVERY_S
        if due and text != self._said:
            output.note(text)
            self._said, self._what, self._said_at_s = text, what, self._clock()

    def tell(self, sentence: str) -> None:
        output.note(sentence)


class Quiet:
    def at(self, what: str, done: float, total: float) -> None: ...

    def tell(self, sentence: str) -> None: ...


@contextmanager
def showing(quiet: bool = False) -> Iterator[Progress]:
    """The kind of progress that fits where the output goes."""
    if quiet:
        yield Quiet()
    elif not output.is_terminal():
        yield Lines()
    else:
        with _bar() as bar:
            yield bar


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich import progress as rich
    from rich.text import Text

    class Bar:
        def __init__(self) -> None:
            self.task: rich.TaskID | None = None
            self.what = ""

        def at(self, what: str, done: float, total: float) -> None:
            if self.task is None or what != self.what:
                self.task, self.what = shown.add_task(what, total=total), what
            shown.update(self.task, completed=done, total=total)

        def tell(self, sentence: str) -> None:
            shown.console.print(Text(output.one_line(sentence), style="dim"))

    columns = (rich.TextColumn("{task.description}"), rich.BarColumn(), rich.MofNCompleteColumn())
    with rich.Progress(*columns, rich.TimeElapsedColumn(), transient=True) as shown:
        yield Bar()

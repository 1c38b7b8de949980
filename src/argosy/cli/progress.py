"""Progress of long work: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from argosy.cli import output

LINE_EVERY_S = 5.0


class Progress(Protocol):
    def at(self, what: str, done: float, total: float, left_s: float | None = None) -> None:
        """Show that the stage `what` has reached `done` of `total` and needs about `left_s` more."""
        ...

    def tell(self, sentence: str) -> None:
        """Print a sentence without disturbing the bar."""
        ...


def duration(seconds: float) -> str:
    """Return a duration rounded as an estimate: `40 s`, `3 min`, `1 h 20 min`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


class Lines:
    """Progress as lines on standard error: when a stage begins or ends, and every LINE_EVERY_S in between."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said_at_s = 0.0
        self._said = ""
        self._what = ""

    def at(self, what: str, done: float, total: float, left_s: float | None = None) -> None:
        text = f"{what}: {int(done)} of {int(total)}"
        if left_s:
            text += f", about {duration(left_s)} left"
        due = what != self._what or done >= total or self._clock() - self._said_at_s >= LINE_EVERY_S
        if due and text != self._said:
            output.note(text)
            self._said, self._what, self._said_at_s = text, what, self._clock()

    def tell(self, sentence: str) -> None:
        output.note(sentence)


class Quiet:
    def at(self, what: str, done: float, total: float, left_s: float | None = None) -> None: ...

    def tell(self, sentence: str) -> None: ...


@contextmanager
def showing(quiet: bool = False) -> Iterator[Progress]:
    """Yield the kind of progress that suits the output: none, lines or a bar."""
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

        def at(self, what: str, done: float, total: float, left_s: float | None = None) -> None:
            if self.task is None or what != self.what:
                self.task, self.what = shown.add_task(output.one_line(what), total=total, left=""), what
            left = f"about {duration(left_s)} left" if left_s else ""
            shown.update(self.task, completed=done, total=total, left=left)

        def tell(self, sentence: str) -> None:
            shown.console.print(Text(output.one_line(sentence), style="dim"))

    columns = (rich.TextColumn("{task.description}", markup=False), rich.BarColumn(), rich.MofNCompleteColumn())
    left = rich.TextColumn("{task.fields[left]}", markup=False)
    with rich.Progress(*columns, rich.TimeElapsedColumn(), left, transient=True) as shown:
        yield Bar()

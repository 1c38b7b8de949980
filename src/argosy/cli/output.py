"""Output of commands: tables and styled text on a terminal, plain lines elsewhere, JSON on request."""

from __future__ import annotations

import datetime
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from argosy.cli.wrapping import cells_of, wrapped

if TYPE_CHECKING:
    from rich.console import Console

DASH = "–"
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
CONTROLS = frozenset(map(chr, (*range(0x20), *range(0x7F, 0xA0))))
INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e"  # soft hyphen, joiner, Arabic letter mark, fillers
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero width, directions, line separators, invisible operators
    "\u3164\ufeff\uffa0\ufff9-\ufffb"  # fillers, byte order mark, annotations
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # formats of scripts and of music
    "\U000e0000-\U000e0fff"  # tags and selectors
)
UNSAFE = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff{INVISIBLE}]")
"""Characters other than visible ones, spaces, tabs and line feeds. Lone surrogates stand for undecodable bytes."""


def is_terminal() -> bool:
    return sys.stdout.isatty()


def printable(text: str) -> str:
    """Return `text` without characters that control the terminal or hide parts of the text.

    Control characters are replaced. Invisible characters and those that change the direction of the text are shown as
    their escapes, so that two names that look alike can be told apart.
    """
    return UNSAFE.sub(lambda found: REPLACEMENT if found[0] in CONTROLS else _escape(found[0]), text)


def json_text(document: str) -> str:
    """Return a JSON document that parses to the same value, with unsafe characters escaped."""
    return UNSAFE.sub(lambda found: _escape(found[0]), document)


def _escape(character: str) -> str:
    """Return the character's JSON escape in ASCII: one `\\uXXXX`, or two beyond U+FFFF."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))


def one_line(text: str, limit: int | None = None) -> str:
    """Return `text` with its whitespace collapsed, cut at `limit` characters."""
    flat = " ".join(printable(text).split())
    return flat if limit is None or len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


def pages(first: int | None, last: int | None) -> str:
    """Return ` (p. 3)` or ` (pp. 3–4)`, or an empty string when there are no pages."""
    if first is None:
        return ""
    return f" (p. {first})" if last is None or last == first else f" (pp. {first}–{last})"


def line(text: str = "", *, color: str | None = None, bold: bool = False) -> None:
    """Print a line on standard output, coloured only on a terminal."""
    plain = wrapped(printable(text), sys.stdout)
    typer.echo(typer.style(plain, fg=color, bold=bold or None) if color or bold else plain)


def part(text: str) -> None:
    """Print a part of a line and flush it."""
    typer.echo(printable(text), nl=False)
    sys.stdout.flush()


def note(text: str) -> None:
    """Print a remark about the work, rather than its result, on standard error."""
    typer.echo(wrapped(printable(text), sys.stderr), err=True)


def error(sentence: str) -> None:
    typer.secho("error:", fg="red", bold=True, err=True, nl=False)
    typer.echo(wrapped(f"error: {one_line(sentence)}", sys.stderr).removeprefix("error:"), err=True)


def json(value: object) -> None:
    """Print `value` (Structs, plain values, or the bytes of a JSON document) as indented JSON."""
    import msgspec

    document = value if isinstance(value, bytes) else msgspec.json.encode(value)
    typer.echo(json_text(msgspec.json.format(document, indent=2).decode()))


def json_line(value: object) -> None:
    """Print `value` as JSON on one line. A string is printed as it is: it must be a line of JSON already."""
    import msgspec

    typer.echo(json_text(value if isinstance(value, str) else msgspec.json.encode(value).decode()))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their headings; without a terminal, as plain columns that are never cut.

    The last column may hold sentences. On a terminal too narrow for it, it is printed below each row.
    """
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(cells_of, column)) for column in zip(columns, *cells, strict=True)]
    if not is_terminal():
        for row in [[name.upper() for name in columns], *cells]:
            padded = (cell + " " * (width - cells_of(cell)) for cell, width in zip(row, widths, strict=True))
            typer.echo("  ".join(padded).rstrip())
        return
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout)
    room = console.width - sum(widths[:-1]) - COLUMN_GAP * (len(widths) - 1)
    below = len(columns) > 1 and room < min(widths[-1], READABLE_WIDTH)
    if below:
        shown = _shrunk(widths[:-1], console.width)
        if any(width < min(whole, LEAST_WIDTH) for width, whole in zip(shown, widths, strict=False)):
            _print_records(console, columns, cells)
            return
    else:
        shown = []
    limits: Sequence[int | None] = shown or [width if width <= NEVER_CUT_WIDTH else None for width in widths]

    def columned(part: Sequence[Sequence[str]], header: bool) -> Table:
        made = Table(box=None, pad_edge=False, padding=(0, COLUMN_GAP, 0, 0), header_style="bold", show_header=header)
        for name, width in zip(columns, limits, strict=False):
            made.add_column(name, overflow="fold", width=width)
        for row in part:
            made.add_row(*(Text(cell, style=STATUS_STYLES.get(cell, "")) for cell in row[: len(limits)]))
        return made

    if not below:
        console.print(columned(cells, header=True))
        return
    for number, row in enumerate(cells):
        console.print(columned([row], header=number == 0))
        if row[-1]:
            console.print(Padding(Text(row[-1], style="dim"), (0, 0, 0, 4)))


def _print_records(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print each row as a paragraph: its name, below it the other values with their headings, and its sentence."""
    from rich.padding import Padding
    from rich.text import Text

    for row in rows:
        console.print(Text(row[0], style="bold"))
        values = Text()
        for name, cell in zip(columns[1:-1], row[1:-1], strict=True):
            if cell and cell != DASH:
                values.append(" · " if values else "")
                values.append(f"{name} ", style="dim").append(cell, style=STATUS_STYLES.get(cell, ""))
        for text in (values, Text(row[-1], style="dim")):
            if text:
                console.print(Padding(text, (0, 0, 0, 4)))


def _shrunk(widths: list[int], room: int) -> list[int]:
    """Return the widths, with the widest reduced until all fit into `room`. The first one keeps its width."""
    shrunk = list(widths)
    while len(shrunk) > 1 and sum(shrunk) + COLUMN_GAP * (len(shrunk) - 1) > room and max(shrunk[1:]) > 1:
        widest = max(range(1, len(shrunk)), key=shrunk.__getitem__)
        shrunk[widest] -= 1
    return shrunk


COLUMN_GAP = 2
LEAST_WIDTH = 12
"""Width below which a column is not shrunk: on a narrower terminal each row becomes a paragraph."""
NEVER_CUT_WIDTH = 25
"""Width up to which a column is never folded: a user who copies a folded id gets a wrong one."""
READABLE_WIDTH = 40
STATUS_STYLES = {
    "HEALTHY": "green",
    "DEGRADED": "yellow",
    "UNHEALTHY": "red",
    "ok": "green",
    "warn": "yellow",
    "fail": "red",
    "indexed": "green",
    "failed": "red",
    "dead": "red",
}


def ago(wall_s: float | None, now_s: float) -> str:
    """Return how long ago a wall time was, in one unit, like `5 min`."""
    if wall_s is None:
        return DASH
    seconds = max(0.0, now_s - wall_s)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{seconds:.0f} s"


def moment(wall_s: float, *, milliseconds: bool = False) -> str:
    """Return a wall time on this machine's clock with its offset from UTC, like `2026-01-31 12:03:04 +0100`."""
    local = datetime.datetime.fromtimestamp(wall_s).astimezone()
    parts = f".{local.microsecond // 1000:03d}" if milliseconds else ""
    return f"{local:%Y-%m-%d %H:%M:%S}{parts} {local:%z}"


def quantity(count: int, noun: str) -> str:
    """Return a count with its noun: `1 document`, `2 documents`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def size(size_bytes: float) -> str:
    """Return a number of bytes in the largest unit that fits, like `64 MiB`."""
    for unit in ("B", "KiB", "MiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} GiB"

"""What commands print: a table or styled text on a terminal, plain lines elsewhere, JSON where asked for."""

from __future__ import annotations

import datetime
import re
import sys
from collections.abc import Sequence

import typer

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
"""Everything but visible characters, spaces, tabs and line feeds. Lone surrogates stand for bytes that are no text."""


def is_terminal() -> bool:
    return sys.stdout.isatty()


def printable(text: str) -> str:
    """`text` without what could drive the terminal or show something else than is there.

    Control characters are replaced. Characters that are invisible or turn the direction of the text are shown as their
    escapes, so that two names that look alike can be told apart.
    """
    return UNSAFE.sub(lambda found: REPLACEMENT if found[0] in CONTROLS else _escape(found[0]), text)


def json_text(document: str) -> str:
    """A JSON document that parses to the same value and that a terminal shows as it is."""
    return UNSAFE.sub(lambda found: _escape(found[0]), document)


def _escape(character: str) -> str:
    """The character as JSON writes it in ASCII: one `\\uXXXX`, or two for what is beyond U+FFFF."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))


def one_line(text: str, limit: int | None = None) -> str:
    """`text` with its whitespace collapsed, cut at `limit` characters."""
    flat = " ".join(printable(text).split())
    return flat if limit is None or len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


def pages(first: int | None, last: int | None) -> str:
    """` (p. 3)`, ` (pp. 3–4)`, or nothing where there are no pages."""
    if first is None:
        return ""
    return f" (p. {first})" if last is None or last == first else f" (pp. {first}–{last})"


def line(text: str = "", *, color: str | None = None, bold: bool = False) -> None:
    """One line on standard output, coloured on a terminal only."""
    plain = printable(text)
    typer.echo(typer.style(plain, fg=color, bold=bold or None) if color or bold else plain)


def part(text: str) -> None:
    """A piece of a line, shown at once."""
    typer.echo(printable(text), nl=False)
    sys.stdout.flush()


def note(text: str) -> None:
    """Something about the work rather than its result: on standard error."""
    typer.echo(printable(text), err=True)


def error(sentence: str) -> None:
    typer.secho("error:", fg="red", bold=True, err=True, nl=False)
    typer.echo(f" {one_line(sentence)}", err=True)


def json(value: object) -> None:
    """`value` (Structs, plain values, or the bytes of a JSON document) as indented JSON."""
    import msgspec

    document = value if isinstance(value, bytes) else msgspec.json.encode(value)
    typer.echo(json_text(msgspec.json.format(document, indent=2).decode()))


def json_line(value: object) -> None:
    """The same in one line; a string is a line that holds JSON already."""
    import msgspec

    typer.echo(json_text(value if isinstance(value, str) else msgspec.json.encode(value).decode()))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under their headings; without a terminal, plain columns that are never cut.

    On a terminal too narrow for the last column, which is where sentences stand, it goes below each row.
    """
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    if not is_terminal():
        for row in [[name.upper() for name in columns], *cells]:
            typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
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
    else:
        shown = [width if width <= NEVER_CUT_WIDTH else None for width in widths]

    def columned(part: Sequence[Sequence[str]], header: bool) -> Table:
        made = Table(box=None, pad_edge=False, padding=(0, COLUMN_GAP, 0, 0), header_style="bold", show_header=header)
        for name, width in zip(columns, shown, strict=False):
            made.add_column(name, overflow="fold", width=width)
        for row in part:
            made.add_row(*(Text(cell, style=STATUS_STYLES.get(cell, "")) for cell in row[: len(shown)]))
        return made

    if not below:
        console.print(columned(cells, header=True))
        return
    for number, row in enumerate(cells):
        console.print(columned([row], header=number == 0))
        if row[-1]:
            console.print(Padding(Text(row[-1], style="dim"), (0, 0, 0, 4)))


def _shrunk(widths: list[int], room: int) -> list[int | None]:
    """Narrower where they are widest, but for the first column, until they fit."""
    shrunk = list(widths)
    while len(shrunk) > 1 and sum(shrunk) + COLUMN_GAP * (len(shrunk) - 1) > room and max(shrunk[1:]) > 1:
        widest = max(range(1, len(shrunk)), key=shrunk.__getitem__)
        shrunk[widest] -= 1
    return [*shrunk]


COLUMN_GAP = 2
NEVER_CUT_WIDTH = 24
"""Ids are copied, and a copy of a folded one is wrong."""
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
    """How long ago a wall time was, in one unit."""
    if wall_s is None:
        return DASH
    seconds = max(0.0, now_s - wall_s)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{seconds:.0f} s"


def moment(wall_s: float) -> str:
    return datetime.datetime.fromtimestamp(wall_s).strftime("%Y-%m-%d %H:%M:%S")


def quantity(count: int, noun: str) -> str:
    """`1 document`, `2 documents`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def size(size_bytes: float) -> str:
    """A number of bytes in the unit that reads best."""
    for unit in ("B", "KiB", "MiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} GiB"

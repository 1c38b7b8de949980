"""Draw docs/images/terminal.svg: a real session with a fleet, as a picture for the README.

Run `make pictures`. The picture shows the real output of the commands on a terminal of 96 columns.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

from argosy.models.resolver import resolve

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "terminal.svg"
COLUMNS = 96
MODEL = "sentence-transformers/all-MiniLM-L6-v2"
HANDBOOK = """# Harbour handbook

## Opening hours

The harbour office opens at 07:00 and closes at 19:00.

## Berths

A berth for a boat of up to ten metres costs 31 euros a night.
"""
SESSION = (
    "argosy up --detach",
    "argosy add --wait handbook.md",
    'argosy ask "What does a berth cost?"',
    "argosy status | head -n 9",
)
"""The commands that the picture shows, in order."""

MOVES = re.compile(r"(\r|\n|\x1b\[2K|\x1b\[1A|\x1b\[\?25[lh])")

FORMAT = """<svg viewBox="0 0 {terminal_width} {terminal_height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>A terminal: argosy up, add, ask and status</title>
<style>.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {char_height}px;
line-height: {line_height}px; white-space: pre; }} {styles}</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
<rect fill="#1f2430" width="100%" height="100%" rx="8"/>
<g transform="translate(12, 10)">{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""
"""Frame around the drawing of rich, without its web font, so that the picture loads nothing from other servers."""


def on_a_terminal(command: str, folder: Path) -> str:
    """Return the output of the command on a terminal. Raises: SystemExit when the command fails."""
    pid, terminal = pty.fork()
    if pid == 0:  # the child
        os.chdir(folder)
        os.execv("/bin/bash", ["bash", "-c", f'argosy() {{ "{sys.executable}" -m argosy.cli "$@"; }}; {command}'])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    pieces = []
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # the command has ended
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(terminal)
    said = b"".join(pieces).decode()
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        sys.exit(f"{command} failed:\n{said}")
    return said


def last_state(said: str) -> str:
    """Return the lines left on the terminal at the end, without overwritten and erased text."""
    lines, row = [""], 0
    for piece in MOVES.split(said.replace("\r\n", "\n")):
        if piece == "\n":
            row += 1
            if row == len(lines):
                lines.append("")
        elif piece in ("\r", "\x1b[2K"):  # the following text replaces the line
            lines[row] = ""
        elif piece == "\x1b[1A":
            row -= 1
        elif piece not in ("\x1b[?25l", "\x1b[?25h"):  # hide and show the cursor
            lines[row] += piece
    return "\n".join(lines).strip("\n")


def main() -> None:
    console = Console(record=True, width=COLUMNS, file=Path(os.devnull).open("w"), force_terminal=True)  # noqa: SIM115
    with tempfile.TemporaryDirectory(prefix="argosy-picture-") as home:
        folder = Path(home)
        (folder / "handbook.md").write_text(HANDBOOK)
        os.environ["TERM"] = "xterm-256color"
        os.environ["PYTHONPATH"] = str(ROOT / "src")
        for name in ("ARGOSY_URL", "ARGOSY_ADMIN_URL", "ARGOSY_DATA_DIR", "NO_COLOR"):
            os.environ.pop(name, None)
        resolve(MODEL, fetch=True)  # the picture shows a machine that has the model already
        try:
            for command in SESSION:
                shown = last_state(on_a_terminal(command, folder)).replace(str(folder), "~/harbour")
                console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
                console.print(Text.from_ansi(shown), end="\n\n")
        finally:
            on_a_terminal("argosy down", folder)
    PICTURE.write_text(console.export_svg(code_format=FORMAT, unique_id="argosy", font_aspect_ratio=0.61))


if __name__ == "__main__":
    main()

"""`make demo`: start a fleet, add this project's documentation, and ask one question.

The fleet runs until Ctrl-C; with --exit it stops after the answer.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ARGOSY = [sys.executable, "-m", "argosy.cli"]
QUESTION = "What happens to requests when the controller is killed?"


def say(text: str) -> None:
    sys.stdout.write(f"\n\033[1m{text}\033[0m\n" if sys.stdout.isatty() else f"\n{text}\n")
    sys.stdout.flush()


def port_or_free(wanted: int) -> int:
    """Return `wanted` if the port is free, else 0, which lets the fleet pick a port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--exit", action="store_true", help="stop the fleet after the answer")
    options.add_argument("--question", default=QUESTION)
    options.add_argument("--port", type=int, default=port_or_free(8080))
    options.add_argument("--admin-port", type=int, default=port_or_free(8081))
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="argosy-demo-") as data_dir:
        os.environ["ARGOSY_DATA_DIR"] = data_dir
        for name in ("ARGOSY_URL", "ARGOSY_ADMIN_URL"):
            os.environ.pop(name, None)
        try:
            return demo(chosen)
        except KeyboardInterrupt:
            return 0
        finally:
            say("Stopping the fleet")
            subprocess.run([*ARGOSY, "down"], check=False)


def demo(chosen: argparse.Namespace) -> int:
    say("1. Starting six services in the order of their dependencies")
    ports = [f"--port={chosen.port}", f"--admin-port={chosen.admin_port}"]
    if subprocess.run([*ARGOSY, "up", "--detach", *ports], cwd=ROOT, check=False).returncode:
        return 1
    say("2. Adding this project's own documentation")
    if subprocess.run([*ARGOSY, "add", "--wait", "docs", "README.md"], cwd=ROOT, check=False).returncode:
        return 1
    say(f"3. Asking: {chosen.question}")
    if subprocess.run([*ARGOSY, "ask", chosen.question], cwd=ROOT, check=False).returncode:
        return 1
    if not chosen.exit:
        folder = os.environ["ARGOSY_DATA_DIR"]
        say(
            f"The fleet is running. Ask a question: .venv/bin/argosy ask --data-dir {folder} QUESTION. "
            "Stop the fleet with Ctrl-C."
        )
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())

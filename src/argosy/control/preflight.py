"""What must be true before anything is started. Each failure is one sentence with its remedy."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import socket
from pathlib import Path

from argosy.contracts.errors import StartError
from argosy.serving import runfile

TOKEN_BYTES = 32
UNASSIGNED_PORTS = range(20_000, 32_000)
"""Below what Linux hands out by itself (32768 to 60999)."""
PORTS_TRIED = 20
MARKS = ("token", "run", "logs", "control.db")
"""What is in a folder that a fleet keeps its data in."""


def prepare_data_dir(data_dir: Path) -> None:
    """Creates the folder (0700), or checks that it is ours, writable and a fleet's or empty. Raises: StartError."""
    is_new = not data_dir.exists()
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = data_dir.stat().st_uid
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StartError(f"data_dir {data_dir} cannot be created: {reason}. Choose another with --data-dir.") from error
    if owner != os.geteuid():
        raise StartError(
            f"data_dir {data_dir} belongs to another user (uid {owner}). Run as that user, or choose another "
            "with --data-dir."
        )
    if not os.access(data_dir, os.W_OK | os.X_OK) or not _can_write(data_dir):
        raise StartError(f"data_dir {data_dir} is not writable. Give yourself write access, or use --data-dir.")
    if is_new or not any(data_dir.iterdir()):
        data_dir.chmod(0o700)
    elif not any((data_dir / mark).exists() for mark in MARKS):
        raise StartError(
            f"data_dir {data_dir} holds files that are not a fleet's. Choose an empty or a new folder with --data-dir."
        )


def _can_write(folder: Path) -> bool:
    probe = folder / f".probe-{os.getpid()}"
    try:
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError:
        return False
    return True


def fleet_token(data_dir: Path) -> str:
    """The fleet's token, made on first use and kept in `data_dir/token` (0600)."""
    path = data_dir / "token"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        token = secrets.token_hex(TOKEN_BYTES)
        runfile.write_private(path, token.encode())
        return token


def free_port(host: str, port: int, option: str) -> int:
    """`port`, or a free one when it is 0. Raises: StartError when somebody listens there already.

    Whoever is to listen there does so seconds later. A port that the system hands out by itself could be another
    process's by then, so the free one is taken from below those.
    """
    for candidate in random.sample(UNASSIGNED_PORTS, PORTS_TRIED) if port == 0 else ():
        with contextlib.suppress(StartError):
            return _opened(host, candidate, option)
    return _opened(host, port, option)


def _opened(host: str, port: int, option: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            raise StartError(
                f"Port {port} on {host} cannot be opened ({error.strerror}). Stop what uses it, or choose another "
                f"with {option}."
            ) from error
        return int(probe.getsockname()[1])

"""Record and lock of the controller, `run/controller.json` and `run/controller.lock`, by which tools find a fleet."""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec

from argosy.serving import private_file, runfile


class ControllerRecord(msgspec.Struct):
    """Record of a running controller. It stays when the controller dies, so that a surviving gateway can be found."""

    pid: int
    admin_url: str
    gateway_url: str
    started_at: float
    version: str
    fleet_json: str = "{}"
    """Settings of the fleet, as JSON."""
    start_command: str = ""
    """Command line that starts the same fleet again; empty when it is not known."""


def record_path(data_dir: Path) -> Path:
    """Return the path of the record."""
    return runfile.controller_path(data_dir / "run")


def lock_path(data_dir: Path) -> Path:
    """Return the path of the lock."""
    return data_dir / "run" / "controller.lock"


def read(data_dir: Path) -> ControllerRecord | None:
    """Return the record of the latest controller, alive or not; None when there is no readable record.

    Raises: NotPrivate when another user may have written the file.
    """
    try:
        return msgspec.json.decode(private_file.read(record_path(data_dir)), type=ControllerRecord)
    except (OSError, msgspec.DecodeError):
        return None


def write(data_dir: Path, record: ControllerRecord) -> None:
    """Write the record, readable by its owner only. Raises: OSError."""
    runfile.write_private(record_path(data_dir), msgspec.json.encode(record))


def is_running(data_dir: Path) -> bool:
    """Return whether a controller holds the lock of the folder now."""
    return runfile.is_held(lock_path(data_dir))


def already_running(data_dir: Path) -> str:
    """Return the error message for starting a second controller on the folder."""
    record = read(data_dir)
    pid = f" (pid {record.pid})" if record else ""
    folder = shlex.quote(str(data_dir))
    return (
        f"A fleet is already running on {data_dir}{pid}. See it with: argosy status --data-dir {folder}. "
        f"Stop it with: argosy down --data-dir {folder}"
    )

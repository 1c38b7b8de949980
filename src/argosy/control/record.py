"""`run/controller.json` and `run/controller.lock`: how tools find the fleet that keeps its data in a folder."""

from __future__ import annotations

from pathlib import Path

import msgspec

from argosy.serving import private_file, runfile


class ControllerRecord(msgspec.Struct):
    """Left behind when the controller dies, so that a gateway that goes on serving can still be found."""

    pid: int
    admin_url: str
    gateway_url: str
    started_at: float
    version: str
    fleet_json: str = "{}"
    """The settings the fleet runs with."""


def record_path(data_dir: Path) -> Path:
    return runfile.controller_path(data_dir / "run")


def lock_path(data_dir: Path) -> Path:
    return data_dir / "run" / "controller.lock"


def read(data_dir: Path) -> ControllerRecord | None:
    """The record of the last controller, alive or not; None where there is none that can be read.

    Raises: NotPrivate, another user may have written it.
    """
    try:
        return msgspec.json.decode(private_file.read(record_path(data_dir)), type=ControllerRecord)
    except (OSError, msgspec.DecodeError):
        return None


def write(data_dir: Path, record: ControllerRecord) -> None:
    runfile.write_private(record_path(data_dir), msgspec.json.encode(record))


def is_running(data_dir: Path) -> bool:
    """Whether a controller holds the folder now."""
    return runfile.is_held(lock_path(data_dir))


def already_running(data_dir: Path) -> str:
    """The sentence for somebody who starts a second one."""
    record = read(data_dir)
    pid = f" (pid {record.pid})" if record else ""
    return f"A fleet is already running on {data_dir}{pid}. See it with: argosy status. Stop it with: argosy down."

"""`run/controller.json`: how commands find the fleet that a controller started."""

from __future__ import annotations

from pathlib import Path

import msgspec

FILE_NAME = "controller.json"


class ControllerRecord(msgspec.Struct):
    """Left behind when the controller dies, so that a gateway that goes on serving can still be found."""

    pid: int
    admin_url: str
    gateway_url: str
    started_at: float
    version: str


def read(run_dir: Path) -> ControllerRecord | None:
    """The record in `run_dir`; None where there is none, or none that can be read."""
    try:
        return msgspec.json.decode((run_dir / FILE_NAME).read_bytes(), type=ControllerRecord)
    except (OSError, msgspec.DecodeError):
        return None

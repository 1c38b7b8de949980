"""Address of the controller, read from its record in `data_dir/run` because a restart may change its port."""

from __future__ import annotations

from pathlib import Path

import msgspec

from argosy.contracts.errors import StartError
from argosy.serving import private_file, runfile


class _Record(msgspec.Struct):
    """The part of `run/controller.json` that callers of the controller need."""

    admin_url: str


class ControllerAddress:
    """Lookup of the controller's present address."""

    def __init__(self, given: str, run_dir: Path | None = None) -> None:
        """Create the lookup; `given` is the address to use when the record cannot be read."""
        self._given = given
        self._path = None if run_dir is None else runfile.controller_path(run_dir)

    def url(self) -> str:
        """Return the base URL of the controller; the record is read on each call."""
        if self._path is None:
            return self._given
        try:
            return msgspec.json.decode(private_file.read(self._path), type=_Record).admin_url
        except (OSError, StartError, msgspec.DecodeError):
            return self._given

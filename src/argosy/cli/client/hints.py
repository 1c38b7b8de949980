"""Commands that messages name. Each one works when it is pasted into a shell, in any folder."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

VARIABLES = {"--url": "ARGOSY_URL", "--admin-url": "ARGOSY_ADMIN_URL", "--data-dir": "ARGOSY_DATA_DIR"}
LOCAL = ("up", "down", "render")
"""Commands that find a fleet by its data folder only."""

_given: dict[str, str] = {}
"""Options with which this command was told where its fleet is."""


def remember(url: str | None, admin_url: str | None, data_dir: Path | None) -> None:
    """Record how the user named the fleet. Values that the environment supplies need not be repeated."""
    _given.clear()
    options = {"--url": url, "--admin-url": admin_url, "--data-dir": data_dir}
    for option, value in options.items():
        if value is not None and str(value) != os.environ.get(VARIABLES[option]):
            _given[option] = str(value.expanduser().absolute()) if isinstance(value, Path) else value


def command(words: str, data_dir: Path | None = None) -> str:
    """Return `argosy WORDS` with the options that lead to the same fleet.

    With `data_dir`, the command names this folder and works in every folder.
    """
    options = dict(_given) if data_dir is None else {"--data-dir": str(data_dir.absolute())}
    if words.partition(" ")[0] in LOCAL:
        options = {name: value for name, value in options.items() if name == "--data-dir"}
    return shlex.join(["argosy", *shlex.split(words), *(part for option in options.items() for part in option)])


@dataclass(frozen=True, slots=True)
class StartOptions:
    """Options of `argosy up` that describe a fleet; `argosy render` takes the same ones."""

    fleet_file: Path | None = None
    settings: Sequence[str] = ()
    values: Mapping[str, object] | None = None
    """Other options and their values; None values are left out."""

    def words(self, data_dir: Path) -> list[str]:
        """Return the arguments that start the same fleet from any folder."""
        file = [] if self.fleet_file is None else [str(self.fleet_file.absolute())]
        others = {**(self.values or {}), "--data-dir": data_dir.absolute()}
        return [
            *file,
            *(part for option, value in others.items() if value is not None for part in (option, str(value))),
            *(part for setting in self.settings for part in ("--set", setting)),
        ]

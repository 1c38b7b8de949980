"""`argosy render`: write files for service managers. Only a systemd user unit for the controller exists so far."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from argosy.cli import output
from argosy.cli.client.hints import StartOptions
from argosy.cli.client.locate import DataDir
from argosy.cli.up import AdminPort, Environment, FleetFile, Platform, Port, Sets, described

UNIT = "argosy.service"
STOP_TIMEOUT_S = 120
SETTINGS = ("ARGOSY_FLEET__", "ARGOSY_SERVICES__", "ARGOSY_MODEL_DIR")
"""Beginnings of variables that hold settings, never secrets."""
PLAIN = re.compile(r"[A-Za-z0-9_@+=:,./-]+")


def render(
    target: Annotated[str, typer.Argument(help="The service manager: systemd.")],
    fleet_file: FleetFile = None,
    folder: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the unit into this folder instead of printing it.")
    ] = None,
    platform: Platform = None,
    port: Port = None,
    admin_port: AdminPort = None,
    data_dir: DataDir = None,
    settings: Sets = None,
    environment: Environment = None,
) -> None:
    """Print a systemd user unit that starts the same fleet as `argosy up` with these options.

    Settings in variables of the present environment become part of the unit. Keys like OPENAI_API_KEY do not.
    """
    if target != "systemd":
        raise typer.BadParameter(f"{target} is not supported; use systemd.", param_hint="TARGET")
    fleet, options = described(fleet_file, data_dir, settings, port, admin_port, environment, platform)
    variables = {name: value for name, value in sorted(os.environ.items()) if name.startswith(SETTINGS)}
    unit = systemd_unit(options, fleet.fleet.data_dir.absolute(), variables)
    if folder is None:
        output.part(unit)
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / UNIT).write_text(unit)
    output.line(f"Wrote {folder / UNIT}. Put it into ~/.config/systemd/user, then:")
    output.line(f"systemctl --user enable --now {UNIT}; loginctl enable-linger")


def systemd_unit(options: StartOptions, data_dir: Path, variables: Mapping[str, str]) -> str:
    """Return the text of the unit. All its paths are absolute.

    With KillMode=process, replicas keep serving when the controller dies, and the next controller adopts them.
    """
    command = [sys.executable, "-m", "argosy.cli", "up", *options.words(data_dir)]
    folder = Path.cwd() if options.fleet_file is None else options.fleet_file.absolute().parent
    environment = "".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in variables.items())
    return f"""[Unit]
Description=Argosy fleet controller
After=network.target

[Service]
Type=exec
{environment}ExecStart={_command_line(command)}
WorkingDirectory={str(folder).replace("%", "%%")}
Restart=on-failure
RestartSec=1
KillMode=process
TimeoutStopSec={STOP_TIMEOUT_S}

[Install]
WantedBy=default.target
"""


def _command_line(words: Sequence[str]) -> str:
    return " ".join(_quoted(word).replace("$", "$$") for word in words)


def _quoted(word: str) -> str:
    """Return the word for systemd, which expands specifiers (%) even inside quotes."""
    if PLAIN.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("\n", "\\n")
    return f'"{escaped}"'


def register(app: typer.Typer) -> None:
    app.command()(render)

"""`argosy render`: write files for service managers. Only a systemd user unit for the controller exists so far."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from argosy.cli import output
from argosy.cli.client.locate import default_data_dir

UNIT = "argosy.service"
STOP_TIMEOUT_S = 120


def render(
    target: Annotated[str, typer.Argument(help="The service manager: systemd.")],
    fleet_file: Annotated[Path | None, typer.Argument(metavar="[FLEET.toml]", help="The fleet file.")] = None,
    folder: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the unit into this folder instead of printing it.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="The fleet's data folder.")] = None,
) -> None:
    """Print a systemd user unit that starts the controller at boot."""
    if target != "systemd":
        raise typer.BadParameter(f"{target} is not supported; use systemd.", param_hint="TARGET")
    unit = systemd_unit(fleet_file, (data_dir or default_data_dir()).expanduser().absolute())
    if folder is None:
        output.part(unit)
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / UNIT).write_text(unit)
    output.line(f"Wrote {folder / UNIT}. Put it into ~/.config/systemd/user, then:")
    output.line(f"systemctl --user enable --now {UNIT}; loginctl enable-linger")


def systemd_unit(fleet_file: Path | None, data_dir: Path) -> str:
    """Return the text of the unit.

    With KillMode=process, replicas keep serving when the controller dies, and the next controller adopts them.
    """
    command = [sys.executable, "-m", "argosy.cli", "up", f"--data-dir={data_dir}"]
    if fleet_file is not None:
        command.insert(4, str(fleet_file.absolute()))
    return f"""[Unit]
Description=Argosy fleet controller
After=network.target

[Service]
Type=exec
ExecStart={shlex.join(command)}
WorkingDirectory={fleet_file.absolute().parent if fleet_file is not None else Path.cwd()}
Restart=on-failure
RestartSec=1
KillMode=process
TimeoutStopSec={STOP_TIMEOUT_S}

[Install]
WantedBy=default.target
"""


def register(app: typer.Typer) -> None:
    app.command()(render)

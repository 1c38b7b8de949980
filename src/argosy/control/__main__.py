"""Controller in the background: settings as JSON on standard input, logs on standard output.

The only argument is the command line that starts the same fleet again.
"""

from __future__ import annotations

import sys

import uvloop

from argosy.config.models import Fleet
from argosy.contracts.errors import ArgosyError
from argosy.control.main import run
from argosy.telemetry import logs
from argosy.telemetry.log_output import Rotation

if __name__ == "__main__":
    settings = Fleet.model_validate_json(sys.stdin.buffer.read())
    logs.configure(
        "controller",
        sink=settings.fleet.data_dir.absolute() / "logs" / "controller.log",
        rotation=Rotation(settings.fleet.log_file_bytes, settings.fleet.log_total_bytes),
    )
    try:
        uvloop.run(run(settings, start_command="".join(sys.argv[1:2])))
    except ArgosyError as error:
        sys.exit(error.message)

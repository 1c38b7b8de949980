"""A controller in the background, in a session of its own. It outlives the command unless the command stops it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from argosy.cli.client.admin import start_report
from argosy.cli.client.hints import command
from argosy.config.models import Fleet
from argosy.contracts.errors import ArgosyError, StartError
from argosy.contracts.fleet import StartReport
from argosy.control import record as controller_record
from argosy.control.preflight import explained, make_parts, prepare_data_dir
from argosy.control.record import ControllerRecord

POLL_S = 0.1
START_MARGIN_S = 30.0
STOP_MARGIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Background:
    """Controller that this command started."""

    fleet: Fleet
    process: subprocess.Popen[bytes]
    errors: IO[bytes]

    @property
    def data_dir(self) -> Path:
        return self.fleet.fleet.data_dir.absolute()

    def wait(self) -> tuple[StartReport, ControllerRecord]:
        """Wait until the start is finished, and return its report and the controller's record.

        Raises: StartError with the controller's own reason when the controller ends, or when it takes too long.
        """
        longest_s = sum(s.start_timeout_s for s in self.fleet.services.by_name().values()) + START_MARGIN_S
        deadline_s = time.monotonic() + longest_s
        while time.monotonic() < deadline_s:
            if self.process.poll() is not None:
                raise StartError(self._reason())
            record = controller_record.read(self.data_dir)
            if record is not None and record.pid == self.process.pid:
                try:
                    report = asyncio.run(start_report(record.admin_url, self.data_dir))
                except ArgosyError:
                    report = None
                if report is not None and report.finished:
                    return report, record
            time.sleep(POLL_S)
        see = command("status", self.data_dir)
        raise StartError(f"The fleet had not started after {longest_s:.0f} s. See its state with: {see}")

    def stop(self) -> None:
        """Stop the fleet and wait for its end. Does nothing when it has ended.

        Raises: StartError when it does not end in time.
        """
        longest_s = sum(s.drain_timeout_s for s in self.fleet.services.by_name().values()) + STOP_MARGIN_S
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(longest_s)
        except subprocess.TimeoutExpired as error:
            raise StartError(
                f"The controller (pid {self.process.pid}) did not end within {longest_s:.0f} s. Stop it with: "
                f"{command('down', self.data_dir)}"
            ) from error

    def _reason(self) -> str:
        self.errors.seek(0)
        reason = self.errors.read().decode(errors="replace").strip().splitlines()
        see = command("logs controller", self.data_dir)
        return reason[-1] if reason else f"The controller ended immediately; see: {see}"


def spawn(fleet: Fleet, start_command: str = "") -> Background:
    """Start a controller and return at once. `start_command` is kept in its record.

    Raises: StartError when a fleet runs on the data folder already, or the folder cannot be used.
    """
    data_dir = fleet.fleet.data_dir.absolute()
    prepare_data_dir(data_dir)
    make_parts(data_dir)
    if controller_record.is_running(data_dir):
        raise StartError(controller_record.already_running(data_dir))
    with explained(data_dir):
        log = os.open(data_dir / "logs" / "controller.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe would break: the controller outlives this command
    process = subprocess.Popen(
        [sys.executable, "-m", "argosy.control", start_command],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=errors,
        start_new_session=True,
    )
    os.close(log)
    assert process.stdin is not None
    process.stdin.write(fleet.model_dump_json().encode())
    process.stdin.close()
    return Background(fleet, process, errors)

"""A fleet for one evaluation: its own folder and free ports, stopped and deleted afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from argosy.cli import output
from argosy.cli.background import spawn
from argosy.cli.client.locate import FleetAddress
from argosy.cli.up import fetch_model
from argosy.config.loader import load
from argosy.contracts.errors import StartError
from argosy.contracts.fleet import StartOutcome


@contextlib.contextmanager
def temporary_fleet(settings: Sequence[str], tell: bool) -> Iterator[FleetAddress]:
    """Start a fleet with the settings of argosy.toml here, changed by `settings`; yield its address, and stop it.

    It is stopped after Ctrl-C too. Raises: StartError when one of its services does not start; ConfigError.
    """
    folder = Path(tempfile.mkdtemp(prefix="argosy-eval-"))
    try:
        own = {"fleet.port": 0, "fleet.admin_port": 0, "fleet.data_dir": folder / "data"}
        fleet = load(None, os.environ, settings, own)
        fetch_model(fleet)
        if tell:
            output.note("Starting a temporary fleet; it is stopped and deleted afterwards.")
        background = spawn(fleet)
        try:
            report, record = background.wait()
            for entry in report.services:
                if entry.outcome is not StartOutcome.STARTED:
                    raise StartError(f"The temporary fleet's {entry.service} did not start: {entry.error}")
            yield FleetAddress(record.gateway_url, record.admin_url, folder / "data")
        finally:
            with undisturbed():
                background.stop()
    finally:
        with undisturbed():
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let cleaning up finish: a second Ctrl-C has no effect meanwhile."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Make SIGTERM end the work as Ctrl-C does, so that scratch collections and temporary fleets are removed."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

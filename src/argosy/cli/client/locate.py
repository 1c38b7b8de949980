"""Address of the fleet: from a flag, else a variable, else the fleet running from data_dir, else the default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from argosy.cli.client.hints import remember

if TYPE_CHECKING:
    from argosy.control.record import ControllerRecord

DEFAULT_URL = "http://127.0.0.1:8080"
DEFAULT_ADMIN_URL = "http://127.0.0.1:8081"
DEFAULT_DATA_DIR = Path("argosy-data")
CONTROLLER_LOCK = "controller.lock"
FLEET_FILE = Path("argosy.toml")

Url = Annotated[str | None, typer.Option("--url", envvar="ARGOSY_URL", help="The gateway's address.")]
AdminUrl = Annotated[
    str | None, typer.Option("--admin-url", envvar="ARGOSY_ADMIN_URL", help="The admin API's address.")
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", envvar="ARGOSY_DATA_DIR", help=f"The fleet's data folder (default: {DEFAULT_DATA_DIR})."
    ),
]


@dataclass(frozen=True, slots=True)
class FleetAddress:
    """Addresses and data folder of a fleet. Addresses have no trailing slash."""

    url: str
    admin_url: str
    data_dir: Path

    @property
    def run_dir(self) -> Path:
        return self.data_dir / "run"

    def token(self) -> str | None:
        """Return the fleet's token, or None when there is no token file.

        Raises: Forbidden when the file cannot be read; StartError when it is not a file that this user's fleet made.
        """
        from argosy.contracts.errors import Forbidden
        from argosy.serving import token_file

        path = self.data_dir / token_file.NAME
        try:
            return token_file.read(self.data_dir)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Forbidden(
                f"{path} cannot be read: {error.strerror}. Run this command as the user who started the fleet."
            ) from error

    def controller_alive(self) -> bool:
        return _held(self.run_dir / CONTROLLER_LOCK)

    def live_replicas(self) -> list[str]:
        """Return the ids of replicas whose process runs, with or without a controller."""
        locks = sorted(self.run_dir.glob("*.lock"))
        return [lock.stem for lock in locks if lock.name != CONTROLLER_LOCK and _held(lock)]

    def start_command(self) -> str:
        """Return the command that starts this fleet: the one of its last start, if it is known."""
        from argosy.cli.client.hints import command

        record = self.record()
        return (record.start_command if record else "") or command("up", self.data_dir)

    def record(self) -> ControllerRecord | None:
        """Return the record of the last controller in this folder, running or not."""
        from argosy.control import record

        return record.read(self.data_dir)


def locate(url: str | None, admin_url: str | None, data_dir: Path | None) -> FleetAddress:
    """Return the fleet that the three options name. Raises: InvalidRequest when an address is not valid."""
    remember(url, admin_url, data_dir)
    data_dir = (data_dir or default_data_dir()).expanduser().absolute()
    found = None if url and admin_url else _running(data_dir)
    return FleetAddress(
        url=_checked(url or (found.gateway_url if found else DEFAULT_URL), "--url"),
        admin_url=_checked(admin_url or (found.admin_url if found else DEFAULT_ADMIN_URL), "--admin-url"),
        data_dir=data_dir,
    )


def default_data_dir() -> Path:
    """Return `fleet.data_dir` from the environment, else from `argosy.toml` here, else DEFAULT_DATA_DIR.

    Only this key of the file is read. `argosy up` checks the whole file.
    """
    import os
    import tomllib

    if named := os.environ.get("ARGOSY_FLEET__DATA_DIR"):
        return Path(named)
    try:
        with FLEET_FILE.open("rb") as file:
            fleet = tomllib.load(file).get("fleet")
    except (OSError, ValueError):
        return DEFAULT_DATA_DIR
    named = fleet.get("data_dir") if isinstance(fleet, dict) else None
    return Path(named) if isinstance(named, str) else DEFAULT_DATA_DIR


def _running(data_dir: Path) -> ControllerRecord | None:
    """Return the record if the controller or one of its replicas runs: a gateway outlives its controller."""
    here = FleetAddress("", "", data_dir)
    record = here.record()
    return record if record and (here.controller_alive() or here.live_replicas()) else None


def _held(lock: Path) -> bool:
    from argosy.serving import runfile

    try:
        return runfile.is_held(lock)
    except OSError:  # the lock belongs to another user's fleet, whose state cannot be read
        return False


def _checked(url: str, option: str) -> str:
    from urllib.parse import urlsplit

    from argosy.contracts.errors import InvalidRequest

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InvalidRequest(f"{option} {url} is not an address; write it like {DEFAULT_URL}.")
    return url.rstrip("/")

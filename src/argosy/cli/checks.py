"""Checks of `argosy doctor`. Each check is one function that changes nothing and never prints a secret."""

from __future__ import annotations

import enum
import os
import platform
import resource
import shutil
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import psutil

from argosy.cli import output
from argosy.cli.client.hints import command
from argosy.cli.client.locate import FleetAddress, locate
from argosy.config.loader import load
from argosy.config.models import Fleet
from argosy.contracts.errors import ArgosyError, ConfigError
from argosy.serving import private_file
from argosy.serving.descriptors import room_needed

LEAST_PYTHON = (3, 11)
LEAST_MEMORY_BYTES = 2 * 2**30
LEAST_DISK_BYTES = 1 * 2**30
WANTED_DISK_BYTES = 5 * 2**30


class Verdict(enum.StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct):
    """Result of one check. `remedy` is empty when there is nothing to do."""

    name: str
    outcome: Verdict
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Examined:
    """Input of the checks. `settings` is None when the settings are invalid; `config_error` then says why."""

    fleet: FleetAddress
    settings: Fleet | None
    config_error: str
    environ: Mapping[str, str]

    @property
    def running(self) -> bool:
        return self.fleet.controller_alive() or bool(self.fleet.live_replicas())


def examine(
    file: Path | None,
    url: str | None = None,
    admin_url: str | None = None,
    data_dir: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> list[Finding]:
    """Check the fleet that the flags name, or else the fleet that the settings describe."""
    try:
        settings, wrong = load(file, environ), ""
    except ConfigError as error:
        settings, wrong = None, error.message
    if settings is not None:
        data_dir = data_dir or settings.fleet.data_dir
    examined = Examined(locate(url, admin_url, data_dir), settings, wrong, environ)
    if settings is not None and not examined.running:
        host = settings.fleet.host
        base = f"http://[{host}]" if ":" in host else f"http://{host}"
        fleet = FleetAddress(
            url or f"{base}:{settings.fleet.port}",
            admin_url or f"{base}:{settings.fleet.admin_port}",
            examined.fleet.data_dir,
        )
        examined = replace(examined, fleet=fleet)
    return [finding for check in CHECKS for finding in check(examined)]


def check_python(examined: Examined) -> list[Finding]:
    version = platform.python_version()
    if sys.version_info < LEAST_PYTHON:
        return [Finding("python", Verdict.FAIL, version, "Install Python 3.11 or newer.")]
    return [Finding("python", Verdict.OK, version)]


def check_platform(examined: Examined) -> list[Finding]:
    found = f"{platform.system()} {platform.machine()}"
    if platform.system() == "Linux":
        return [Finding("platform", Verdict.OK, found)]
    return [Finding("platform", Verdict.WARN, found, "Argosy is tested on Linux; run it there or in a container.")]


def check_cores(examined: Examined) -> list[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < 2:
        return [Finding("cores", Verdict.WARN, str(cores), "Use 2 or more cores, or indexing slows down answers.")]
    return [Finding("cores", Verdict.OK, str(cores))]


def check_memory(examined: Examined) -> list[Finding]:
    memory = psutil.virtual_memory()
    found = f"{output.size(memory.available)} free of {output.size(memory.total)}"
    if memory.available < LEAST_MEMORY_BYTES:
        remedy = f"Free some memory: a fleet needs about {output.size(LEAST_MEMORY_BYTES)}."
        return [Finding("memory", Verdict.WARN, found, remedy)]
    return [Finding("memory", Verdict.OK, found)]


def check_open_files(examined: Examined) -> list[Finding]:
    """Compare the limit on open files, up to which each process raises its own, with the connections it may hold."""
    services = (examined.settings or Fleet()).services.by_name().values()
    needed = max(room_needed(service.max_connections) for service in services)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        return [Finding("open files", Verdict.OK, "no limit")]
    found = f"{hard} for each process (nofile)"
    if hard < needed:
        remedy = (
            f"Raise the limit to {needed} (ulimit -Hn {needed}, or LimitNOFILE={needed} in the systemd unit), or lower "
            "services.NAME.max_connections; otherwise connections are refused earlier."
        )
        return [Finding("open files", Verdict.WARN, found, remedy)]
    return [Finding("open files", Verdict.OK, found)]


def check_config(examined: Examined) -> list[Finding]:
    if examined.settings is None:
        return [Finding("fleet file", Verdict.FAIL, examined.config_error, "Correct the fleet file or the variable.")]
    return [Finding("fleet file", Verdict.OK, f"settings of fleet {examined.settings.fleet.name} are valid")]


def check_data_dir(examined: Examined) -> list[Finding]:
    folder = examined.fleet.data_dir
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if not existing.is_dir():
        return [Finding("data_dir", Verdict.FAIL, f"{existing} is not a folder", "Choose another with --data-dir.")]
    owner = existing.stat().st_uid
    if folder.exists() and owner != os.geteuid():
        found = f"{folder} belongs to another user (uid {owner})"
        return [Finding("data_dir", Verdict.FAIL, found, "Run as that user, or choose another with --data-dir.")]
    if not os.access(existing, os.W_OK | os.X_OK):
        remedy = "Give yourself write access, or choose another with --data-dir."
        return [Finding("data_dir", Verdict.FAIL, f"{existing} is not writable", remedy)]
    try:
        for place in (folder, examined.fleet.run_dir):
            if place.exists():
                private_file.check_folder(place)
        examined.fleet.token()
    except ArgosyError as error:
        return [Finding("data_dir", Verdict.FAIL, error.message, "Correct this before the next start.")]
    return [Finding("data_dir", Verdict.OK, f"{folder}{'' if folder.exists() else ' (will be created)'}")]


def check_disk(examined: Examined) -> list[Finding]:
    free = _free_bytes(examined.fleet.data_dir)
    outcome = Verdict.OK if free >= WANTED_DISK_BYTES else Verdict.WARN if free >= LEAST_DISK_BYTES else Verdict.FAIL
    remedy = "" if outcome is Verdict.OK else f"Free at least {output.size(WANTED_DISK_BYTES)}, or use --data-dir."
    return [Finding("disk", outcome, f"{output.size(free)} free", remedy)]


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free


def check_ports(examined: Examined) -> list[Finding]:
    """Accept a port that is free, or on which this fleet listens."""
    findings = []
    for name, url, option in (
        ("gateway port", examined.fleet.url, "--port"),
        ("admin port", examined.fleet.admin_url, "--admin-port"),
    ):
        address = urlsplit(url)
        host, port = address.hostname or "127.0.0.1", 80 if address.port is None else address.port
        if port == 0:
            findings.append(Finding(name, Verdict.OK, "a free port will be picked"))
        elif _is_free(host, port):
            findings.append(Finding(name, Verdict.OK, f"{port} is free"))
        elif examined.running:
            findings.append(Finding(name, Verdict.OK, f"{port} is used by this fleet"))
        else:
            remedy = f"Stop the program that uses it, or choose another port with: argosy up {option} PORT"
            findings.append(Finding(name, Verdict.FAIL, f"{port} is used by another program", remedy))
    return findings


def _is_free(host: str, port: int) -> bool:
    """Return whether nothing listens on the port.

    It connects rather than binds, because the gateway shares its port with other sockets that bind it.
    """
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return False
    except OSError:
        return True


def check_model(examined: Examined) -> list[Finding]:
    from argosy.models.resolver import resolve

    if examined.settings is None:
        return []
    embedding = examined.settings.services.embedding
    if embedding.backend == "fake":
        return [Finding("model", Verdict.WARN, "the fake back end", 'Set services.embedding.backend = "onnx".')]
    if embedding.backend == "openai":
        return [Finding("model", Verdict.OK, f"{embedding.model} at an endpoint that is checked when the fleet starts")]
    try:
        model = resolve(embedding.model, fetch=False)
    except ArgosyError as error:
        return [Finding("model", Verdict.FAIL, error.message, f"Run: argosy models fetch {embedding.model}")]
    return [Finding("model", Verdict.OK, f"{model.name} in {model.path}")]


def check_fleet(examined: Examined) -> list[Finding]:
    from argosy.cli.status import NO_CONTROLLER, look

    try:
        seen = look(examined.fleet)
    except ArgosyError as error:
        return [Finding("fleet", Verdict.FAIL, error.message, "Check --admin-url and --data-dir.")]
    if seen.view is None:
        idle = seen.exit_code == NO_CONTROLLER or not seen.live_replicas
        remedy = f"Run: {examined.fleet.start_command() if idle else command('status')}"
        return [Finding("fleet", Verdict.WARN, seen.problem, remedy)]
    if seen.exit_code:
        bad = [f"{s.name} {s.status.value} ({s.reason})" for s in seen.view.services if s.status != "HEALTHY"]
        return [Finding("fleet", Verdict.WARN, "; ".join(bad) or seen.view.status.value, f"Run: {command('status')}")]
    controller = seen.view.controller
    pid = "" if controller is None else f", pid {controller.pid}"
    return [Finding("fleet", Verdict.OK, f"running and healthy{pid}")]


def check_generation(examined: Examined) -> list[Finding]:
    """Check the provider if the fleet file selects one. A key alone does not select a provider."""
    if examined.settings is None:
        return []
    generation = examined.settings.services.generation
    if generation.backend != "openai":
        return [Finding("generation", Verdict.OK, f"{generation.backend}, no provider needed")]
    key = bool(examined.environ.get("OPENAI_API_KEY"))
    address = generation.base_url or examined.environ.get("OPENAI_BASE_URL", "")
    found = f"{generation.model} at {_without_credentials(address) or 'the default address'}"
    if not key and not address:
        return [Finding("generation", Verdict.FAIL, f"{found}, no key", "Set OPENAI_API_KEY.")]
    if not key:
        remedy = "Set OPENAI_API_KEY if the endpoint needs a key."
        return [Finding("generation", Verdict.WARN, f"{found}, no key", remedy)]
    return [Finding("generation", Verdict.OK, f"{found}, a key is set")]


def _without_credentials(url: str) -> str:
    """Return scheme, host and path of the URL. The parts before an @ and after a ? may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else ""


CHECKS: tuple[Callable[[Examined], list[Finding]], ...] = (
    check_python,
    check_platform,
    check_cores,
    check_memory,
    check_open_files,
    check_config,
    check_data_dir,
    check_disk,
    check_ports,
    check_model,
    check_fleet,
    check_generation,
)

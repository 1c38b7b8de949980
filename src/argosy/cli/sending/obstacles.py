"""Reasons for which the fleet cannot index documents now, and the remark for a user who stops waiting."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import typer

from argosy.cli import output
from argosy.cli.client.gateway import Api
from argosy.cli.client.hints import command
from argosy.contracts.errors import ArgosyError
from argosy.contracts.fleet import Health, ServiceView

NEEDED = ("documents", "store", "embedding")
"""Services without which nothing is indexed."""
INTERRUPTED = 130
"""Exit status that a shell reports for a command ended by Ctrl-C."""


def obstacle(api: Api) -> str:
    """Return why the fleet indexes nothing now, in a sentence; empty when no reason is known."""
    from argosy.cli.client.replies import FleetHealth

    try:
        services = api.get("/v1/health").into(FleetHealth).services
    except ArgosyError as error:
        return error.message
    reasons = [f"{s.name} is {s.status.value} ({_reason(s)})" for s in services if s.name in NEEDED and _is_down(s)]
    return f"Nothing is indexed now: {'; '.join(reasons)}. See: {command('status')}" if reasons else ""


def _is_down(service: ServiceView) -> bool:
    return service.status is Health.UNHEALTHY


def _reason(service: ServiceView) -> str:
    return (service.reason or "no reason is known").rstrip(".")


@contextlib.contextmanager
def interruptible(what: Callable[[], str]) -> Iterator[None]:
    """Say on Ctrl-C what goes on without this command, and end with the status of an interrupted command."""
    try:
        yield
    except KeyboardInterrupt as error:
        output.note(f"\n{what()} Follow it with: {command('documents list')}")
        raise typer.Exit(INTERRUPTED) from error

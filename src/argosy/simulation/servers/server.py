"""Interfaces of the servers inside a simulated replica, and of their models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from argosy.simulation.servers.kernel import Kernel
from argosy.simulation.servers.speed import Speed


class Job(Protocol):
    """Piece of work. Its owner sets `abandoned` when no caller waits for the result any more."""

    work_s: float
    """Time that the job takes alone at normal speed."""
    abandoned: bool


J = TypeVar("J", bound=Job)
Contra = TypeVar("Contra", bound=Job, contravariant=True)


class Server(Protocol[Contra]):
    @property
    def busy(self) -> int:
        """Number of jobs that are being worked on."""
        ...

    @property
    def queued(self) -> int:
        """Number of jobs that wait for their turn."""
        ...

    def submit(self, job: Contra) -> bool:
        """Take in a job, unless the queue is full.

        Returns: False when the queue is full; the job is refused and `finished` is not called for it.
        """
        ...


class ServerModel(Protocol):
    """Parameters of a server."""

    @property
    def parallel(self) -> float:
        """Number of jobs that progress at full speed at once; infinite when nothing limits them."""
        ...

    def unprotected(self) -> ServerModel:
        """Return the model without its protection: no queue limit, and abandoned work is still done."""
        ...

    def build(self, kernel: Kernel, speed: Speed, finished: Callable[[J], None]) -> Server[J]:
        """Build the server. It calls `finished` once for every job that it took in."""
        ...

"""Platform contract: starting and stopping replicas. All code above it is the same on every platform."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from argosy.control.platforms.blocked import Blocked
from argosy.telemetry.logs import logger

log = logger("platform")


@dataclass(slots=True)
class Replica:
    """Process of a service, as its platform knows it."""

    id: str
    service: str
    revision: str
    pid: int | None = None
    url: str | None = None
    started_at: float = 0.0
    """Wall time."""
    adopted: bool = False
    health_path: str | None = None
    """Path of its readiness check, for a program that is not built from the service kit."""
    external: bool = False
    """Whether it runs elsewhere: it is called and probed, never started or stopped."""
    proves: bool = False
    """Whether it proves that it knows the fleet's token; replicas of earlier versions and foreign programs do not."""


@dataclass(frozen=True, slots=True)
class ReplicaExit:
    """End of a replica. `exit_code` is None for an adopted replica, because only a parent process learns it."""

    replica: Replica
    exit_code: int | None
    error: str | None
    """Reason that the replica itself left, in a sentence."""
    asked: bool
    """Whether `stop` was called for the replica."""

    def describe(self) -> str:
        """Return the reason of the end, in words."""
        if self.error:
            return self.error
        if self.exit_code is None:
            return "exited (its exit code is unknown: it was adopted)"
        if self.exit_code < 0:
            return f"killed by signal {-self.exit_code}"
        return f"exited with code {self.exit_code}"


@dataclass(frozen=True, slots=True)
class HostCapacity:
    """Capacity of the platform. Nothing is scaled past it."""

    cores: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time used so far and memory used now, by a replica's process and its descendants."""

    cpu_s: float
    memory_bytes: int
    """Resident memory."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Instructions to start one replica."""

    service: str
    replica_id: str
    revision: str
    cpu_share: float
    public_host: str | None = None
    public_port: int | None = None
    argv: tuple[str, ...] | None = None
    """Command line of the program; None for a service of Argosy."""
    health_path: str | None = None
    """Path of the readiness check of a program that is not built from the service kit; else None.

    Such a program listens at the port in the environment variable PORT.
    """


@dataclass(slots=True)
class ExitListeners:
    """Callbacks for replicas that ended, shared by the platforms."""

    callbacks: list[Callable[[ReplicaExit], None]] = field(default_factory=list)

    def notify(self, ended: ReplicaExit) -> None:
        """Call all callbacks. Never raises, because a failing callback must not keep the others from being called."""
        for callback in self.callbacks:
            try:
                callback(ended)
            except Exception as error:
                log.error("callback for the end of a replica failed", replica_id=ended.replica.id, exc_info=error)


class Platform(Protocol):
    """Platform that runs replicas, such as the processes of one machine."""

    exits: ExitListeners
    """Called for every replica that ended, requested or not."""

    def capacity(self) -> HostCapacity:
        """Return the cores and the memory that replicas may use in total."""
        ...

    def replicas(self) -> list[Replica]:
        """Return all living replicas, including adopted ones."""
        ...

    async def adopt(self) -> list[Replica]:
        """Find the replicas that an earlier controller left alive, and forget replicas that are gone."""
        ...

    async def start(self, launch: Launch) -> Replica:
        """Start a process and return at once. `url` of the replica is set when it listens; see `listening`.

        Raises: StartError when the process cannot be started, or a replica of that id is alive.
        """
        ...

    def usage(self, replica_id: str) -> Usage | None:
        """Return the use of a replica; None when the replica is gone or the platform cannot measure it."""
        ...

    def blocked(self, replica_id: str) -> Blocked | None:
        """Return the reason for which the replica is blocked without its own fault; None when no reason is known."""
        ...

    async def listening(self, replica: Replica, timeout_s: float) -> None:
        """Wait until the replica listens and `replica.url` is set.

        Raises: StartError with the replica's own reason when it ends, or when it does not listen within `timeout_s`.
        """
        ...

    async def stop(self, replica_id: str, grace_s: float) -> None:
        """Ask the replica to drain, and kill it after `grace_s`. Return when it is gone. Unknown ids are ignored."""
        ...

    async def close(self) -> None:
        """Stop watching the replicas. They stay alive."""
        ...

"""What starts and stops replicas. Everything above it is the same on a laptop, on Ray and on Kubernetes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from argosy.control.platforms.blocked import Blocked
from argosy.telemetry.logs import logger

log = logger("platform")


@dataclass(slots=True)
class Replica:
    """One process of a service, as its platform knows it."""

    id: str
    service: str
    revision: str
    pid: int | None = None
    url: str | None = None
    started_at: float = 0.0
    """Wall time."""
    adopted: bool = False
    health_path: str | None = None
    """Where it says whether it may be called, for one that is not built from our kit."""
    external: bool = False
    """Runs elsewhere: it is called and probed, never started or stopped."""
    proves: bool = False
    """Whether it proves that it knows the fleet's token; replicas of earlier versions and foreign programs do not."""


@dataclass(frozen=True, slots=True)
class ReplicaExit:
    """A replica's end. `exit_code` is None for one that was adopted: only a parent learns it."""

    replica: Replica
    exit_code: int | None
    error: str | None
    """What the replica itself left as its reason, in a sentence."""
    asked: bool
    """Whether `stop` was called for it."""

    def describe(self) -> str:
        if self.error:
            return self.error
        if self.exit_code is None:
            return "exited (its exit code is unknown: it was adopted)"
        if self.exit_code < 0:
            return f"killed by signal {-self.exit_code}"
        return f"exited with code {self.exit_code}"


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the platform can give. Nothing is scaled past it."""

    cores: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a replica's process and those that it started have used so far, and use now."""

    cpu_s: float
    memory_bytes: int
    """Resident."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start."""

    service: str
    replica_id: str
    revision: str
    cpu_share: float
    public_host: str | None = None
    public_port: int | None = None
    argv: tuple[str, ...] | None = None
    """The program, where it is not one of our services."""
    health_path: str | None = None
    """Given for a program that is not built from our kit: it listens at the port in the variable PORT."""


@dataclass(slots=True)
class ExitListeners:
    """Callbacks for replicas that ended; shared by the platforms."""

    callbacks: list[Callable[[ReplicaExit], None]] = field(default_factory=list)

    def notify(self, ended: ReplicaExit) -> None:
        """Never raises: one listener that fails must not keep the others in the dark."""
        for callback in self.callbacks:
            try:
                callback(ended)
            except Exception as error:
                log.error("end of a replica not taken note of", replica_id=ended.replica.id, exc_info=error)


class Platform(Protocol):
    exits: ExitListeners

    def capacity(self) -> Capacity: ...

    def replicas(self) -> list[Replica]:
        """All that are alive, adopted ones included."""
        ...

    async def adopt(self) -> list[Replica]:
        """Finds replicas that an earlier controller left alive and forgets those that are gone."""
        ...

    async def start(self, launch: Launch) -> Replica:
        """Starts a process and returns at once; its `url` is set when it listens.

        Raises: StartError, also when a process of that id is alive.
        """
        ...

    def usage(self, replica_id: str) -> Usage | None:
        """None when it is gone or the platform cannot tell."""
        ...

    def blocked(self, replica_id: str) -> Blocked | None:
        """What keeps it from answering without being its fault; None when nothing does or the platform cannot tell."""
        ...

    async def listening(self, replica: Replica, timeout_s: float) -> None:
        """Returns once `replica.url` is set. Raises: StartError with the replica's own reason, or on timeout."""
        ...

    async def stop(self, replica_id: str, grace_s: float) -> None:
        """Asks to drain; kills after `grace_s`. Returns when the process is gone. Unknown ids are fine."""
        ...

    async def close(self) -> None:
        """Stops watching; leaves replicas alive."""
        ...

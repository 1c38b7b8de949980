"""Platform without processes, for tests and rehearsals of decisions. Starts succeed or fail as scripted."""

from __future__ import annotations

from collections.abc import Mapping

from argosy.contracts.errors import StartError
from argosy.control.platforms.blocked import Blocked
from argosy.control.platforms.platform import ExitListeners, HostCapacity, Launch, Replica, ReplicaExit, Usage


class FakePlatform:
    """Platform whose replicas exist only in memory. `log` lists the starts and stops."""

    def __init__(
        self, *, refuses: Mapping[str, str] | None = None, survivors: tuple[Replica, ...] = (), cores: float = 2
    ) -> None:
        """Create the platform.

        Args:
            refuses: service → reason for which its replicas fail to start.
            survivors: replicas that `adopt` finds.
        """
        self.exits = ExitListeners()
        self.refuses = dict(refuses or {})
        self.log: list[str] = []
        self.blocked_in: dict[str, Blocked] = {}
        """Replica → state that `blocked` returns."""
        self._survivors = survivors
        self._cores = cores
        self._replicas: dict[str, Replica] = {}
        self._next_port = 40_000

    def capacity(self) -> HostCapacity:
        return HostCapacity(cores=self._cores, memory_bytes=8 * 2**30)

    def replicas(self) -> list[Replica]:
        return list(self._replicas.values())

    async def adopt(self) -> list[Replica]:
        for replica in self._survivors:
            replica.adopted = True
            self._replicas[replica.id] = replica
        return list(self._survivors)

    async def start(self, launch: Launch) -> Replica:
        if launch.replica_id in self._replicas:
            raise StartError(f"{launch.replica_id} is alive already.")
        self._next_port += 1
        replica = Replica(
            launch.replica_id, launch.service, launch.revision, pid=self._next_port, health_path=launch.health_path
        )
        self._replicas[replica.id] = replica
        self.log.append(f"start {replica.id}")
        return replica

    def usage(self, replica_id: str) -> Usage | None:
        return Usage(0.0, 2**20) if replica_id in self._replicas else None

    def blocked(self, replica_id: str) -> Blocked | None:
        return self.blocked_in.get(replica_id)

    async def listening(self, replica: Replica, timeout_s: float) -> None:
        reason = self.refuses.get(replica.service)
        if reason is not None:
            self._replicas.pop(replica.id, None)
            raise StartError(reason)
        replica.url = f"http://127.0.0.1:{replica.pid}"

    async def stop(self, replica_id: str, grace_s: float) -> None:
        replica = self._replicas.pop(replica_id, None)
        if replica is not None:
            self.log.append(f"stop {replica_id}")
            self.exits.notify(ReplicaExit(replica, 0, None, asked=True))

    def kill(self, replica_id: str, exit_code: int = -9) -> None:
        """End a replica as if it had crashed."""
        replica = self._replicas.pop(replica_id)
        self.exits.notify(ReplicaExit(replica, exit_code, None, asked=False))

    async def close(self) -> None:
        self.log.append("close")

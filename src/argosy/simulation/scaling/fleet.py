"""Replicas that start, serve and drain. Each costs replica-seconds from launch to the end of its drain."""

from __future__ import annotations

from dataclasses import dataclass

from argosy.simulation.scaling.queues import ReplicaGroup


@dataclass(slots=True)
class Starting:
    replica: int
    launched_s: int
    ready_s: int


class SimulatedFleet:
    """Fleet of one run, which changes only between seconds.

    Scaling down removes starting replicas first, the newest first, and then the replicas that became ready last, as
    Kubernetes does.
    """

    def __init__(self, queue: ReplicaGroup, cold_start_s: int, ready: int) -> None:
        self._queue, self._cold_start_s = queue, cold_start_s
        self._starting: list[Starting] = []
        self._serving: list[tuple[int, int]] = []
        """Pairs of replica and launch time, in the order in which the replicas became ready."""
        self._next = 0
        self._paid_s = 0.0
        for _ in range(ready):
            self._queue.add(self._next, 0)
            self._serving.append((self._next, 0))
            self._next += 1

    @property
    def replicas(self) -> int:
        return len(self._serving) + len(self._starting)

    @property
    def ready(self) -> int:
        return len(self._serving)

    def next_ready_s(self) -> int | None:
        return self._starting[0].ready_s if self._starting else None

    def become_ready(self, now: int) -> None:
        while self._starting and self._starting[0].ready_s <= now:
            started = self._starting.pop(0)
            self._queue.add(started.replica, now)
            self._serving.append((started.replica, started.launched_s))

    def scale(self, wanted: int, now: int) -> None:
        while self.replicas < wanted:
            self._starting.append(Starting(self._next, now, now + self._cold_start_s))
            self._next += 1
        while self.replicas > wanted:
            if self._starting:
                self._paid_s += now - self._starting.pop().launched_s
            else:
                replica, launched_s = self._serving.pop()
                self._paid_s += self._queue.drain(replica, now) - launched_s
        self.become_ready(now)

    def paid_s(self, now: int) -> float:
        """Return the replica-seconds so far."""
        running = [launched_s for _, launched_s in self._serving] + [s.launched_s for s in self._starting]
        return self._paid_s + sum(now - launched_s for launched_s in running)

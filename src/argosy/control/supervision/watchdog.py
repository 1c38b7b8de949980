"""Watchdog: probes a replica from its start to its end and tells when it must be ended."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from argosy.config.service import ServiceSettings
from argosy.contracts.errors import StartError
from argosy.contracts.request import Clock
from argosy.control.monitoring.observed import Observed
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.platform import Platform, Replica
from argosy.control.supervision.hang import EngineCall, HangRule, HangVerdict, Silence, next_call, next_silence
from argosy.control.supervision.restart import RestartRule

READY_POLL_S = 0.05
REPROBE_S = 0.25
"""Pause after a failed probe, shorter than the probe interval so that a hang is detected within three such pauses."""


@dataclass(slots=True)
class Rules:
    """Rules of supervision."""

    restart: RestartRule = field(default_factory=RestartRule)
    hang: HangRule = field(default_factory=HangRule)
    probe_interval_s: float = 2.0
    reprobe_s: float = REPROBE_S


class Watchdog:
    """Watchdog over replicas. The caller runs one `watch` per replica."""

    def __init__(
        self,
        services: Mapping[str, ServiceSettings],
        platform: Platform,
        prober: Prober,
        observed: Observed,
        on_change: Callable[[], None],
        rules: Rules,
        clock: Clock = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Create a watchdog. `on_change` is called when the set of replicas that can serve may have changed."""
        self._services = services
        self._platform = platform
        self._prober = prober
        self._observed = observed
        self._on_change = on_change
        self._rules = rules
        self._clock = clock
        self._wall = wall

    async def until_ready(self, replica: Replica, until_s: float) -> None:
        """Wait until the replica is ready.

        Raises: StartError with the replica's own reason when it ends, or when it is not ready at `until_s`.
        """
        reason = "starting"
        while self._clock() < until_s:
            if replica not in self._platform.replicas():
                raise StartError(self._observed.failure(replica.service, replica.id) or f"{replica.id} ended.")
            probe = await self._prober.probe(replica)
            if replica not in self._platform.replicas():
                continue
            if probe.status is not None:
                self._observed.saw(replica.id, probe)
            if probe.status is not None and probe.status.ready:
                self._on_change()
                return
            reason = probe.error or self._observed.health(replica.id).reason
            await asyncio.sleep(READY_POLL_S)
        raise StartError(f"{replica.id} was not ready within its start timeout: {reason}.")

    async def watch(self, replica: Replica) -> str | None:
        """Probe the replica at the probe interval.

        A draining replica closes its listeners, so an unanswered probe means nothing. The drain itself ends it.

        Returns: the reason for which the replica must be ended; None once it is gone or draining.
        """
        silence, settings = Silence(), self._services[replica.service]
        rule = replace(self._rules.hang, hang_limit_s=settings.hang_limit_s)
        await asyncio.sleep(random.uniform(0, self._rules.probe_interval_s))
        while self._stays(replica):
            began_s = self._clock()
            probe = await self._prober.probe(replica)
            if not self._stays(replica):
                break
            usage = self._platform.usage(replica.id)
            answered = probe.status is not None or replica.external
            now_s = self._clock()
            found = None if answered else self._platform.blocked(replica.id)
            call, on_disk = next_call(silence.call, found, now_s, self._wall()), found is not None and found.on_disk
            cpu_s = usage.cpu_s if usage else None
            silence, verdict = next_silence(silence, answered, now_s, cpu_s, rule, call, on_disk)
            busy = verdict is HangVerdict.BUSY
            at_work = busy and silence.probes >= rule.probes
            held_up = _held_up(replica.id, call, on_disk, now_s) if busy else ""
            if self._observed.saw(replica.id, replace(probe, busy=at_work, held_up=held_up)):
                self._on_change()
            if verdict is HangVerdict.HUNG:
                in_call = f", in {call.name} for {call.lasts_s(now_s):.0f} s" if call is not None else ""
                return f"hung: {probe.error}, {silence.probes} probes in a row{in_call}"
            limit_bytes = settings.memory_limit_bytes
            if usage is not None and limit_bytes and usage.memory_bytes > limit_bytes:
                return f"used {usage.memory_bytes >> 20} MiB, its limit is {limit_bytes >> 20} MiB"
            pause_s = self._rules.probe_interval_s if answered else self._rules.reprobe_s
            await asyncio.sleep(max(0.05, pause_s - (self._clock() - began_s)))
        return None

    def _stays(self, replica: Replica) -> bool:
        return replica in self._platform.replicas() and replica.id not in self._observed.draining


def _held_up(replica_id: str, call: EngineCall | None, on_disk: bool, now_s: float) -> str:
    """Return why the replica cannot answer, as a sentence for the operator; empty when no reason is known."""
    if call is not None:
        return f"{replica_id} is in {call.name} for {call.lasts_s(now_s):.0f} s; the disk is slow"
    return f"{replica_id} waits for the disk" if on_disk else ""

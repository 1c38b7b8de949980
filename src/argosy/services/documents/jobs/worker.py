"""The worker loop: claims jobs, runs them while their leases are renewed, and records their outcomes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
import uuid
from collections.abc import Callable
from typing import Any, Protocol

from argosy.contracts.errors import ArgosyError, Internal, StorageFull, Unavailable
from argosy.contracts.request import Clock
from argosy.services.documents.jobs.failure_policy import settle
from argosy.services.documents.jobs.heartbeat import Heartbeat
from argosy.services.documents.jobs.leases import Job, JobLeases, LeaseLost
from argosy.services.documents.jobs.parse_turns import GaveWay
from argosy.serving.loops import Loops
from argosy.telemetry.logs import logger

RECORD_AGAIN_S = 0.25
GIVE_WAY_S = 10.0
"""Pause before a document that gave way to another sender is due again."""

log = logger("documents")


class Runner(Protocol):
    async def run(self, job: Job) -> None:
        """Run the job and record it as done.

        Raises: ArgosyError when it failed; LeaseLost when it is no longer this worker's; GaveWay when it must run again
        later.
        """
        ...


class Worker:
    """Worker that runs `slots` claims at a time, each of one job or of several small ones.

    A job whose outcome cannot be recorded, because the database is unavailable, is taken over when its lease expires.
    """

    def __init__(
        self,
        jobs: JobLeases,
        runner: Runner,
        *,
        slots: int = 2,
        claim_jobs: int = 1,
        claim_bytes: int = 0,
        poll_s: float = 1.0,
        name: str | None = None,
        clock: Clock = time.monotonic,
        on_failed: Callable[[str], None] = lambda code: None,
        loops: Loops | None = None,
    ) -> None:
        """Create a worker. `on_failed` is called with the code of each failed attempt; `loops` keeps the slots running.

        A claim takes up to `claim_jobs` jobs and stops once their documents have `claim_bytes` together: small
        documents cost less when processed together, large ones are better shared with other replicas.
        """
        self._claim_jobs = claim_jobs
        self._claim_bytes = claim_bytes
        self._jobs = jobs
        self._clock = clock
        self._on_failed = on_failed
        self._loops = loops or Loops()
        self._heartbeat = Heartbeat(jobs)
        self._runner = runner
        self._slots = slots
        self._poll_s = poll_s
        self._name = name or uuid.uuid4().hex
        self._work = asyncio.Event()
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.running: set[tuple[int, int]] = set()
        """Leases of the running jobs."""
        self.busy = 0
        """Number of busy slots."""

    def start(self) -> None:
        self._heartbeat.start()
        self._tasks = [self._loops.start(f"worker {n}", self._slot) for n in range(1, self._slots + 1)]

    def wake(self) -> None:
        """Look for jobs now rather than at the next poll. Call this when a job was queued."""
        self._work.set()

    async def stop(self, grace_s: float = 10.0) -> None:
        """Stop taking jobs. Running jobs may finish within `grace_s`; the rest is returned to the queue."""
        self._stopping.set()
        self._work.set()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=grace_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await asyncio.to_thread(self._heartbeat.stop)

    async def _slot(self) -> None:
        while not self._stopping.is_set():
            self._work.clear()
            if self._stopping.is_set():
                return
            claimed = await self._claim()
            if not claimed:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_s):
                        await self._work.wait()
                continue
            self._work.set()  # there may be more jobs for the other slots
            self.running.update(job.lease for job in claimed)
            self.busy += 1
            try:
                # On cancellation, too, wait for every job: each is returned to the queue first.
                await asyncio.gather(*map(self._carry_out, claimed), return_exceptions=True)
            finally:
                self.busy -= 1

    async def _claim(self) -> list[Job]:
        try:
            return await asyncio.to_thread(self._jobs.claim_several, self._name, self._claim_jobs, self._claim_bytes)
        except ArgosyError as error:
            log.warning("job claim failed", code=error.code)
        except Exception:
            log.exception("job claim failed")
        return []

    async def _carry_out(self, job: Job) -> None:
        """Run a job and record its outcome. Only cancellation raises, after the job was returned to the queue."""
        fields: dict[str, Any] = {
            "job": job.id,
            "kind": job.kind.value,
            "document": job.document_id,
            "attempt": job.attempts,
        }
        try:
            await self._run_leased(job)
            log.info("job done", **fields)
        except asyncio.CancelledError:
            await self._record(self._jobs.release, job)
            raise
        except LeaseLost:
            log.info("job taken over", **fields)
        except GaveWay:
            log.info("job postponed for another sender", **fields)
            await self._record(self._jobs.postpone, job, GIVE_WAY_S)
        except ArgosyError as error:
            log.warning("job failed", **fields, code=error.code)
            self._on_failed(error.code)
            await self._record(settle, self._jobs, job, error)
        except Exception as error:
            log.exception("job failed", **fields)
            self._on_failed(Internal.code)
            await self._record(settle, self._jobs, job, error)
        finally:
            self.running.discard(job.lease)

    async def _run_leased(self, job: Job) -> None:
        """Run the job while its lease is renewed. When the lease is lost, the job is cancelled.

        Raises: LeaseLost when the lease is lost; the errors of the job.
        """
        lost = False
        loop = asyncio.get_running_loop()
        work = asyncio.create_task(self._runner.run(job))

        def drop() -> None:
            nonlocal lost
            lost = not work.done()
            work.cancel()

        try:
            with self._heartbeat.keeping(job, functools.partial(_tell, loop, drop)):
                await asyncio.wait((work,))
            if lost:
                raise LeaseLost
            work.result()
        finally:
            if not work.done():
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)

    async def _record(self, write: Callable[..., None], *arguments: object) -> None:
        """Run a final write to its end even if this task is cancelled.

        While the database is unavailable the write is retried for as long as the lease lasts; after that another worker
        may have the job.
        """
        await asyncio.shield(self._written(write, *arguments))

    async def _written(self, write: Callable[..., None], *arguments: object) -> None:
        give_up_s = self._clock() + self._jobs.rules.lease_s
        pause_s = RECORD_AGAIN_S
        while True:
            try:
                return await asyncio.to_thread(write, *arguments)
            except LeaseLost:
                return
            except (Unavailable, StorageFull) as error:
                if self._clock() + pause_s > give_up_s or self._stopping.is_set():
                    log.warning("job outcome not recorded", code=error.code)
                    return
            except Exception:
                log.exception("job outcome not recorded")
                return
            await asyncio.sleep(pause_s)
            pause_s *= 2


def _tell(loop: asyncio.AbstractEventLoop, told: Callable[[], None]) -> None:
    """Call `told` on the loop from another thread. A loop that has ended meanwhile is ignored."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(told)

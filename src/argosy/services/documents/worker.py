"""The loop that carries out jobs: claim, run while the lease is kept alive, record how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from typing import Any, Protocol

from argosy.contracts.errors import ArgosyError
from argosy.services.documents.jobs import Job, Jobs, LeaseLost
from argosy.services.documents.pipeline import settle
from argosy.telemetry.logs import logger

log = logger("documents")


class Runner(Protocol):
    async def run(self, job: Job) -> None:
        """Does the job and records it as done. Raises: ArgosyError, LeaseLost."""
        ...


class Worker:
    """`slots` jobs at a time. What it cannot record (the database is away) is taken over when the lease expires."""

    def __init__(
        self, jobs: Jobs, runner: Runner, *, slots: int = 2, poll_s: float = 1.0, name: str | None = None
    ) -> None:
        self._jobs = jobs
        self._runner = runner
        self._slots = slots
        self._poll_s = poll_s
        self._name = name or uuid.uuid4().hex
        self._work = asyncio.Event()
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.running: set[int] = set()
        """Ids of the jobs in work."""

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._slot(), name=f"documents-worker-{n}") for n in range(self._slots)]

    def wake(self) -> None:
        """Something was accepted: look for it now rather than at the next poll."""
        self._work.set()

    async def stop(self, grace_s: float = 10.0) -> None:
        """Takes no more jobs; those in work may finish within `grace_s` and are handed back after."""
        self._stopping.set()
        self._work.set()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=grace_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _slot(self) -> None:
        while not self._stopping.is_set():
            self._work.clear()
            if self._stopping.is_set():
                return
            job = await self._claim()
            if job is None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_s):
                        await self._work.wait()
                continue
            self._work.set()  # there may be more for the other slots
            self.running.add(job.id)
            try:
                await self._carry_out(job)
            finally:
                self.running.discard(job.id)

    async def _claim(self) -> Job | None:
        try:
            return await asyncio.to_thread(self._jobs.claim, self._name)
        except ArgosyError as error:
            log.warning("job claim failed", code=error.code)
        except Exception:
            log.exception("job claim failed")
        return None

    async def _carry_out(self, job: Job) -> None:
        """Never raises, unless it is cancelled: then the job is handed back first."""
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
        except ArgosyError as error:
            log.warning("job failed", **fields, code=error.code)
            await self._record(settle, self._jobs, job, error)
        except Exception as error:
            log.exception("job failed", **fields)
            await self._record(settle, self._jobs, job, error)

    async def _run_leased(self, job: Job) -> None:
        """Runs the job beside its heartbeat; whichever fails first ends the other."""
        work = asyncio.create_task(self._runner.run(job))
        beat = asyncio.create_task(self._keep_lease(job))
        try:
            await asyncio.wait((work, beat), return_when=asyncio.FIRST_COMPLETED)
            ended = work if work.done() else beat
            ended.result()
        finally:
            for task in (work, beat):
                task.cancel()
            await asyncio.gather(work, beat, return_exceptions=True)

    async def _keep_lease(self, job: Job) -> None:
        """Returns never. Raises: LeaseLost. A database that is away for a moment is no reason to give up."""
        while True:
            await asyncio.sleep(self._jobs.rules.lease_s / 3)
            try:
                await asyncio.to_thread(self._jobs.heartbeat, job)
            except ArgosyError as error:
                log.warning("job heartbeat failed", job=job.id, code=error.code)

    async def _record(self, write: Callable[..., None], *arguments: object) -> None:
        """Runs a closing write to its end even if this task is cancelled; its failure is only logged."""
        try:
            await asyncio.shield(asyncio.to_thread(write, *arguments))
        except LeaseLost:
            pass
        except ArgosyError as error:
            log.warning("job outcome not recorded", code=error.code)
        except Exception:
            log.exception("job outcome not recorded")

"""Shared writes to the job table: documents that wait for the database share the next transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from argosy.services.documents.jobs.leases import Indexed, Job, JobLeases, LeaseLost
from argosy.serving.grouping import Grouped

LINGER_S = 0.003
"""Time for which the first of a group waits for others. A call or a transaction costs about as much CPU time."""
MOST = 64
"""Highest number of jobs in one transaction; other jobs of this process wait for its end."""


class SharedJobs:
    """Asynchronous part of `JobLeases` that a pipeline uses. A job with a lost lease fails alone."""

    def __init__(self, jobs: JobLeases) -> None:
        self._jobs = jobs
        self._check: Grouped[Job, None] = Grouped(self._check_together, most=MOST, linger_s=LINGER_S)
        self._stage: Grouped[tuple[Job, str, float], None] = Grouped(self._stage_together, most=MOST, linger_s=LINGER_S)
        self._done: Grouped[tuple[Job, Indexed | None], None] = Grouped(
            self._done_together, most=MOST, linger_s=LINGER_S
        )

    async def check(self, job: Job) -> None:
        """Check the lease; see `JobLeases.check`. Raises: LeaseLost when it is lost."""
        await self._check(job)

    async def stage(self, job: Job, stage: str, progress: float) -> None:
        """Record stage and progress; see `JobLeases.stage`. Raises: LeaseLost when the lease is lost."""
        await self._stage((job, stage, progress))

    async def done(self, job: Job, indexed: Indexed | None = None) -> None:
        """Record that the job is done; see `JobLeases.done`. Raises: LeaseLost when the lease is lost."""
        await self._done((job, indexed))

    async def _check_together(self, several: Sequence[Job]) -> list[Exception | None]:
        held = await asyncio.to_thread(self._jobs.check_several, several)
        return [None if is_held else LeaseLost() for is_held in held]

    async def _stage_together(self, several: Sequence[tuple[Job, str, float]]) -> list[Exception | None]:
        held = await asyncio.to_thread(self._jobs.stage_several, several)
        return [None if is_held else LeaseLost() for is_held in held]

    async def _done_together(self, several: Sequence[tuple[Job, Indexed | None]]) -> list[Exception | None]:
        held = await asyncio.to_thread(self._jobs.done_several, several)
        return [None if is_held else LeaseLost() for is_held in held]

"""Renewal of leases in a separate thread, so that a busy event loop does not look like a dead worker."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

from argosy.contracts.errors import ArgosyError
from argosy.services.documents.jobs.leases import Job, JobLeases
from argosy.telemetry.logs import logger

BEATS_PER_LEASE = 3

log = logger("documents")


class Heartbeat:
    """Thread that renews the leases of all jobs of a worker. Call `start` before use; `stop` ends all renewals."""

    def __init__(self, jobs: JobLeases) -> None:
        self._jobs = jobs
        self._kept: dict[tuple[int, int], tuple[Job, Callable[[], None]]] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="documents-heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop renewing. This blocks until a renewal in progress has ended."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    @contextlib.contextmanager
    def keeping(self, job: Job, lost: Callable[[], None]) -> Iterator[None]:
        """Renew the job's lease during the block. `lost` is called in the heartbeat's thread if the lease is lost."""
        self._kept[job.lease] = (job, lost)
        try:
            yield
        finally:
            self._kept.pop(job.lease, None)

    def _run(self) -> None:
        while not self._ending.wait(self._jobs.rules.lease_s / BEATS_PER_LEASE):
            kept = list(self._kept.values())
            if kept:
                self._beat(kept)

    def _beat(self, kept: Sequence[tuple[Job, Callable[[], None]]]) -> None:
        """Renew the leases in one transaction. If the database is unavailable, keep the jobs until the next beat."""
        try:
            held = self._jobs.heartbeat_several([job for job, _ in kept])
        except ArgosyError as error:
            log.warning("job heartbeat failed", jobs=len(kept), code=error.code)
            return
        except Exception:
            log.exception("job heartbeat failed", jobs=len(kept))
            return
        for (job, lost), is_held in zip(kept, held, strict=True):
            if not is_held and self._kept.pop(job.lease, None) is not None:
                lost()

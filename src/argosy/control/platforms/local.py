"""Local platform: replicas as processes of this machine.

Each replica runs in its own session, so it outlives the controller. While it is alive, it holds a lock that it
inherited at its start. Its output goes to a file. The record in `run/` is written before the process is started, so the
next controller finds every replica, whenever the earlier one died.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import psutil

from argosy.contracts.errors import StartError
from argosy.control.platforms.blocked import Blocked, blocked
from argosy.control.platforms.cgroup import machine
from argosy.control.platforms.platform import ExitListeners, HostCapacity, Launch, Replica, ReplicaExit, Usage
from argosy.control.platforms.processes import kill_group, leader_of, until_ended, used_by_family
from argosy.control.platforms.watched import Watched, last_words
from argosy.control.preflight import free_port
from argosy.serving import runfile
from argosy.serving.runfile import ReplicaLock, RunRecord
from argosy.telemetry.logs import logger

POLL_S = 0.02
LOCK_POLL_S = 0.2
ADOPTION_WAIT_S = 10.0
KILL_WAIT_S = 5.0

log = logger("local")


class LocalPlatform:
    """Platform of the processes of this machine, with its files in data_dir."""

    def __init__(
        self,
        data_dir: Path,
        fleet_json: str,
        token: str,
        controller_url: str,
    ) -> None:
        self.exits = ExitListeners()
        self._run_dir = data_dir / "run"
        self._log_dir = data_dir / "logs"
        self._data_dir = data_dir
        self._fleet_json = fleet_json
        self._token = token
        self._controller_url = controller_url
        self._capacity = machine()
        self._watched: dict[str, Watched] = {}
        self._ended_with: dict[str, str] = {}
        for folder in (self._run_dir, self._log_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def capacity(self) -> HostCapacity:
        return self._capacity

    def replicas(self) -> list[Replica]:
        return [watched.replica for watched in self._watched.values()]

    async def adopt(self) -> list[Replica]:
        adopted = []
        for path in sorted(self._run_dir.glob("*-*.json")):
            try:
                record = await self._alive(path)
            except (OSError, StartError) as error:  # an unreadable or untrusted file must not hide the other replicas
                log.error("replica not adopted", run_file=path.name, reason=str(error))
                continue
            if record is None:
                continue
            replica = Replica(
                record.id,
                record.service,
                record.revision,
                pid=record.pid,
                url=record.url,
                started_at=record.created_at,
                adopted=True,
                health_path=record.health_path,
                proves=record.proves,
            )
            self._watch(Watched(replica, path, None))
            adopted.append(replica)
            log.info("replica adopted", replica_id=record.id, pid=record.pid)
        return adopted

    async def _alive(self, path: Path) -> RunRecord | None:
        """Return the record of a living replica. When it is gone, remove its files and return None. Raises: OSError."""
        if not runfile.is_held(runfile.lock_path(path)):
            runfile.remove(path)
            return None
        return await self._claimed(path)

    async def _claimed(self, path: Path) -> RunRecord | None:
        """Return the record with the pid of the process that holds its lock; None when the process is gone.

        A replica that was starting may not have written its pid and port yet. The pid is searched for here, and
        `listening` waits for the port.
        """
        until_s = time.monotonic() + ADOPTION_WAIT_S
        while runfile.is_held(runfile.lock_path(path)):
            if time.monotonic() > until_s:
                log.error("process that holds the lock not found", run_file=path.name)
                return None
            with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
                record = runfile.read(path)
                record.pid = record.pid or await asyncio.to_thread(leader_of, path)
                if record.pid is not None:
                    return record
            await asyncio.sleep(POLL_S)
        runfile.remove(path)
        return None

    async def start(self, launch: Launch) -> Replica:
        replica_id = launch.replica_id
        path = runfile.record_path(self._run_dir, replica_id)
        lock = ReplicaLock(runfile.lock_path(path))
        descriptor = None if replica_id in self._watched else lock.acquire()
        if descriptor is None:
            raise StartError(f"{replica_id} is alive already.")
        process = None
        try:
            replica = Replica(
                replica_id,
                launch.service,
                launch.revision,
                started_at=time.time(),
                health_path=launch.health_path,
                proves=launch.health_path is None,
            )
            record = RunRecord(
                id=replica_id,
                service=launch.service,
                revision=launch.revision,
                token=self._token,
                data_dir=str(self._data_dir),
                controller_url=self._controller_url,
                fleet_json=self._fleet_json,
                cpu_share=launch.cpu_share,
                public_host=launch.public_host,
                public_port=launch.public_port,
                created_at=replica.started_at,
                port=free_port("127.0.0.1", 0, "PORT") if launch.health_path else None,
                health_path=launch.health_path,
                proves=replica.proves,
            )
            runfile.write(path, record)
            process = self._spawn(path, launch, record.port, descriptor)
            if launch.health_path is not None:
                # Such a program does not write its own run file.
                record.pid = process.pid
                runfile.write(path, record)
        except OSError as error:
            if process is not None:  # it is alive and in no record, so no controller would find it
                kill_group(process.pid)
                process.wait()
            runfile.remove(path)
            raise StartError(f"{replica_id} could not be started: {error.strerror}.") from error
        finally:
            lock.release()
        replica.pid = process.pid
        self._ended_with.pop(replica_id, None)
        self._watch(Watched(replica, path, process))
        log.info("replica process started", replica_id=replica_id, pid=process.pid)
        return replica

    def usage(self, replica_id: str) -> Usage | None:
        watched = self._watched.get(replica_id)
        if watched is None or watched.replica.pid is None:
            return None
        try:
            if watched.meter is None:
                watched.meter = psutil.Process(watched.replica.pid)
            return Usage(*used_by_family(watched.meter))
        except (psutil.Error, OSError):
            return None

    def blocked(self, replica_id: str) -> Blocked | None:
        watched = self._watched.get(replica_id)
        if watched is None or watched.replica.pid is None:
            return None
        replica = watched.replica
        return blocked(runfile.busy_path(watched.record_path), watched.replica.pid, replica.started_at)

    def _spawn(self, path: Path, launch: Launch, port: int | None, lock_descriptor: int) -> subprocess.Popen[bytes]:
        """Start the process. It inherits the descriptor of the lock, so the lock is held without a gap."""
        environ = {
            **os.environ,
            runfile.RUN_FILE_VARIABLE: str(path),
            runfile.LOCK_VARIABLE: str(lock_descriptor),
            "PYTHONUNBUFFERED": "1",
            **({} if port is None else {"PORT": str(port)}),
        }
        log_path = self._log_dir / f"{path.stem}.log"
        output = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            return subprocess.Popen(
                launch.argv or (sys.executable, "-m", f"argosy.services.{launch.service}"),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environ,
                start_new_session=True,
                pass_fds=(lock_descriptor,),
            )
        finally:
            os.close(output)

    async def listening(self, replica: Replica, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        path = runfile.record_path(self._run_dir, replica.id)
        while time.monotonic() < deadline_s:
            if replica.id not in self._watched:
                raise StartError(self._ended_with.get(replica.id, f"{replica.id} ended before it listened."))
            with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
                replica.url = runfile.read(path).url
            if replica.url is not None:
                return
            await asyncio.sleep(POLL_S)
        raise StartError(f"{replica.id} did not listen within {timeout_s:g} s; see logs/{replica.id}.log in data_dir.")

    async def stop(self, replica_id: str, grace_s: float) -> None:
        watched = self._watched.get(replica_id)
        if watched is None:
            return
        watched.asked = True
        watched.signal(signal.SIGTERM)
        for grace, escalation in ((grace_s, signal.SIGKILL), (KILL_WAIT_S, None)):
            try:
                async with asyncio.timeout(grace):
                    await watched.gone.wait()
                return
            except TimeoutError:
                if escalation is not None:
                    log.warning("replica killed after its grace time", replica_id=replica_id, after_s=grace)
                    watched.signal(escalation)
        log.error("replica alive after SIGKILL", replica_id=replica_id)

    async def close(self) -> None:
        for watched in self._watched.values():
            if watched.watcher is not None:
                watched.watcher.cancel()
            if watched.process is not None and watched.process.returncode is None:
                # The replica stays alive on purpose. Without this line, Popen warns about a running child.
                watched.process.returncode = 0

    def _watch(self, watched: Watched) -> None:
        self._watched[watched.replica.id] = watched
        watched.watcher = asyncio.create_task(self._until_gone(watched))

    async def _until_gone(self, watched: Watched) -> None:
        assert watched.replica.pid is not None
        try:
            await until_ended(os.pidfd_open(watched.replica.pid))
        except Exception as error:  # no pidfd or no free descriptor: an unseen end would never be repaired
            log.info("end of replica is polled", replica_id=watched.replica.id, reason=str(error))
            while watched.holds_lock():  # noqa: ASYNC110 - a lock has no event
                await asyncio.sleep(LOCK_POLL_S)
        self._ended(watched)

    def _ended(self, watched: Watched) -> None:
        """Record and report the end of a replica, even when its remains cannot be examined."""
        exit_code: int | None = None
        error: str | None = None
        try:
            exit_code = watched.reap()
            with contextlib.suppress(OSError, msgspec.DecodeError, StartError):
                error = runfile.read(watched.record_path).error
            if error is None and exit_code:
                error = last_words(self._log_dir / f"{watched.replica.id}.log", exit_code)
            runfile.remove(watched.record_path)
        except Exception as failed:
            log.error("end of replica not examined", replica_id=watched.replica.id, exc_info=failed)
        ended = ReplicaExit(watched.replica, exit_code, error, watched.asked)
        self._ended_with[watched.replica.id] = ended.describe()
        self._watched.pop(watched.replica.id, None)
        watched.gone.set()
        log.info("replica ended", replica_id=watched.replica.id, reason=ended.describe(), asked=watched.asked)
        self.exits.notify(ended)

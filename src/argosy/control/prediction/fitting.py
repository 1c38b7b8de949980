"""Client of the fitting process, with a time limit.

The process lives for one round of fits and costs nothing in between.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from types import TracebackType

import msgspec

from argosy.contracts.codec import LENGTH_BYTES, frame
from argosy.control.prediction.worker import FitReply, FitRequest
from argosy.telemetry.logs import logger

LIMIT_S = 5.0

log = logger("fitting")


class Fitter:
    """Async context of one round of fits. A late or failed fit returns None, and the previous fit stays in use."""

    def __init__(self, limit_s: float = LIMIT_S, module: str = "argosy.control.prediction.worker") -> None:
        self._limit_s = limit_s
        self._module = module
        self._process: Process | None = None

    async def __aenter__(self) -> Fitter:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def fit(self, request: FitRequest) -> FitReply | None:
        try:
            async with asyncio.timeout(self._limit_s):
                return await self._asked(request)
        except (TimeoutError, OSError, EOFError, msgspec.DecodeError) as error:
            log.warning("fit failed, the previous fit stays in use", reason=str(error) or type(error).__name__)
            await self._end()
            return None

    async def _asked(self, request: FitRequest) -> FitReply:
        if self._process is None:
            single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self._module, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=os.environ | single
            )
        source, target = self._process.stdout, self._process.stdin
        assert source is not None
        assert target is not None
        target.write(frame(request))
        await target.drain()
        size = int.from_bytes(await source.readexactly(LENGTH_BYTES), "big")
        return msgspec.msgpack.decode(await source.readexactly(size), type=FitReply)

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.communicate()

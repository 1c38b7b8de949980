"""Backend that runs a model file (GGUF) with llama.cpp, in a process of its own.

The process serves OpenAI's chat completions on loopback behind a key that only this service knows, so streaming,
markers, limits and errors are those of the back end `openai`. A crash of the library ends that process only; the next
question starts a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import msgspec
import psutil

from argosy.contracts.errors import Overloaded, StartError, Unavailable, UpstreamFailed
from argosy.contracts.generation import AnswerEvent, GenerateRequest, StandaloneRequest, StandaloneResponse
from argosy.contracts.request import RequestContext
from argosy.services.generation.backends.llamacpp_child import MISSING, Settings, Started
from argosy.services.generation.backends.openai import ModelUse, OpenAIBackend
from argosy.telemetry.logs import logger

START_TIMEOUT_S = 600.0
GGUF = b"GGUF"
EXTRA = "pip install 'argosy[llm]'"
REWRITE_TOKENS = 96
_MODULE = "argosy.services.generation.backends.llamacpp_child"

log = logger("llamacpp")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """Model file and how it is run. One answer is given at a time; `max_queued` further ones may wait."""

    path: Path
    context_tokens: int
    answer_tokens: int
    threads: int
    max_queued: int


class LlamaCppBackend:
    def __init__(self, file: ModelFile, use: ModelUse) -> None:
        self._file = file
        self._use = use
        self._key = secrets.token_hex(16)
        self._turn = asyncio.Lock()
        self._starting = asyncio.Lock()
        self._waiting = 0
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self._endpoint: OpenAIBackend | None = None
        self._root = ""

    async def start(self) -> None:
        """Load the model.

        Raises: StartError when the file is missing or is not a model, or the extra is not installed.
        """
        check_file(self._file.path)
        await self._ready()

    async def answer(self, request: GenerateRequest, context: RequestContext) -> AsyncGenerator[AnswerEvent, None]:
        """Implement `AnswerBackend.answer`. Closing the generator stops the model at its next token.

        Raises: Overloaded when `max_queued` answers wait already; otherwise the errors of the back end `openai`.
        """
        asked_tokens = [n for n in (request.max_tokens, request.max_completion_tokens) if n is not None]
        limit = min([self._file.answer_tokens, *asked_tokens])
        bounded = msgspec.structs.replace(request, max_tokens=limit, max_completion_tokens=None)
        async with self._my_turn():
            endpoint = await self._ready()
            async with contextlib.aclosing(endpoint.answer(bounded, context)) as events:
                async for event in events:
                    yield event

    async def standalone(self, request: StandaloneRequest, context: RequestContext) -> StandaloneResponse:
        """Return the last question, rewritten by the model. Raises: the errors of `answer`."""
        async with self._my_turn():
            return await (await self._ready()).standalone(request, context)

    async def counts(self, texts: Sequence[str]) -> list[int]:
        """Implement `TokenCounter` by the model's own tokenizer."""
        await self._ready()
        return list(await asyncio.gather(*(self._count(text) for text in texts)))

    @property
    def memory_bytes(self) -> int:
        """Resident memory of the model's process; 0 while it does not run."""
        if self._process is None or self._process.returncode is not None:
            return 0
        with contextlib.suppress(psutil.Error):
            return int(psutil.Process(self._process.pid).memory_info().rss)
        return 0

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process = None

    @contextlib.asynccontextmanager
    async def _my_turn(self) -> AsyncGenerator[None, None]:
        if self._turn.locked() and self._waiting >= self._file.max_queued:
            raise Overloaded(
                f"{self._waiting} answers wait for the language model, its limit "
                "(services.generation.max_queued_answers). Try again later."
            )
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turn.release()

    async def _ready(self) -> OpenAIBackend:
        """Return the endpoint of the running process; start a process where there is none."""
        async with self._starting:
            if self._endpoint is None or not _runs(self._process):
                if self._process is not None:
                    log.error("model process ended", pid=self._process.pid)
                await self.close()
                self._endpoint = await self._open()
            return self._endpoint

    async def _open(self) -> OpenAIBackend:
        file = self._file
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", _MODULE, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        told = Settings(str(file.path), file.context_tokens, file.threads, self._key)
        process.stdin.write(msgspec.json.encode(told) + b"\n")
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                line = await process.stdout.readline()
        except TimeoutError:
            line = b""
        except BaseException:
            await self.close()
            raise
        started = msgspec.json.decode(line, type=Started) if line else Started(error="the process ended")
        if started.error == MISSING:
            raise StartError(f'backend = "llamacpp" needs llama.cpp. Install it: {EXTRA}')
        if started.error:
            raise StartError(
                f"llama.cpp cannot load {file.path}: {started.error}. Check services.generation.model and the memory."
            )
        self._root = started.url
        self._session = aiohttp.ClientSession(headers={"authorization": f"Bearer {self._key}"})
        options = {"max_tokens": REWRITE_TOKENS, "temperature": 0.0}
        use = replace(self._use, counter=self, rewriting=options, proxied=False)
        log.info("model loaded", file=file.path.name, memory_bytes=self.memory_bytes, threads=file.threads)
        return OpenAIBackend(self._session, f"{started.url}/v1", file.path.stem, None, use)

    async def _count(self, text: str) -> int:
        if self._session is None:
            raise Unavailable("The language model's process has ended.", retry_after_s=1.0)
        try:
            async with self._session.post(f"{self._root}/tokenize", json={"content": text}) as response:
                counted = msgspec.json.decode(await response.read(), type=_Tokens)
        except (aiohttp.ClientError, msgspec.DecodeError) as error:
            raise UpstreamFailed("The language model's process broke off.") from error
        return len(counted.tokens)


def _runs(process: asyncio.subprocess.Process | None) -> bool:
    """Return whether the process runs. The event loop learns of an end later than the system does."""
    if process is None or process.returncode is not None:
        return False
    try:
        return bool(psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class _Tokens(msgspec.Struct):
    tokens: list[int]


def check_file(path: Path) -> None:
    """Check that the file is a GGUF model. Raises: StartError, which names the setting."""
    try:
        with path.open("rb") as stream:
            magic = stream.read(len(GGUF))
    except OSError as error:
        raise StartError(
            f"services.generation.model = {str(path)!r} cannot be read: {error.strerror}. Set it to a GGUF file."
        ) from error
    if magic != GGUF:
        raise StartError(f"services.generation.model = {str(path)!r} is not a GGUF file. Set it to one.")

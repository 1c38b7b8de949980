"""Backend for any OpenAI-compatible endpoint (`POST {base_url}/chat/completions`, streamed)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

import aiohttp

from argosy.contracts.errors import ArgosyError, DeadlineExceeded, Overloaded, Unavailable, UpstreamFailed
from argosy.contracts.generation import AnswerDelta, AnswerDone, AnswerEvent, AnswerFailed, GenerateRequest
from argosy.contracts.request import RequestContext
from argosy.contracts.retry_after import retry_after_s
from argosy.services.generation.backends.sse import Chunk, Usage, chunks
from argosy.services.generation.citing import citations_in
from argosy.services.generation.prompt import messages
from argosy.telemetry.logs import logger

MOST_LOGGED_BYTES = 500
DEFAULT_RETRY_AFTER_S = 1.0

log = logger("openai")


class OpenAIBackend:
    def __init__(self, session: aiohttp.ClientSession, base_url: str, model: str, api_key: str | None) -> None:
        """Create a backend. `base_url` is the endpoint's address up to `/v1`; `api_key` is None when none is needed."""
        self._session = session
        self.url = f"{base_url.rstrip('/')}/chat/completions"
        self._model = model
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}

    async def answer(self, request: GenerateRequest, context: RequestContext) -> AsyncGenerator[AnswerEvent, None]:
        """Implement `AnswerBackend.answer`: errors before the first word are raised, later ones become AnswerFailed.

        Raises: Unavailable when the endpoint cannot be reached or refuses the key or the model; Overloaded when it
        answers 429; UpstreamFailed when it answers with another error, breaks off or sends no text; DeadlineExceeded.
        """
        text: list[str] = []
        finish_reason: str | None = None
        complete = False
        usage = Usage()
        try:
            async with contextlib.aclosing(self._stream(request, context)) as stream:
                async for chunk in stream:
                    usage = chunk.usage or usage
                    complete |= chunk.done
                    for choice in chunk.choices[:1]:
                        finish_reason = choice.finish_reason or finish_reason
                        if choice.delta.content:
                            text.append(choice.delta.content)
                            yield AnswerDelta(choice.delta.content)
            if not complete and finish_reason is None:
                raise UpstreamFailed("The language model's endpoint broke off its answer.")
            if not text:
                raise UpstreamFailed("The language model's endpoint answered without a word of text.")
        except ArgosyError as error:
            if not text:
                raise
            log.warning("answer broke off", reason=error.code, request_id=context.request_id)
            yield AnswerFailed(error.code, error.message)
            return
        yield AnswerDone(
            citations=citations_in("".join(text), request.passages),
            finish_reason=finish_reason or "stop",
            model=self._model,
            prompt_tokens=usage.prompt_tokens or 0,
            completion_tokens=usage.completion_tokens or 0,
        )

    async def close(self) -> None:
        await self._session.close()

    async def _stream(self, request: GenerateRequest, context: RequestContext) -> AsyncGenerator[Chunk, None]:
        left_s = context.deadline.require("the language model was asked")
        try:
            async with self._session.post(
                self.url,
                json=self._body(request),
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=left_s),
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    raise await self._refusal(response)
                async for chunk in chunks(response.content.iter_any()):
                    yield chunk
        except TimeoutError as error:
            raise DeadlineExceeded("The language model did not finish within the time allowed.") from error
        except aiohttp.ClientConnectorError as error:
            raise Unavailable(
                "The language model's endpoint cannot be reached. Check services.generation.base_url.",
                retry_after_s=1.0,
            ) from error
        except aiohttp.ClientError as error:
            raise UpstreamFailed("The language model's endpoint broke off its answer.") from error

    def _body(self, request: GenerateRequest) -> dict[str, object]:
        body: dict[str, object] = {
            "model": self._model,
            "messages": messages(request),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.max_tokens is not None:
            body["max_tokens"] = request.max_tokens
        if request.temperature is not None:
            body["temperature"] = request.temperature
        return body

    async def _refusal(self, response: aiohttp.ClientResponse) -> ArgosyError:
        """Return the error for a refusal. The endpoint's own text goes to the log, not to the caller."""
        said = (await response.content.read(MOST_LOGGED_BYTES)).decode(errors="replace")
        log.warning("endpoint refused", status=response.status, said=said)
        if response.status in (401, 403):
            return Unavailable(
                f"The language model's endpoint refused the API key ({response.status}). "
                "Check OPENAI_API_KEY and services.generation.base_url."
            )
        if response.status == 404:
            return Unavailable(
                f"The language model's endpoint does not know the model {self._model}, or has no chat completions at "
                "its address. Check services.generation.model and services.generation.base_url."
            )
        if response.status == 429:
            return Overloaded(
                "The language model's endpoint is overloaded. Try again after the time in Retry-After.",
                retry_after_s=retry_after_s(response.headers.get("retry-after")) or DEFAULT_RETRY_AFTER_S,
            )
        return UpstreamFailed(
            f"The language model's endpoint answered with status {response.status}. Its message is in the log."
        )

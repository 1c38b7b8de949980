"""Backend for any OpenAI-compatible endpoint (`POST {base_url}/chat/completions`, streamed)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

import aiohttp

from argosy.clients.proxy import proxy_for
from argosy.contracts.errors import ArgosyError, DeadlineExceeded, Overloaded, Unavailable, UpstreamFailed
from argosy.contracts.generation import (
    AnswerDelta,
    AnswerDone,
    AnswerEvent,
    AnswerFailed,
    GenerateRequest,
    StandaloneRequest,
    StandaloneResponse,
)
from argosy.contracts.request import RequestContext
from argosy.contracts.retry_after import retry_after_s
from argosy.services.generation.backends.sse import Chunk, Usage, chunks
from argosy.services.generation.citing import citation
from argosy.services.generation.markers import MarkerFilter
from argosy.services.generation.packing import Message, pack
from argosy.services.generation.prompts import Prompts
from argosy.services.generation.rewriting import asked, rewritten
from argosy.services.generation.support import SupportCheck
from argosy.services.generation.token_count import EstimatedTokens, TokenCounter
from argosy.telemetry.logs import logger

MOST_LOGGED_BYTES = 500
DEFAULT_RETRY_AFTER_S = 1.0
MOST_REWRITTEN_CHARS = 4000

log = logger("openai")


@dataclass(frozen=True, slots=True)
class ModelUse:
    """Prompts, limits and checks with which a language model is used.

    `room` is the number of tokens for a prompt. `defaults` are fields that a request has unless the caller sets them,
    and `rewriting` those of a rewrite. `proxied` says whether the environment's proxy is used.
    """

    prompts: Prompts = field(default_factory=Prompts.load)
    counter: TokenCounter = field(default_factory=EstimatedTokens)
    room: int = 3584
    support: SupportCheck = field(default_factory=lambda: SupportCheck(None))
    defaults: Mapping[str, object] = field(default_factory=dict)
    rewriting: Mapping[str, object] = field(default_factory=dict)
    proxied: bool = True


class OpenAIBackend:
    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        model: str,
        api_key: str | None,
        use: ModelUse | None = None,
    ) -> None:
        """Create a backend. `base_url` is the endpoint's address up to `/v1`; `api_key` is None when none is needed."""
        self._session = session
        self.url = f"{base_url.rstrip('/')}/chat/completions"
        self._model = model
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._use = use or ModelUse()

    async def answer(self, request: GenerateRequest, context: RequestContext) -> AsyncGenerator[AnswerEvent, None]:
        """Implement `AnswerBackend.answer`: errors before the first word are raised, later ones become AnswerFailed.

        Raises: Unavailable when the endpoint cannot be reached or refuses the key or the model; Overloaded when it
        answers 429; UpstreamFailed when it answers with another error, breaks off or sends no text; DeadlineExceeded.
        """
        packed = await pack(self._use.prompts, request, self._use.counter, self._use.room)
        if packed.left_out:
            log.info("passages left out of the prompt", left_out=packed.left_out, request_id=context.request_id)
        markers = MarkerFilter(len(packed.passages))
        body = {**self._use.defaults, **_sampling(request)}
        text: list[str] = []
        finish_reason: str | None = None
        complete = False
        usage = Usage()
        try:
            async with contextlib.aclosing(self._stream(packed.messages, body, context)) as stream:
                async for chunk in stream:
                    usage = chunk.usage or usage
                    complete |= chunk.done
                    for choice in chunk.choices[:1]:
                        finish_reason = choice.finish_reason or finish_reason
                        if choice.delta.content and (shown := markers.feed(choice.delta.content)):
                            text.append(shown)
                            yield AnswerDelta(shown)
            if not complete and finish_reason is None:
                raise UpstreamFailed("The language model's endpoint broke off its answer.")
            if shown := markers.end().rstrip():
                text.append(shown)
                yield AnswerDelta(shown)
            if not "".join(text).strip():
                raise UpstreamFailed("The language model's endpoint answered without a word of text.")
        except ArgosyError as error:
            if not text:
                raise
            log.warning("answer broke off", reason=error.code, request_id=context.request_id)
            yield AnswerFailed(error.code, error.message)
            return
        unsupported = await self._use.support.unsupported("".join(text), packed.passages, request, context)
        if unsupported:
            log.warning("statements without support", number=len(unsupported), request_id=context.request_id)
        yield AnswerDone(
            citations=[citation(n, packed.passages[n - 1]) for n in markers.cited],
            finish_reason=finish_reason or "stop",
            model=self._model,
            prompt_tokens=usage.prompt_tokens or 0,
            completion_tokens=usage.completion_tokens or 0,
            unsupported=unsupported,
            prompt=self._use.prompts.answer.version,
        )

    async def standalone(self, request: StandaloneRequest, context: RequestContext) -> StandaloneResponse:
        """Return the last question, rewritten to stand alone.

        Raises: the errors of `answer`; UpstreamFailed when the model writes no usable question.
        """
        text = ""
        told = asked(self._use.prompts.rewrite, request)
        async with contextlib.aclosing(self._stream(told, self._use.rewriting, context)) as stream:
            async for chunk in stream:
                text += "".join(choice.delta.content or "" for choice in chunk.choices[:1])
                if len(text) > MOST_REWRITTEN_CHARS:
                    break
        return StandaloneResponse(rewritten(text, request.question), self._model)

    async def close(self) -> None:
        await self._session.close()

    async def _stream(
        self, messages: list[Message], options: Mapping[str, object], context: RequestContext
    ) -> AsyncGenerator[Chunk, None]:
        left_s = context.deadline.require("the language model was asked")
        try:
            async with self._session.post(
                self.url,
                json=self._body(messages, options),
                proxy=proxy_for(self.url) if self._use.proxied else None,
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
        except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError) as error:
            raise Unavailable(
                "The language model's endpoint cannot be reached. Check services.generation.base_url, and the proxy if "
                "HTTPS_PROXY or HTTP_PROXY is set.",
                retry_after_s=1.0,
            ) from error
        except aiohttp.ClientError as error:
            raise UpstreamFailed("The language model's endpoint broke off its answer.") from error

    def _body(self, messages: list[Message], options: Mapping[str, object]) -> dict[str, object]:
        told = {"model": self._model, "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
        return {**told, **options}

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


def _sampling(request: GenerateRequest) -> dict[str, object]:
    """Return the fields that the caller set, under the names that the caller used."""
    given = {
        "max_tokens": request.max_tokens,
        "max_completion_tokens": request.max_completion_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "stop": request.stop or None,
    }
    return {name: value for name, value in given.items() if value is not None}

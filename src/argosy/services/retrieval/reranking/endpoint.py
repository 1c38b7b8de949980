"""Reranker that calls an endpoint with the API of Cohere, Jina or text-embeddings-inference."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import aiohttp
import msgspec

from argosy.clients.proxy import proxy_for
from argosy.contracts.errors import ArgosyError, DeadlineExceeded, Overloaded, Unavailable, UpstreamFailed
from argosy.contracts.request import Clock, RequestContext
from argosy.contracts.retry_after import retry_after_s
from argosy.services.retrieval.reranking.apis import Answer, RerankApi
from argosy.services.retrieval.reranking.reranker import Relevance
from argosy.services.retrieval.reranking.rest import FAILURES, Rest
from argosy.telemetry.logs import logger

MOST_LOGGED_BYTES = 500
MOST_ANSWER_BYTES = 8 * 2**20
READ_BYTES = 2**16
DEFAULT_RETRY_AFTER_S = 1.0
SETTINGS = "services.retrieval.rerank"

log = logger("rerank")


class EndpointReranker:
    def __init__(
        self,
        session: aiohttp.ClientSession,
        api: RerankApi,
        base_url: str,
        model: str,
        api_key: str | None,
        clock: Clock = time.monotonic,
    ) -> None:
        """Create a reranker. `base_url` is the address without the API's path, which may end in the API's version."""
        self._session = session
        self._api = api
        self._url = _address(base_url, api.path)
        self._model = model
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._rest = Rest(clock)

    @property
    def name(self) -> str:
        return self._model or "reranker"

    @property
    def trouble(self) -> str:
        if self._rest.failures < FAILURES:
            return ""
        return f"the rerank endpoint failed {self._rest.failures} times in a row"

    async def scores(self, query: str, texts: Sequence[str], context: RequestContext) -> Relevance:
        """Implement `Reranker.scores` with one call. An answer without a score for every text is a failure.

        Raises: Unavailable when the endpoint cannot be reached, rests after failures, or refuses the key or the model;
        Overloaded when it answers 429; UpstreamFailed when its answer cannot be used; DeadlineExceeded.
        """
        left_s = context.deadline.require("the passages were reranked")
        resting_s = self._rest.left_s()
        if resting_s > 0:
            raise Unavailable("The rerank endpoint is not called for a while after failures.", retry_after_s=resting_s)
        try:
            answer = await self._asked(self._api.body(self._model, query, texts), left_s)
            found = _in_order(answer, len(texts))
        except ArgosyError as error:
            self._rest.failed(error.retry_after_s if isinstance(error, Overloaded | Unavailable) else None)
            raise
        self._rest.succeeded()
        return Relevance(found, answer.tokens)

    async def close(self) -> None:
        await self._session.close()

    async def _asked(self, body: dict[str, object], left_s: float) -> Answer:
        try:
            async with self._session.post(
                self._url,
                data=msgspec.json.encode(body),
                proxy=proxy_for(self._url),
                headers={**self._headers, "content-type": "application/json", "accept": "application/json"},
                timeout=aiohttp.ClientTimeout(total=left_s),
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    raise await self._refusal(response)
                read = await _whole(response)
        except TimeoutError as error:
            raise DeadlineExceeded("The rerank endpoint did not answer within the time allowed.") from error
        except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError) as error:
            raise Unavailable(
                f"The rerank endpoint cannot be reached. Check {SETTINGS}.base_url, and the proxy if HTTPS_PROXY or "
                "HTTP_PROXY is set."
            ) from error
        except aiohttp.ClientError as error:
            raise UpstreamFailed("The rerank endpoint broke off its answer.") from error
        try:
            return self._api.read(read)
        except (msgspec.DecodeError, ValueError) as error:
            raise UpstreamFailed(
                f"The rerank endpoint's answer does not have the shape of its API. Check {SETTINGS}.backend and "
                f"{SETTINGS}.base_url."
            ) from error

    async def _refusal(self, response: aiohttp.ClientResponse) -> ArgosyError:
        """Return the error for a refusal. The endpoint's own text goes to the log, not to the caller."""
        said = (await response.content.read(MOST_LOGGED_BYTES)).decode(errors="replace")
        log.warning("endpoint refused", status=response.status, said=said)
        if response.status in (401, 403):
            return Unavailable(f"The rerank endpoint refused the API key ({response.status}). Check {self._api.key}.")
        if response.status == 404:
            return Unavailable(
                f"The rerank endpoint does not know the model, or has no rerank API at its address. Check "
                f"{SETTINGS}.model and {SETTINGS}.base_url."
            )
        if response.status == 429:
            return Overloaded(
                "The rerank endpoint is overloaded.",
                retry_after_s=retry_after_s(response.headers.get("retry-after")) or DEFAULT_RETRY_AFTER_S,
            )
        return UpstreamFailed(f"The rerank endpoint answered with status {response.status}. Its message is in the log.")


def _address(base_url: str, path: str) -> str:
    """Return the address of the API. A base that already ends in the path or its version is not extended twice."""
    base = base_url.rstrip("/")
    version = path.removesuffix("/rerank")
    if base.endswith(path):
        return base
    return base.removesuffix(version) + path


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    read = bytearray()
    async for piece in response.content.iter_chunked(READ_BYTES):
        read += piece
        if len(read) > MOST_ANSWER_BYTES:
            raise UpstreamFailed("The rerank endpoint's answer is too large.")
    return bytes(read)


def _in_order(answer: Answer, count: int) -> list[float]:
    """Return one score in [0, 1] for each text.

    Models that score outside of [0, 1] are squeezed into it as a whole, so that their order stays.

    Raises: UpstreamFailed when a text has no score, or two, or one that is not a number.
    """
    found = dict(answer.scores)
    if len(answer.scores) != count or found.keys() != set(range(count)):
        raise UpstreamFailed(f"The rerank endpoint gave {len(answer.scores)} scores for {count} texts, not one each.")
    scores = [found[row] for row in range(count)]
    if not all(map(math.isfinite, scores)):
        raise UpstreamFailed("The rerank endpoint gave a score that is not a number.")
    if all(0.0 <= score <= 1.0 for score in scores):
        return scores
    return [_squeezed(score) for score in scores]


def _squeezed(score: float) -> float:
    """Return the logistic function of a score."""
    if score >= 0:
        return 1.0 / (1.0 + math.exp(-score))
    raised = math.exp(max(score, -700.0))
    return raised / (1.0 + raised)

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from argosy.config.rerank import RerankSettings
from argosy.contracts.errors import ArgosyError, DeadlineExceeded, Overloaded, Unavailable, UpstreamFailed
from argosy.contracts.request import Deadline, RequestContext
from argosy.services.retrieval.reranking.loading import opened
from argosy.services.retrieval.reranking.reranker import Reranker
from tests.integration.retrieval.rerank_endpoint import SECRET, Endpoint, serving

pytestmark = pytest.mark.integration

TEXTS = ["axbb", "xxxb", "abcd"]
SCORES = [0.25, 0.75, 0.0]
KEYS = {"COHERE_API_KEY": "cohere-key", "JINA_API_KEY": "jina-key", "TEI_API_KEY": "tei-key"}
BACKENDS = ["cohere", "jina", "tei"]


@pytest.fixture(autouse=True)
def without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with serving() as found:
        yield found


async def reranker_of(endpoint: Endpoint, backend: str, path: str = "") -> Reranker:
    model = "" if backend == "tei" else "a-model"
    settings = RerankSettings.model_validate({"backend": backend, "model": model, "base_url": endpoint.url + path})
    return await opened(settings, 1.0, KEYS)


def context(seconds: float = 20.0) -> RequestContext:
    return RequestContext("r1", Deadline.after(seconds))


@pytest.mark.parametrize(
    ("backend", "path", "body", "tokens"),
    [
        ("cohere", "/v2/rerank", {"model": "a-model", "query": "q", "documents": TEXTS, "top_n": 3}, 0),
        (
            "jina",
            "/v1/rerank",
            {"model": "a-model", "query": "q", "documents": TEXTS, "top_n": 3, "return_documents": False},
            42,
        ),
        (
            "tei",
            "/rerank",
            {"query": "q", "texts": TEXTS, "raw_scores": False, "return_text": False, "truncate": True},
            0,
        ),
    ],
)
async def test_each_api_is_asked_in_its_shape_and_its_order_is_undone(
    endpoint: Endpoint, backend: str, path: str, body: dict[str, object], tokens: int
) -> None:
    reranker = await reranker_of(endpoint, backend)

    found = await reranker.scores("q", TEXTS, context())
    await reranker.close()

    assert found.scores == SCORES
    assert found.tokens == tokens
    assert (endpoint.asked, endpoint.paths) == ([body], [path])
    assert endpoint.authorization == [f"Bearer {backend}-key"]


@pytest.mark.parametrize(
    ("backend", "path"), [("cohere", "/v2"), ("jina", "/v1/"), ("jina", "/v1/rerank"), ("tei", "/")]
)
async def test_an_address_may_end_in_the_version_or_the_path(endpoint: Endpoint, backend: str, path: str) -> None:
    reranker = await reranker_of(endpoint, backend, path)

    assert (await reranker.scores("q", TEXTS, context())).scores == SCORES
    await reranker.close()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ("401", Unavailable),
        ("403", Unavailable),
        ("404", Unavailable),
        ("429", Overloaded),
        ("400", UpstreamFailed),
        ("302", UpstreamFailed),
        ("500", UpstreamFailed),
        ("page", UpstreamFailed),
        ("breaks off", UpstreamFailed),
        ("partial", UpstreamFailed),
        ("empty", UpstreamFailed),
        ("twice", UpstreamFailed),
        ("beyond", UpstreamFailed),
        ("negative", UpstreamFailed),
        ("words", UpstreamFailed),
        ("nan", UpstreamFailed),
    ],
)
async def test_an_answer_that_cannot_be_used_is_an_error_without_the_endpoints_text(
    endpoint: Endpoint, backend: str, behaviour: str, error: type[ArgosyError]
) -> None:
    endpoint.behaviour = behaviour
    reranker = await reranker_of(endpoint, backend)

    with pytest.raises(error) as raised:
        await reranker.scores("q", TEXTS, context())
    await reranker.close()

    assert SECRET not in raised.value.message
    assert endpoint.url not in raised.value.message
    assert f"{backend}-key" not in raised.value.message
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_slow_endpoint_ends_at_the_deadline(endpoint: Endpoint, backend: str) -> None:
    endpoint.behaviour = "slow"
    reranker = await reranker_of(endpoint, backend)

    with pytest.raises(DeadlineExceeded):
        await reranker.scores("q", TEXTS, context(0.1))
    await reranker.close()


@pytest.mark.parametrize("backend", BACKENDS)
async def test_scores_outside_of_the_unit_interval_keep_their_order_inside_it(endpoint: Endpoint, backend: str) -> None:
    endpoint.behaviour = "logits"
    reranker = await reranker_of(endpoint, backend)

    scores = (await reranker.scores("q", TEXTS, context())).scores
    await reranker.close()

    assert scores == pytest.approx([0.5, 1 / (1 + 2.718281828459045**-10), 1 / (1 + 2.718281828459045**5)])


async def test_after_429_the_endpoint_is_left_alone_for_the_time_it_asked_for(endpoint: Endpoint) -> None:
    endpoint.behaviour, endpoint.retry_after = "429", "20"
    reranker = await reranker_of(endpoint, "cohere")

    with pytest.raises(Overloaded):
        await reranker.scores("q", TEXTS, context())
    endpoint.behaviour = "ok"
    with pytest.raises(Unavailable) as refused:
        await reranker.scores("q", TEXTS, context())
    await reranker.close()

    assert len(endpoint.asked) == 1
    assert 0 < (refused.value.retry_after_s or 0) <= 20


async def test_an_endpoint_that_fails_again_and_again_rests_and_is_named_as_the_trouble(endpoint: Endpoint) -> None:
    endpoint.behaviour = "500"
    reranker = await reranker_of(endpoint, "jina")

    for _ in range(6):
        with pytest.raises((UpstreamFailed, Unavailable)):
            await reranker.scores("q", TEXTS, context())

    assert len(endpoint.asked) == 3
    assert reranker.trouble == "the rerank endpoint failed 3 times in a row"
    await reranker.close()


async def test_nobody_at_the_address_is_an_error_that_names_the_setting() -> None:
    settings = RerankSettings(backend="tei", base_url="http://127.0.0.1:9")
    reranker = await opened(settings, 1.0, {})

    with pytest.raises(Unavailable, match=r"services\.retrieval\.rerank\.base_url"):
        await reranker.scores("q", TEXTS, context())
    await reranker.close()


async def test_the_environments_proxy_is_used(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", endpoint.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    reranker = await opened(RerankSettings(backend="tei", base_url="http://rerank.invalid"), 1.0, {})

    found = await reranker.scores("q", TEXTS, context())
    await reranker.close()

    assert found.scores == SCORES
    assert endpoint.authorization == [None]

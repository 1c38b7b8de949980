from __future__ import annotations

import asyncio
import base64
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.config.models import Fleet
from tests.asgi import Answer, call
from tests.unit.gateway.fakes import Rig

pytestmark = pytest.mark.unit

MODEL = "sentence-transformers/all-MiniLM-L6-v2"


async def embed(rig: Rig, **fields: object) -> Answer:
    return await call(rig.app, "POST", "/v1/embeddings", json={"model": MODEL, "input": "hi", **fields})


async def test_texts_become_vectors_in_order(rig: Rig) -> None:
    answer = await embed(rig, input=["a", "b"])

    assert answer.json() == {
        "object": "list",
        "model": MODEL,
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.0, 1.0]},
            {"object": "embedding", "index": 1, "embedding": [2.0, 3.0]},
        ],
        "usage": {"prompt_tokens": 6, "total_tokens": 6},
    }


async def test_base64_holds_little_endian_float32(rig: Rig) -> None:
    answer = await embed(rig, input=["a", "b"], encoding_format="base64")

    encoded = [item["embedding"] for item in answer.json()["data"]]  # type: ignore[attr-defined]
    assert [np.frombuffer(base64.b64decode(e), "<f4").tolist() for e in encoded] == [[0.0, 1.0], [2.0, 3.0]]


async def test_texts_of_which_only_the_beginning_was_read_are_named(rig: Rig) -> None:
    rig.upstream.embedding.truncated = True

    assert (await embed(rig)).json()["truncated"] == [0]


async def test_a_models_folder_is_never_shown() -> None:
    rig = Rig(Fleet.model_validate({"services": {"embedding": {"model": "/private/place/my-model"}}}))

    refused = await embed(rig, model="other")

    assert "my-model" in str(refused.error()["message"])
    assert b"private" not in refused.body
    assert (await embed(rig, model="my-model")).status == 200


@pytest.mark.parametrize(
    ("fields", "status", "param", "says"),
    [
        ({"input": ""}, 400, "input", "position 0"),
        ({"input": ["a", ""]}, 400, "input", "position 1"),
        ({"input": []}, 400, "input", "no text"),
        ({"input": [1, 2, 3]}, 400, "input", "arrays of tokens"),
        ({"input": [[1, 2], [3]]}, 400, "input", "arrays of tokens"),
        ({"input": ["a", 3]}, 400, "input.1", "string"),
        ({"input": ["x"] * 2049}, 400, "input", "2048"),
        ({"model": "text-embedding-9"}, 404, "model", MODEL),
        ({"encoding_format": "int8"}, 400, "encoding_format", "base64"),
        ({"dimensions": 1}, 400, "dimensions", "2 dimensions"),
        ({"inputs": "x"}, 400, "inputs", "did you mean input"),
    ],
)
async def test_what_cannot_be_embedded_is_refused(
    rig: Rig, fields: dict[str, object], status: int, param: str, says: str
) -> None:
    answer = await embed(rig, **fields)

    assert (answer.status, answer.error()["param"]) == (status, param), answer.body
    assert says in str(answer.error()["message"])


async def test_both_names_of_the_model_are_known(rig: Rig) -> None:
    for name in ("argosy", MODEL, "all-MiniLM-L6-v2"):
        answer = await embed(rig, model=name)
        assert (answer.status, answer.json()["model"]) == (200, name)


async def test_what_came_from_the_cache_is_told(rig: Rig) -> None:
    rig.upstream.embedding.hits = 3

    assert (await embed(rig, input=["a", "b", "c", "d"])).headers["x-argosy-cache"] == "hits=3,misses=1"


async def test_what_openais_clients_send_is_taken(rig: Rig) -> None:
    answer = await embed(rig, user="someone", dimensions=2, encoding_format="base64")

    assert answer.status == 200


@pytest.mark.parametrize(("sent", "param"), [("bad", "input"), (["good", "bad"], "input.1")])
async def test_a_text_that_fails_is_named_in_the_callers_words(rig: Rig, sent: object, param: str) -> None:
    answer = await embed(rig, input=sent)

    assert (answer.status, answer.error()["param"]) == (400, param)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"model": "argosy", "input": "\\ud800"}', "surrogate"),
        (b'{"model": "argosy", "input": ["\\ud800 and more"]}', "surrogate"),
        (b'{"model": "argosy", "input": "\xff"}', "not valid JSON"),
        (b'{"model": "argosy", "input": "a\\u0000b"}', "position 0 of input holds a NUL"),
        (b'{"model": "argosy", "input": "' + b"x" * 2**20 + b'"}', "limit is 200000"),
        (b'{"model": "argosy", "input": [' + b'"x",' * 99_999 + b'"x"]}', "limit is 2048"),
        (b'{"model": "argosy", "input": [' + b"null," * 99_999 + b"null]}", "limit is 2048"),
    ],
)
async def test_texts_that_are_none_are_refused_with_what_to_do(rig: Rig, body: bytes, says: str) -> None:
    answer = await call(rig.app, "POST", "/v1/embeddings", body=body, headers={"content-type": "application/json"})

    assert answer.status == 400
    assert says in str(answer.error()["message"])
    assert rig.upstream.embedding.asked == []


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


ONE_RIG = Rig()


@settings(max_examples=100, deadline=None)
@given(value=JSON_VALUES)
def test_whatever_input_is_the_answer_is_vectors_or_an_error_that_names_it(value: object) -> None:
    body = json.dumps({"model": "argosy", "input": value}).encode()
    headers = {"content-type": "application/json"}
    answer = asyncio.run(call(ONE_RIG.app, "POST", "/v1/embeddings", body=body, headers=headers))

    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, list) and texts and all(isinstance(t, str) and t.strip() and "\0" not in t for t in texts):
        assert answer.status == 200
        assert len(answer.json()["data"]) == len(texts)  # type: ignore[arg-type]
    else:
        assert answer.status == 400
        assert str(answer.error()["param"]).startswith("input")
        assert str(answer.error()["message"])[-1] in ".?"

from __future__ import annotations

import base64

import numpy as np
import pytest

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


async def test_the_short_name_of_the_model_is_known_too(rig: Rig) -> None:
    assert (await embed(rig, model="all-MiniLM-L6-v2")).status == 200


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

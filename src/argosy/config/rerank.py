"""Settings of the stage that orders the best passages again: [services.retrieval.rerank]."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, model_validator

from argosy.config.base import Settings

_ADDRESS = re.compile(r"https?://[^/\s@?#]+(/[^\s?#]*)?")


class RerankSettings(Settings):
    """Stage of a search that reads the query together with each of the best passages and orders them by relevance."""

    backend: Literal["none", "onnx", "cohere", "jina", "tei"] = Field(
        "none",
        description="`none` leaves the stage out; `onnx` runs a cross-encoder in the service; `cohere`, `jina` and "
        "`tei` (text-embeddings-inference) call an endpoint with the API of that name.",
    )
    model: str = Field(
        "",
        max_length=512,
        description="A cross-encoder's name on the Hugging Face hub or its folder (backend `onnx`), or the endpoint's "
        "model name (backends `cohere` and `jina`).",
    )
    base_url: str = Field(
        "",
        max_length=2048,
        description="The endpoint's address without the API's path, such as http://127.0.0.1:8000; empty takes the "
        "public address of Cohere or Jina.",
    )
    candidates: int = Field(
        20,
        ge=1,
        le=200,
        description="Passages that are ordered again, the best ones of the search; the cost grows with them.",
    )
    timeout_ms: float = Field(
        2000.0,
        ge=1,
        le=60_000,
        description="Time for the stage; then the search keeps the order without it and names `rerank` as degraded.",
    )
    max_tokens: int = Field(
        512,
        ge=16,
        le=8192,
        description="Most tokens of a query and a passage together, of which the rest is not read (backend `onnx`).",
    )
    threads: int = Field(
        0,
        ge=0,
        le=256,
        description="Batches that one replica computes at once, each on one core; 0 means the replica's share of the "
        "cores (backend `onnx`).",
    )
    max_batch_tokens: int = Field(1024, ge=16, le=1_000_000, description="Most tokens of one batch (backend `onnx`).")
    max_queued: int = Field(
        32,
        ge=1,
        le=10_000,
        description="Most requests of one replica that are reranked or wait for it at once; further searches keep the "
        "order without it.",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.backend in ("onnx", "cohere", "jina") and not self.model:
            what = "the name or the folder of a cross-encoder" if self.backend == "onnx" else "the endpoint's model"
            raise ValueError(f'backend = "{self.backend}" needs model; set model to {what}')
        if self.backend == "tei" and not self.base_url:
            raise ValueError('backend = "tei" needs base_url; set base_url to the address of the endpoint')
        if self.base_url and not _ADDRESS.fullmatch(self.base_url):
            raise ValueError(
                "base_url is not an address such as http://127.0.0.1:8000; correct it, and give a key in the "
                "environment only"
            )
        return self

"""Request bodies as pydantic models: unknown fields are refused, and each limit stands at its field.

The chat and embeddings bodies use OpenAI's names, so that OpenAI's own clients work. A field that Argosy does not act
on is accepted where ignoring it is harmless, and refused where ignoring it would change the meaning of the answer.

Pydantic collects an error for each wrong item. Lengths are therefore checked before items, and a list stops at its
first wrong item: a body of a million wrong items costs little more than reading it.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from argosy.contracts.documents import MAX_METADATA_KEY_CHARS
from argosy.contracts.embedding import MAX_TEXTS
from argosy.contracts.filters import Filters
from argosy.contracts.retrieval import SearchMode
from argosy.services.gateway.filters import SCHEMA, read_filters

MAX_TOP_K = 50
MAX_SEARCH_TOP_K = 150
"""Largest number of results of a search. It is deeper than an answer needs, so that recall can be measured."""
MAX_RERANK_DOCUMENTS = 1000
MAX_MESSAGES = 1000
MAX_PARTS = 100
MAX_BIASES = 1024
MAX_LABEL_CHARS = 512
MAX_COUNT = 2**31 - 1

T = TypeVar("T")


def _at_most(limit: int) -> BeforeValidator:
    """Return a check of an object's length that runs before its members are validated; pydantic's runs afterwards."""

    def check(value: object) -> object:
        if isinstance(value, dict) and len(value) > limit:
            raise ValueError(f"holds {len(value)} members, the limit is {limit}; send fewer")
        return value

    return BeforeValidator(check)


Label = Annotated[str, Field(max_length=MAX_LABEL_CHARS)]
Key = Annotated[str, Field(min_length=1, max_length=MAX_METADATA_KEY_CHARS)]
SentFilters = Annotated[Filters, PlainValidator(read_filters), WithJsonSchema(SCHEMA)]
TopK = Annotated[int, Field(ge=1, le=MAX_TOP_K, description="Number of chunks to use, best first.")]
SearchTopK = Annotated[int, Field(ge=1, le=MAX_SEARCH_TOP_K, description="Number of chunks to return, best first.")]
CollectionName = Annotated[str, Field(min_length=1, max_length=128)]
Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]
Nothing = Annotated[list[object], Field(max_length=0)]
Stop = Annotated[str, Field(max_length=MAX_LABEL_CHARS)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _first_unknown(cls, value: object) -> object:
        """Keep only the first unknown field: pydantic would report an error for each unknown field."""
        if not isinstance(value, dict) or value.keys() <= cls.model_fields.keys():
            return value
        unknown = next(name for name in value if name not in cls.model_fields)
        known = {name: value[name] for name in cls.model_fields if name in value}
        return {**known, unknown: value[unknown]}


class SearchBody(Body):
    """Body of `POST /v1/search`."""

    query: str
    collection: CollectionName = "default"
    top_k: SearchTopK = 10
    mode: SearchMode = SearchMode.HYBRID
    filters: SentFilters = {}
    rerank: bool | None = Field(
        None,
        description="Whether the best passages are ordered again by the fleet's reranker. Without it, the fleet's "
        "setting counts; true is refused if the fleet has no reranker.",
    )


class RerankDocument(Body):
    text: str


class RerankBody(Body):
    """Body of `POST /v1/rerank`: the fields of Cohere's and Jina's APIs."""

    query: str
    documents: Annotated[
        list[str | RerankDocument],
        Field(fail_fast=True, min_length=1, max_length=MAX_RERANK_DOCUMENTS, description="Texts to be ordered."),
    ]
    model: Label | None = Field(None, description="Accepted and ignored: the fleet's reranker answers.")
    top_n: Count | None = Field(None, description="Number of results, best first; without it, all documents.")
    return_documents: bool | None = Field(False, description="Whether each result holds its text.")
    rank_fields: Annotated[list[Literal["text"]], Field(fail_fast=True, max_length=1)] | None = None
    truncation: bool | None = None
    max_tokens_per_doc: Count | None = None
    max_chunks_per_doc: Count | None = None
    priority: Annotated[int, Field(ge=0, le=999)] | None = None

    @field_validator("documents", mode="before")
    @classmethod
    def _few_enough(cls, value: object) -> object:
        if isinstance(value, list) and len(value) > MAX_RERANK_DOCUMENTS:
            raise ValueError(f"holds {len(value)} documents, the limit is {MAX_RERANK_DOCUMENTS}; send fewer at once")
        return value

    def texts(self) -> list[str]:
        return [one if isinstance(one, str) else one.text for one in self.documents]


class TextPart(Body):
    type: Literal["text", "input_text"]
    text: str


class ChatMessage(Body):
    """Turn of a chat.

    `content` may be null in an assistant's turn. OpenAI's clients send the fields after `name` back.
    """

    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[list[TextPart], Field(fail_fast=True, max_length=MAX_PARTS)] | None = None
    name: Label | None = None
    refusal: str | None = None
    annotations: Annotated[list[object], Field(max_length=1000)] | None = None
    audio: None = None
    function_call: None = None
    tool_calls: Nothing | None = None

    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(Body):
    include_usage: bool = False
    include_obfuscation: bool = False


class ResponseFormat(Body):
    type: Literal["text"]


class ChatBody(Body):
    """Body of `POST /v1/chat/completions`: OpenAI's fields, and `collection`, `top_k`, `mode` and `filters`."""

    model: Label = Field(description="argosy, or argosy/COLLECTION.")
    messages: Annotated[list[ChatMessage], Field(fail_fast=True, min_length=1, max_length=MAX_MESSAGES)]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None

    collection: CollectionName | None = None
    top_k: TopK | None = None
    mode: SearchMode = SearchMode.HYBRID
    filters: SentFilters = {}

    n: Literal[1] | None = 1
    response_format: ResponseFormat | None = None
    modalities: Annotated[list[Literal["text"]], Field(fail_fast=True, max_length=8)] | None = None
    logprobs: Literal[False] | None = None
    tools: Nothing | None = None
    tool_choice: Literal["none", "auto"] | None = None

    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    stop: Stop | Annotated[list[Stop], Field(fail_fast=True, max_length=16)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    logit_bias: Annotated[dict[Key, float], Field(max_length=MAX_BIASES), _at_most(MAX_BIASES)] | None = None
    user: Label | None = None
    metadata: Annotated[dict[Key, Label], Field(max_length=64), _at_most(64)] | None = None
    store: bool | None = None
    service_tier: Label | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Label | None = None
    verbosity: Label | None = None
    safety_identifier: Label | None = None
    prompt_cache_key: Label | None = None


class EmbeddingsBody(Body):
    """Body of `POST /v1/embeddings`: OpenAI's fields. The input must be text, not tokens."""

    model: Label = Field(description="argosy, or the embedding model's own name.")
    input: str | Annotated[list[str], Field(fail_fast=True, min_length=1, max_length=MAX_TEXTS)] = Field(
        description=f"One text, or a list of up to {MAX_TEXTS} texts."
    )
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: Count | None = Field(None, description="Must be the model's own number of dimensions.")
    user: Label | None = None

    @field_validator("input", mode="before")
    @classmethod
    def _texts(cls, value: object) -> object:
        if not isinstance(value, list):
            return value
        if not value:
            raise ValueError("holds no text; send at least one")
        if isinstance(value[0], int | list):
            raise ValueError("arrays of tokens are not accepted; send the texts themselves")
        if len(value) > MAX_TEXTS:
            raise ValueError(
                f"holds {len(value)} texts, the limit is {MAX_TEXTS}; send fewer at once, or stream them as "
                "application/x-ndjson, one per line"
            )
        return value

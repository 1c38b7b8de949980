"""What callers may send, as pydantic models: unknown fields are refused, each limit stands at its field.

The chat and embeddings bodies take OpenAI's names, so that its own clients work; what we do not act on is
accepted where ignoring it is harmless and refused where it would change the answer's meaning.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from argosy.contracts.embedding import MAX_TEXTS
from argosy.contracts.retrieval import SearchMode

MAX_TOP_K = 50

Scalar = str | bool | int | float | None
MAX_INTEGER = 2**53
"""Beyond it, JSON readers disagree about the number."""


def _within_reach(filters: dict[str, Scalar]) -> dict[str, Scalar]:
    for key, value in filters.items():
        if isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise ValueError(f"{key[:40]} is over 2^53; send it as a text")
    return filters


Filters = Annotated[
    dict[str, Scalar],
    AfterValidator(_within_reach),
    Field(max_length=32, description="Equality on document_id, source, name, title or a metadata key."),
]
TopK = Annotated[int, Field(ge=1, le=MAX_TOP_K, description="Chunks to use, best first.")]
CollectionName = Annotated[str, Field(min_length=1, max_length=128)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SearchBody(Body):
    """`POST /v1/search`."""

    query: str
    collection: CollectionName = "default"
    top_k: TopK = 10
    mode: SearchMode = SearchMode.HYBRID
    filters: Filters = {}
    rerank: Literal[False] = Field(False, description="Reranking is not available yet: only false.")


class TextPart(Body):
    type: Literal["text", "input_text"]
    text: str


class ChatMessage(Body):
    """`content` may be null in an assistant's turn. The fields after `name` are what OpenAI's clients send back."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart] | None = None
    name: str | None = None
    refusal: str | None = None
    annotations: list[object] | None = None
    audio: None = None
    function_call: None = None
    tool_calls: Annotated[list[object], Field(max_length=0)] | None = None

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
    """`POST /v1/chat/completions`: OpenAI's shape, and `collection`, `top_k`, `mode`, `filters`."""

    model: str = Field(description="argosy, or argosy/COLLECTION.")
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None

    collection: CollectionName | None = None
    top_k: TopK | None = None
    mode: SearchMode = SearchMode.HYBRID
    filters: Filters = {}

    n: Literal[1] | None = 1
    response_format: ResponseFormat | None = None
    modalities: list[Literal["text"]] | None = None
    logprobs: Literal[False] | None = None
    tools: Annotated[list[object], Field(max_length=0)] | None = None
    tool_choice: Literal["none", "auto"] | None = None

    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    logit_bias: dict[str, float] | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    service_tier: str | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None


class EmbeddingsBody(Body):
    """`POST /v1/embeddings`: OpenAI's shape, texts only."""

    model: str = Field(description="argosy, or the embedding model's own name.")
    input: str | list[str] = Field(description=f"One text, or up to {MAX_TEXTS}.")
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = Field(None, description="Only the model's own number.")
    user: str | None = None

    @field_validator("input", mode="before")
    @classmethod
    def _texts(cls, value: object) -> object:
        """Before pydantic looks at each item: a hundred thousand wrong ones would be as many errors."""
        if not isinstance(value, list):
            return value
        if value and isinstance(value[0], int | list):
            raise ValueError("arrays of tokens are not accepted; send the texts themselves")
        if len(value) > MAX_TEXTS:
            raise ValueError(
                f"holds {len(value)} texts, the limit is {MAX_TEXTS}; send fewer at once, or stream them as "
                "application/x-ndjson, one a line"
            )
        return value

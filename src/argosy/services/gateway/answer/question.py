"""Question of a chat request: the last user message, the turns before it, the collection and the search options."""

from __future__ import annotations

from dataclasses import dataclass, field

from argosy.contracts.errors import InvalidRequest, ModelNotFound, TooLarge
from argosy.contracts.filters import Filters
from argosy.contracts.generation import ChatTurn
from argosy.contracts.retrieval import SearchMode
from argosy.services.gateway.bodies import ChatBody

CHAT_MODEL = "argosy"
DEFAULT_COLLECTION = "default"
HISTORY_QUESTIONS = 10
"""Longest history, as a multiple of the longest question."""


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    top_k: int
    collection: str = DEFAULT_COLLECTION
    mode: SearchMode = SearchMode.HYBRID
    history: list[ChatTurn] = field(default_factory=list)
    filters: Filters = field(default_factory=dict)
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


def question_of(body: ChatBody, max_chars: int, context_passages: int) -> Question:
    """Return the question of a chat request.

    Raises: InvalidRequest when there is no user message, its text is empty, or two collections are named; TooLarge when
    the question or the earlier messages are too long; ModelNotFound when `model` is not a chat model.
    """
    asked = next((n for n in reversed(range(len(body.messages))) if body.messages[n].role == "user"), None)
    if asked is None:
        raise InvalidRequest(
            "messages has no message with role user. Send the question in such a message.", param="messages"
        )
    text = body.messages[asked].text()
    check_text(text, f"messages.{asked}.content", max_chars)
    turns = [ChatTurn(m.role, m.text()) for m in body.messages[:asked] if m.text().strip()]
    if sum(len(turn.content) for turn in turns) > HISTORY_QUESTIONS * max_chars:
        raise TooLarge(
            f"The earlier messages have over {HISTORY_QUESTIONS * max_chars} characters together. Send fewer of them.",
            param="messages",
        )
    return Question(
        text=text,
        top_k=body.top_k or context_passages,
        collection=_collection(body),
        mode=body.mode,
        history=turns,
        filters=body.filters,
        max_tokens=body.max_tokens,
        max_completion_tokens=body.max_completion_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        seed=body.seed,
        stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ()),
    )


def check_text(text: str, param: str, max_chars: int) -> None:
    """Check the length of a text.

    Raises: InvalidRequest when it is empty; TooLarge when it is over `max_chars`.
    """
    if not text.strip():
        raise InvalidRequest(f"{param} is empty; send a question.", param=param)
    if len(text) > max_chars:
        raise TooLarge(
            f"{param} has {len(text)} characters, the limit is {max_chars} (services.gateway.max_question_chars). "
            "Shorten it.",
            param=param,
        )


def _collection(body: ChatBody) -> str:
    name, slash, collection = body.model.partition("/")
    if name != CHAT_MODEL or (slash and not collection):
        raise ModelNotFound(
            f"There is no model {body.model[:100]!r} for chat. Send {CHAT_MODEL}, or {CHAT_MODEL}/COLLECTION to ask "
            "one collection; GET /v1/models lists them.",
            param="model",
        )
    if collection and body.collection not in (None, collection):
        raise InvalidRequest(
            f"model names the collection {collection[:100]}, but the field collection names another. Send one of them.",
            param="collection",
        )
    return collection or body.collection or DEFAULT_COLLECTION

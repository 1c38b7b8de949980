"""Follow-up question rewritten by a language model: the prompt, and what is accepted as its result."""

from __future__ import annotations

from argosy.contracts.errors import UpstreamFailed
from argosy.contracts.generation import StandaloneRequest
from argosy.services.generation.packing import Message
from argosy.services.generation.prompts import Prompt

MAX_TURNS = 6
MAX_TURN_CHARS = 1500
MAX_GROWTH_CHARS = 400
"""Most characters by which a rewritten question may be longer than the question."""
_QUOTES = "\"'“”„«»`"


def asked(prompt: Prompt, request: StandaloneRequest) -> list[Message]:
    """Return the message that asks for the standalone question. Only the newest turns are told, shortened."""
    turns = [turn for turn in request.history if turn.role in ("user", "assistant")][-MAX_TURNS:]
    told = "\n".join(f"{turn.role}: {_shortened(turn.content)}" for turn in turns)
    return [{"role": "user", "content": prompt.filled(conversation=told, question=request.question)}]


def rewritten(text: str, question: str) -> str:
    """Return the model's question.

    Raises: UpstreamFailed when the model wrote nothing, or far more than a question.
    """
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    made = lines[0].removeprefix("Question:").strip().strip(_QUOTES).strip() if len(lines) == 1 else ""
    if not made or len(made) > len(question) + MAX_GROWTH_CHARS:
        raise UpstreamFailed("The language model did not rewrite the question.")
    return made


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_TURN_CHARS else f"{text[:MAX_TURN_CHARS]} …"

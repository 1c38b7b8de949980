"""The answer when the generation service gives none: the best sentences by their words, without asking anyone."""

from __future__ import annotations

from argosy.contracts.generation import AnswerDelta, AnswerDone, AnswerEvent, GenerateRequest


def extractive_answer(request: GenerateRequest, max_sentences: int) -> list[AnswerEvent]:
    """Deltas, then AnswerDone. Tokens are counted as words."""
    # Brings numpy, which a gateway needs for nothing else: a fifth of its start.
    from argosy.answering.extract import Extraction

    composed = Extraction.of(request.question, request.passages).compose(max_sentences)
    return [
        *(AnswerDelta(piece) for piece in composed.pieces),
        AnswerDone(
            citations=composed.citations,
            prompt_tokens=sum(len(p.chunk.text.split()) for p in request.passages) + len(request.question.split()),
            completion_tokens=len(composed.text.split()),
        ),
    ]

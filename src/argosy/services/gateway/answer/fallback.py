"""Answer composed in the gateway when generation fails: the units whose words match the question best."""

from __future__ import annotations

from argosy.contracts.generation import AnswerDelta, AnswerDone, AnswerEvent, GenerateRequest


def extractive_answer(request: GenerateRequest, max_sentences: int) -> list[AnswerEvent]:
    """Return deltas, then AnswerDone. Token counts are counts of words."""
    # The import loads numpy, which a gateway needs for nothing else: it takes a fifth of the start time.
    from argosy.answering.extract import Extraction

    extraction = Extraction(request.question, request.passages, request.analysis, request.carried)
    composed = extraction.compose(max_sentences)
    return [
        *(AnswerDelta(piece) for piece in composed.pieces),
        AnswerDone(
            citations=composed.citations,
            prompt_tokens=sum(len(p.chunk.text.split()) for p in request.passages) + len(request.question.split()),
            completion_tokens=len(composed.text.split()),
        ),
    ]

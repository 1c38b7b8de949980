"""Query of a chat request: its question, made to stand alone when it follows up on earlier turns.

A language model rewrites the question where generation has one and answers in time; otherwise the rule of
`argosy.answering.follow_up` decides.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from argosy.answering.follow_up import added_words, standalone
from argosy.contracts.errors import SERVICE_FAILURES
from argosy.contracts.generation import StandaloneRequest
from argosy.contracts.request import RequestContext
from argosy.services.gateway.answer.question import Question
from argosy.services.gateway.upstream import Generator
from argosy.telemetry.logs import logger

REWRITE_SHARE = 0.2
"""Largest share of the remaining time that the rewriting may take."""

log = logger("answer")


@dataclass(frozen=True, slots=True)
class Query:
    """Text to search for. `by` names what made it from the conversation: `question`, `rule` or `model`.

    `carried` holds the words that are not the question's own. `fell_back` says that a model should have made it.
    """

    text: str
    carried: str = ""
    by: str = "question"
    fell_back: bool = False


def query_by_rule(question: Question) -> Query:
    found = standalone(question.text, question.history)
    return Query(found.query, found.carried, "rule" if found.carried else "question")


async def query_of(
    question: Question, generation: Generator, model_limit_s: float | None, context: RequestContext
) -> Query:
    """Return the query of a question.

    Args:
        model_limit_s: time that a language model may take; None when generation has no language model.
    """
    by_rule = query_by_rule(question)
    if model_limit_s is None or not any(turn.role == "user" for turn in question.history):
        return by_rule
    limit_s = min(model_limit_s, REWRITE_SHARE * context.deadline.remaining_s())
    hop = replace(context, deadline=context.deadline.within(limit_s))
    try:
        async with asyncio.timeout(limit_s):
            made = await generation.standalone(StandaloneRequest(question.text, question.history), hop)
    except (*SERVICE_FAILURES, TimeoutError) as error:
        log.warning("follow-up rewritten by rule", reason=type(error).__name__, request_id=context.request_id)
        return replace(by_rule, fell_back=True)
    carried = added_words(made.query, question.text)
    if made.query == question.text:
        return Query(question.text)
    return Query(made.query, carried, "model")

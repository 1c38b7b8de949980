"""Messages for a language model that fit its window: rules, numbered passages, earlier turns, and the question.

Neighbouring chunks of one section are joined, so that the model reads the section whole. Passages are left out whole,
from the end of the list. Earlier turns are left out from the oldest on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from argosy.answering.joining import join_neighbours
from argosy.contracts.errors import TooLarge, UpstreamFailed
from argosy.contracts.generation import ChatTurn, GenerateRequest
from argosy.contracts.retrieval import Passage
from argosy.contracts.store import Chunk
from argosy.services.generation.prompts import Prompts
from argosy.services.generation.token_count import TokenCounter

NO_PASSAGES = "(no passage was found)"
KEPT_ROLES = frozenset({"system", "user", "assistant"})
MESSAGE_TOKENS = 8
"""Tokens by which a model's chat format separates messages, at most."""
HISTORY_SHARE = 1 / 3
"""Largest share of the room beside rules and question that earlier turns take while there are passages."""

Message = dict[str, str]


@dataclass(frozen=True, slots=True)
class Packed:
    """Messages to send. `passages` are those that the model sees, so `[n]` means `passages[n - 1]`."""

    messages: list[Message]
    passages: list[Passage]
    left_out: int = 0


async def pack(prompts: Prompts, request: GenerateRequest, counter: TokenCounter, room: int) -> Packed:
    """Return the messages of at most `room` tokens. Neighbours are joined unless a passage would not fit then.

    Raises: TooLarge when the question alone does not fit; UpstreamFailed when not even the first passage fits.
    """
    joined = join_neighbours(request.passages)
    if len(joined) < len(request.passages):
        with contextlib.suppress(UpstreamFailed):
            packed = await _packed(prompts, request, joined, counter, room)
            if not packed.left_out:
                return packed
    return await _packed(prompts, request, request.passages, counter, room)


async def _packed(
    prompts: Prompts, request: GenerateRequest, given: list[Passage], counter: TokenCounter, room: int
) -> Packed:
    turns = _turns(request.history)
    passages = [_numbered(n, passage) for n, passage in enumerate(given, start=1)]
    rules = prompts.answer.filled(passages="")
    counts = await counter.counts([rules, request.question, *(turn.content for turn in turns), *passages])
    fixed = counts[0] + counts[1] + 2 * MESSAGE_TOKENS
    left = room - fixed
    if left < 0:
        raise TooLarge(
            f"The question takes about {counts[1]} tokens, and the language model's window has room for "
            f"{max(0, room - counts[0] - 2 * MESSAGE_TOKENS)} (services.generation.context_tokens). Shorten it.",
            param="messages",
        )
    of_turns = [count + MESSAGE_TOKENS for count in counts[2 : 2 + len(turns)]]
    of_passages = counts[2 + len(turns) :]
    for share in (HISTORY_SHARE if passages else 1.0, 0.0):
        kept_turns, spent = _newest(turns, of_turns, int(left * share))
        kept = _fitting(of_passages, left - spent)
        if kept or not passages:
            break
    else:
        raise UpstreamFailed("No passage fits the language model's window. Raise services.generation.context_tokens.")
    listed = "\n\n".join(passages[:kept]) or NO_PASSAGES
    told = [{"role": "system", "content": prompts.answer.filled(passages=listed)}]
    told += [{"role": turn.role, "content": turn.content} for turn in kept_turns]
    told.append({"role": "user", "content": request.question})
    return Packed(told, given[:kept], len(passages) - kept)


def _turns(history: Sequence[ChatTurn]) -> list[ChatTurn]:
    roles = [("system" if turn.role == "developer" else turn.role, turn.content) for turn in history]
    return [ChatTurn(role, content) for role, content in roles if role in KEPT_ROLES]


def _newest(turns: Sequence[ChatTurn], counts: Sequence[int], room: int) -> tuple[list[ChatTurn], int]:
    """Return the turns that fit, in order, and their tokens. Instructions come first, then the newest turns."""
    order = sorted(range(len(turns)), key=lambda n: (turns[n].role != "system", -n))
    kept: list[int] = []
    spent = 0
    for n in order:
        if spent + counts[n] > room:
            break
        kept.append(n)
        spent += counts[n]
    return [turns[n] for n in sorted(kept)], spent


def _fitting(counts: Sequence[int], room: int) -> int:
    kept = 0
    for count in counts:
        room -= count + 1
        if room < 0:
            break
        kept += 1
    return kept


def _numbered(number: int, passage: Passage) -> str:
    return f"[{number}] {_heading(passage)}\n{passage.chunk.text}"


def _heading(passage: Passage) -> str:
    chunk = passage.chunk
    place = [chunk.title or chunk.name, *chunk.heading_path]
    return " > ".join(dict.fromkeys(place)) + _pages(chunk)


def _pages(chunk: Chunk) -> str:
    if chunk.page is None:
        return ""
    return (
        f", page {chunk.page}" if chunk.last_page in (None, chunk.page) else f", pages {chunk.page}–{chunk.last_page}"
    )

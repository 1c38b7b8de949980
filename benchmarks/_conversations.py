"""Conversations made by rule from questions over the same article: a later turn leaves out what an earlier one named.

The later turn is a real question of the data set whose shared words are replaced by a pronoun or left out, so the full
question and its right document are known.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
FRAME_LIST = """
    what who when where why how which whose whom much many long far old is are was were be been do does did has have
    had can could will would should the a an of in on at to for from by with as and or that this it its their his her
    they he she not than about into after before during name type kind one
"""
FRAME = frozenset(FRAME_LIST.split())
VERBS = frozenset(("is", "are", "was", "were", "do", "does", "did", "has", "have", "had", "can", "could", "will"))


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns of a user with the answers between them. `full` is the last turn as a question that stands alone."""

    kind: str
    questions: list[str]
    answers: list[str]
    full: str
    document: str


@dataclass(frozen=True, slots=True)
class Asked:
    text: str
    document: str
    answer: str


def data_set(given: Path | None) -> Path | None:
    """Return the folder of XQuAD-en in the given one; None when none is given or it has no such data set."""
    if given is None:
        return None
    return next((folder for folder in (given / "xquad-en", given) if (folder / "queries.jsonl").exists()), None)


def conversations(folder: Path) -> list[Conversation]:
    """Return every conversation that the rules make, by kind and by article in turn."""
    found: dict[str, list[Conversation]] = defaultdict(list)
    for _, asked in sorted(_by_article(folder).items()):
        made: dict[str, list[Conversation]] = defaultdict(list)
        for first, last in itertools.permutations(asked, 2):
            for conversation in _two_turns(first, last):
                made[conversation.kind].append(conversation)
        for one in list(made["pronoun"]):
            other = next((a for a in asked if a.text not in (one.questions[0], one.full) and _named(a.text, one)), None)
            if other is not None:
                asked_between = _replaced(other.text, _shared(one.questions[0], other.text))
                made["three turns"].append(
                    Conversation(
                        "three turns",
                        [one.questions[0], asked_between, one.questions[1]],
                        [one.answers[0], other.answer],
                        one.full,
                        one.document,
                    )
                )
        for kind, several in made.items():
            seen: set[str] = set()
            for one in several:
                if one.full not in seen:
                    seen.add(one.full)
                    found[kind].append(one)
    return [one for kind in sorted(found) for one in found[kind]]


def _named(text: str, one: Conversation) -> bool:
    shared = _shared(one.questions[0], one.full)
    return bool(shared) and shared in text and _replaced(text, shared) != text


def _two_turns(first: Asked, last: Asked) -> Iterator[Conversation]:
    shared = _shared(first.text, last.text)
    if not shared:
        return
    said = _replaced(last.text, shared)
    left = [w for w in WORD.findall(said.lower()) if w not in FRAME]
    if said != last.text and len(left) >= 1:
        yield Conversation("pronoun", [first.text, said], [first.answer], last.text, last.document)
    if short := _elliptic(first.text, last.text):
        yield Conversation("elliptic", [first.text, short], [first.answer], last.text, last.document)


def _shared(first: str, last: str) -> str:
    """Return the longest run of words in both texts that holds a name, as it stands in `last`; empty if there is none.

    The first word of a question is no name.
    """
    earlier = f" {' '.join(WORD.findall(first)).lower()} "
    words = list(WORD.finditer(last))
    best = ""
    for begin, end in itertools.combinations(range(1, len(words) + 1), 2):
        run = last[words[begin].start() : words[end - 1].end()] if begin < len(words) else ""
        names = [w[0] for w in words[begin:end]]
        if not names or names[0].lower() in FRAME or names[-1].lower() in FRAME:
            continue
        if not any(n[0].isupper() for n in names) or len(run) <= len(best) or re.search(r"[,.;:?!()]", run):
            continue
        around = [w[0] for w in (*words[max(1, begin - 1) : begin], *words[end : end + 1])]
        if any(w[0].isupper() or w[0].isdigit() for w in around):
            continue  # part of a longer name
        if f" {' '.join(names).lower()} " in earlier:
            best = run
    return best


def _replaced(text: str, shared: str) -> str:
    """Return the text with a pronoun in place of the shared words."""
    at = text.find(shared)
    if not shared or at < 0:
        return text
    before, after = text[:at], text[at + len(shared) :]
    before = re.sub(r"\b(?:the|a|an)\s+$", "", before, flags=re.I)
    plural = shared.endswith("s") and not shared.endswith("ss")
    if re.match(r"\s+[a-z]", after) and not re.match(r"\s+(?:" + "|".join(VERBS | FRAME) + r")\b", after):
        next_word = re.match(r"\s+([a-z]+)", after)
        if next_word and not before.rstrip().lower().endswith(tuple(VERBS)):
            return f"{before}{'their' if plural else 'its'}{after}"
    if re.match(r"['’]s\b", after):
        return f"{before}{'their' if plural else 'its'}{after[2:]}"
    subject = re.search(r"\b(?:" + "|".join(VERBS) + r")\s+$", before) is not None
    return f"{before}{('they' if subject else 'them') if plural else 'it'}{after}"


def _elliptic(first: str, last: str) -> str:
    """Return `And` and the first words of `last` up to its verb, when the rest stands in `first` as well."""
    words = WORD.findall(last)
    verb = next((n for n, w in enumerate(words) if w.lower() in VERBS), None)
    if verb is None or verb < 2:
        return ""
    head = words[:verb]
    rest = {w.lower() for w in words[verb:]} - FRAME
    own = {w.lower() for w in head} - FRAME
    known = {w.lower() for w in WORD.findall(first)}
    if not own or not rest or own <= known or len(rest & known) < len(rest) / 2:
        return ""
    return (
        f"And {last[: last.index(words[verb])].strip()[0].lower()}{last[1 : last.index(' ' + words[verb])].rstrip()}?"
    )


def _by_article(folder: Path) -> dict[str, list[Asked]]:
    texts, titles = {}, {}
    for line in (folder / "corpus.jsonl").read_text().splitlines():
        document = json.loads(line)
        texts[document["_id"]], titles[document["_id"]] = document["text"], document["title"]
    of = {}
    for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, document_id, _ = line.split("\t")
        of[query] = document_id
    found: dict[str, list[Asked]] = defaultdict(list)
    for line in (folder / "queries.jsonl").read_text().splitlines():
        query = json.loads(line)
        document_id = of[query["_id"]]
        answer = _sentence(texts[document_id], query["metadata"]["answers"][0])
        found[titles[document_id]].append(Asked(query["text"].strip(), document_id, answer))
    return found


def _sentence(text: str, answer: str) -> str:
    """Return the sentence that holds the answer, with the marker that the fleet's own answers have."""
    at = text.find(answer)
    begin = text.rfind(". ", 0, max(at, 0)) + 2 if text.rfind(". ", 0, max(at, 0)) >= 0 else 0
    end = text.find(". ", at + len(answer))
    return f"{text[begin : end + 1 if end >= 0 else len(text)]} [1]"

"""Benchmark of follow-up questions: is the right document found when earlier turns name the topic?

`python benchmarks/follow_ups.py --data DIR` prints a Markdown table. DIR holds `xquad-en` in BEIR layout. A fleet is
started for the run, or `--url` names one that runs. The rule was tuned on the articles with even numbers; the table is
of those with odd numbers.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from argosy.answering.follow_up import standalone
from argosy.contracts.generation import ChatTurn
from benchmarks._conversations import Conversation, conversations, data_set
from benchmarks._running import fleet_url

COLLECTION = "follow-ups"
CONVERSATIONS = 60
TOP = 3
SEED = 11


def call(url: str, path: str, body: object | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as response:
        return json.load(response)


def load(url: str, folder: Path) -> None:
    """Index the data set and wait until every document is searchable."""
    if COLLECTION not in [c["name"] for c in call(url, "/v1/collections")["collections"]]:
        call(url, "/v1/collections", {"name": COLLECTION})
    documents = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
    for begin in range(0, len(documents), 40):
        sent = [{"id": d["_id"], "title": d["title"], "text": d["text"]} for d in documents[begin : begin + 40]]
        batch = call(url, "/v1/documents", {"documents": sent, "collection": COLLECTION})["batch_id"]
        while not call(url, f"/v1/batches/{batch}?wait_s=30")["done"]:
            pass


def found(url: str, query: str, document: str) -> bool:
    results = call(url, "/v1/search", {"query": query, "collection": COLLECTION, "top_k": 4 * TOP})["results"]
    sources = list(dict.fromkeys(result["source"] for result in results))[:TOP]
    return document in sources


def history(conversation: Conversation, *, answers: bool) -> list[ChatTurn]:
    turns: list[ChatTurn] = []
    for question, answer in zip(conversation.questions, conversation.answers, strict=False):
        turns.append(ChatTurn("user", question))
        if answers:
            turns.append(ChatTurn("assistant", answer))
    return turns


def measure(url: str, chosen: list[Conversation]) -> None:
    """Print the table for the conversations whose full question finds the document."""
    chosen = [one for one in chosen if found(url, one.full, one.document)]
    rows: dict[str, list[tuple[bool, bool, bool]]] = defaultdict(list)
    for one in chosen:
        last = one.questions[-1]
        hits = (
            found(url, last, one.document),
            found(url, standalone(last, history(one, answers=False)).query, one.document),
            found(url, standalone(last, history(one, answers=True)).query, one.document),
        )
        rows[one.kind].append(hits)
        rows["all"].append(hits)
    print(
        f"| conversations | number | last question alone | rule, questions only | rule, with answers |\n|{'---|' * 5}"
    )
    for kind, hits_of_kind in rows.items():
        shares = [sum(column) / len(hits_of_kind) for column in zip(*hits_of_kind, strict=True)]
        print(f"| {kind} | {len(hits_of_kind)} | {' | '.join(f'{share:.3f}' for share in shares)} |")


def unrelated(chosen: list[Conversation]) -> None:
    """Print how many questions about a new topic get words of the old one."""
    pairs = [(a, b) for a, b in itertools.pairwise(chosen) if a.document[:2] != b.document[:2]]
    mixed = [b.full for a, b in pairs if standalone(b.full, [ChatTurn("user", a.full)]).carried]
    print(f"\nNew topics with words of the old one: {len(mixed)} of {len(pairs)}.")


def select(made: list[Conversation], half: int, number: int) -> list[Conversation]:
    """Return conversations of all kinds in equal numbers, from the articles of one half."""
    random.seed(SEED)
    kinds: dict[str, list[Conversation]] = defaultdict(list)
    for one in made:
        if int(one.document.split("-")[0]) % 2 == half:
            kinds[one.kind].append(one)
    return [one for several in kinds.values() for one in random.sample(several, min(len(several), number // 3))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds xquad-en, or that data set's own folder")
    parser.add_argument("--url", default="", help="a running fleet; without it one is started")
    parser.add_argument("--half", type=int, choices=(0, 1), default=1)
    parser.add_argument("--number", type=int, default=CONVERSATIONS)
    asked = parser.parse_args()
    folder = data_set(asked.data)
    if folder is None:
        print("Follow-up questions need recorded questions: give their folder with --data.")
        return
    made = conversations(folder)
    chosen = select(made, asked.half, asked.number)
    with fleet_url(asked.url) as url:
        load(url, folder)
        measure(url, chosen)
    unrelated(random.sample(made, len(made)))


if __name__ == "__main__":
    main()

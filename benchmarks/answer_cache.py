"""Benchmark of the semantic answer cache: how many questions would get the answer to another question?

`python benchmarks/answer_cache.py --data DIR` embeds the questions of `DIR/xquad-en` with a fleet, which it starts
unless `--url` names one, and prints a Markdown table. A pair is wrong when its questions have no answer in common;
`alone` compares vectors only.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import urllib.request
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from argosy.answering.likeness import may_share_answer
from argosy.contracts.vectors import Vectors
from benchmarks._conversations import data_set
from benchmarks._running import fleet_url

THRESHOLDS = (0.85, 0.90, 0.92, 0.95, 0.97)
BATCH = 64


def embedded(url: str, texts: list[str]) -> Vectors:
    rows = []
    for begin in range(0, len(texts), BATCH):
        body = {"model": "argosy", "input": texts[begin : begin + BATCH], "encoding_format": "base64"}
        request = urllib.request.Request(
            f"{url}/v1/embeddings", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=300) as response:
            rows += [np.frombuffer(base64.b64decode(d["embedding"]), "<f4") for d in json.load(response)["data"]]
    return np.stack(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds xquad-en, or that data set's own folder")
    parser.add_argument("--url", default="", help="a running fleet; without it one is started")
    asked = parser.parse_args()
    folder = data_set(asked.data)
    if folder is None:
        print("The answer cache needs recorded questions: give their folder with --data.")
        return
    queries = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    texts = [query["text"].strip() for query in queries]
    answers = [{answer.lower() for answer in query["metadata"]["answers"]} for query in queries]
    with fleet_url(asked.url) as url:
        vectors = embedded(url, texts)
    cosines = np.triu(vectors @ vectors.T, 1)
    print(f"| cosine from | wrong pairs alone | wrong pairs after words | of these the same text |\n|{'---|' * 4}")
    for threshold in THRESHOLDS:
        pairs = list(zip(*(axis.tolist() for axis in np.where(cosines >= threshold)), strict=True))
        wrong = [(a, b) for a, b in pairs if not answers[a] & answers[b]]
        left = [(a, b) for a, b in wrong if may_share_answer(texts[a], texts[b])]
        same = sum(texts[a].lower() == texts[b].lower() for a, b in left)
        print(f"| {threshold} | {len(wrong)} | {len(left)} | {same} |")


if __name__ == "__main__":
    main()

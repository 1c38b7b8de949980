"""Vectors of answer units through a fleet of real processes: they are stored with the chunks and used for answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.fleet import FAKE, RealFleet, until
from tests.e2e.wire import send

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LOOKED_UP = re.compile(r'^argosy_embedding_cache_(?:hits|misses)_total\{level="memory"\} (\S+)$', re.MULTILINE)

TEXTS = {
    f"quay-{number}.md": f"# Quay {number}\n\nThe crane of quay {number} lifts {number} tons. Ships wait for the tide. "
    "Its keeper counts the boxes twice a day."
    for number in range(3, 6)
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealFleet]:
    cwd = tmp_path_factory.mktemp("unit-vectors")
    fleet = RealFleet(cwd / "data", cwd)
    try:
        fleet.up(*FAKE).ok()
        batch = fleet.upload(TEXTS, "default")["batch_id"]
        until(lambda: fleet.call("GET", f"/v1/batches/{batch}?wait_s=30").json()["done"], "indexed")
        yield fleet
    finally:
        fleet.end()


def ask(fleet: RealFleet, question: str) -> dict[str, Any]:
    message = {"model": "argosy", "messages": [{"role": "user", "content": question}]}
    return dict(fleet.call("POST", "/v1/chat/completions", message).json())


def test_only_the_question_is_embedded_for_an_answer(fleet: RealFleet) -> None:
    ask(fleet, "Who counts the boxes?")  # the replicas are known to one another from here on
    before = embedded(fleet)
    answer = ask(fleet, "How many tons does the crane of quay 4 lift?")
    assert (bool(answer["citations"]), answer["degraded"]) == (True, [])
    assert embedded(fleet) - before == 1


def embedded(fleet: RealFleet) -> int:
    """Return how many texts the embedding service has been asked for: each is first looked up in memory."""
    record = json.loads((fleet.data_dir / "run" / "embedding-1.json").read_bytes())
    text = send(f"http://127.0.0.1:{record['port']}", "GET", "/metrics").body.decode()
    return sum(int(float(count)) for count in LOOKED_UP.findall(text))

"""`argosy add --wait`: how often the state of each batch is requested."""

from __future__ import annotations

from typing import cast

import pytest

from argosy.cli.add import LOOK_AT, follow
from argosy.cli.progress import Quiet
from argosy.cli.sending.upload import Sent, Uploader
from argosy.contracts.documents import Accepted, BatchView, DocumentStatus

pytestmark = pytest.mark.unit

BATCHES = 40


class Uploads:
    """Uploader whose batches finish one after another, each after `per_batch` waits."""

    def __init__(self, per_batch: int) -> None:
        self.per_batch = per_batch
        self.waits = 0
        self.looks: list[str] = []

    def batch(self, batch_id: str, wait_s: int) -> BatchView:
        self.waits += wait_s > 0
        self.looks.append(batch_id)
        done = int(batch_id) < self.waits // self.per_batch
        counts = {status.value: 0 for status in DocumentStatus} | {"indexed" if done else "queued": 1}
        return BatchView(batch_id, 1, counts, float(done), done, 0.0 if done else 1.0, [], 0)


def test_every_open_batch_is_looked_at_again_before_any_estimate_grows_old() -> None:
    uploads = Uploads(per_batch=10)
    sent = Sent([Accepted(str(number), [], 0, 1.0) for number in range(BATCHES)])

    views = follow(cast("Uploader", uploads), sent, Quiet())

    assert all(view.done for view in views)
    rounds = -(-BATCHES // LOOK_AT)
    early = uploads.looks[BATCHES : BATCHES + rounds * (1 + LOOK_AT)]
    assert set(early) == {str(number) for number in range(BATCHES)}

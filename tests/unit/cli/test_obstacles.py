"""`argosy add --wait` while nothing can be indexed, and its end by Ctrl-C."""

from __future__ import annotations

import resource
from typing import cast

import msgspec
import pytest
import typer

from argosy.cli import checks
from argosy.cli.add import ASK_EVERY, follow
from argosy.cli.client.gateway import Api, Reply
from argosy.cli.client.locate import FleetAddress
from argosy.cli.client.replies import FleetHealth
from argosy.cli.progress import Quiet
from argosy.cli.sending.obstacles import interruptible, obstacle
from argosy.cli.sending.upload import Sent, Uploader
from argosy.contracts.documents import Accepted, BatchView, DocumentStatus
from argosy.contracts.fleet import Health, ServiceView

pytestmark = pytest.mark.unit


class Waiting:
    """Uploader whose batch ends after `waits` waits."""

    def __init__(self, waits: int) -> None:
        self.waits = waits
        self.waited = 0

    def batch(self, batch_id: str, wait_s: int) -> BatchView:
        self.waited += wait_s > 0
        done = self.waited >= self.waits
        counts = {status.value: 0 for status in DocumentStatus} | {"indexed" if done else "queued": 1}
        return BatchView(batch_id, 1, counts, float(done), done, None, [], 0)


class Told(Quiet):
    def __init__(self) -> None:
        self.sentences: list[str] = []

    def tell(self, sentence: str) -> None:
        self.sentences.append(sentence)


def _service(name: str, status: Health, reason: str) -> ServiceView:
    return ServiceView(name, status, reason, 1, None, 0, None, {}, [])


class FakeApi:
    def get(self, path: str) -> Reply:
        services = [
            _service("embedding", Health.UNHEALTHY, "No usable files of the model were found."),
            _service("generation", Health.UNHEALTHY, "killed"),
            _service("documents", Health.DEGRADED, "embedding UNHEALTHY"),
        ]
        return Reply(msgspec.json.encode(FleetHealth(Health.DEGRADED, services)))


def test_the_reason_is_told_after_the_first_wait_and_only_once() -> None:
    uploads, told = Waiting(waits=3 * ASK_EVERY), Told()
    asked_after: list[int] = []

    def why() -> str:
        asked_after.append(uploads.waited)
        return "Nothing is indexed now: store is UNHEALTHY."

    follow(cast("Uploader", uploads), Sent([Accepted("1", [], 0, 1.0)]), told, why)

    assert asked_after[0] == 1
    assert len(asked_after) <= 4
    assert told.sentences == ["Nothing is indexed now: store is UNHEALTHY."]


def test_the_reason_names_the_services_that_indexing_needs() -> None:
    said = obstacle(cast("Api", FakeApi()))
    assert "embedding is UNHEALTHY (No usable files of the model were found)" in said
    assert "generation" not in said
    assert "argosy status" in said


def test_an_interrupted_wait_says_that_indexing_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, interruptible(lambda: "Indexing goes on in the background."):
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    assert "Indexing goes on in the background. Follow it with: argosy documents list" in capsys.readouterr().err


@pytest.mark.parametrize(("hard", "outcome"), [(1024, checks.Verdict.WARN), (1_048_576, checks.Verdict.OK)])
def test_the_doctor_warns_of_a_low_limit_on_open_files(
    hard: int, outcome: checks.Verdict, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, hard))
    address = FleetAddress("", "", tmp_path_factory.mktemp("data"))
    [finding] = checks.check_open_files(checks.Examined(address, None, "", {}))
    assert finding.outcome is outcome
    assert str(hard) in finding.found
    if outcome is checks.Verdict.WARN:
        assert "ulimit -Hn" in finding.remedy
        assert "LimitNOFILE=" in finding.remedy

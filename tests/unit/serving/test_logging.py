"""Logs: request ids, collapsed repeats, rotation, and the access log."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from argosy.cli.log_files import LogFiles
from argosy.serving.endpoint_health import REMEMBERED_S, EndpointHealth
from argosy.telemetry import logs
from argosy.telemetry.access_log import MOST_WAITING, AccessLog, Served
from argosy.telemetry.log_output import REPEATS_S, LogOutput, Rotation, rotated

pytestmark = pytest.mark.unit


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def kept() -> Iterator[None]:
    """Restore the root logger, which `configure` changes."""
    root, ours = logging.getLogger(), logging.getLogger(logs.ROOT)
    before = root.handlers, root.level, ours.level
    yield
    for handler in root.handlers:
        if isinstance(handler, LogOutput):
            handler.close()
    root.handlers, root.level, ours.level = before


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.usefixtures("kept")
def test_every_line_of_a_request_carries_its_id(tmp_path: Path) -> None:
    logs.configure("store", "store-1", sink=tmp_path / "store-1.log")
    log = logs.logger("store")
    log.info("outside")
    token = logs.REQUEST_ID.set("r-1")
    log.info("inside")
    logging.getLogger("a.library").warning("inside too")
    logs.REQUEST_ID.reset(token)
    lines = _lines(tmp_path / "store-1.log")
    assert [line.get("request_id") for line in lines] == [None, "r-1", "r-1"]
    assert lines[0]["replica"] == "store-1"


@pytest.mark.usefixtures("kept")
def test_repeats_of_a_warning_become_one_line_with_their_number(tmp_path: Path) -> None:
    output = logs.configure("retrieval", sink=tmp_path / "x.log")
    clock = Clock()
    output._clock = clock
    log = logs.logger("retrieval")
    for attempt in range(390):
        logs.REQUEST_ID.set(f"r-{attempt}")
        log.warning("embedding failed", reason=f"no answer within {attempt} ms", attempt=attempt)
    logs.REQUEST_ID.set("")
    log.warning("embedding failed", reason="refused the key")
    log.info("embedding failed")
    assert len(_lines(tmp_path / "x.log")) == 3
    clock.now_s += REPEATS_S + 1
    log.warning("another warning")
    summary = _lines(tmp_path / "x.log")[3]
    assert (summary["event"], summary["repeated"]) == ("embedding failed", 389)
    assert "request_id" not in summary
    log.warning("embedding failed", reason="no answer within 5 ms")
    assert "repeated" not in _lines(tmp_path / "x.log")[-1]


@pytest.mark.usefixtures("kept")
def test_the_count_is_written_when_the_process_ends(tmp_path: Path) -> None:
    output = logs.configure("retrieval", sink=tmp_path / "x.log")
    for _ in range(3):
        logs.logger("retrieval").warning("again")
    output.close()
    assert [line.get("repeated") for line in _lines(tmp_path / "x.log")] == [None, 2]


@pytest.mark.usefixtures("kept")
def test_a_full_file_is_rotated_and_all_files_together_stay_below_the_cap(tmp_path: Path) -> None:
    limits = Rotation(file_bytes=10_000, total_bytes=50_000)
    logs.configure("store", "store-1", sink=tmp_path / "store-1.log", rotation=limits)
    log = logs.logger("store")
    for number in range(2000):
        log.info("written", number=number)
        total = sum(file.stat().st_size for file in tmp_path.iterdir())
        assert total <= limits.total_bytes + 1000
    assert (tmp_path / "store-1.log").stat().st_size <= limits.file_bytes + 1000
    assert len(rotated(tmp_path / "store-1.log")) >= 3
    numbers = [line.fields["number"] for line in LogFiles(tmp_path, "store").merged()]
    assert numbers == list(range(2000 - len(numbers), 2000))


def test_a_follower_misses_no_line_of_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "store-1.log"
    path.write_text('{"event": "a"}\n')
    files = LogFiles(tmp_path, "store")
    assert [line.fields["event"] for line in files.merged()] == ["a"]
    with path.open("a") as stream:
        stream.write('{"event": "b"}\n')
    path.rename(tmp_path / "store-1.log.1")
    path.write_text('{"event": "c"}\n')
    assert [line.fields["event"] for line in files.merged()] == ["b", "c"]


def _served(status: int = 200, seconds: float = 0.01, request_id: str = "r") -> Served:
    return Served("POST", "/v1/search", "/v1/search", status, seconds, request_id)


def test_failures_and_slow_requests_are_always_written_and_others_by_share() -> None:
    written: list[str] = []
    none = AccessLog({"service": "gateway"}, written.extend, share=0.0, slow_s=1.0)
    polled = Served("GET", "/v1/batches/b", "/v1/batches/{id}", 200, 30.0, "r", waits=True)
    for served in (_served(), _served(503), _served(404), _served(seconds=1.5), polled):
        none.record(served)
    none.close()
    assert [(json.loads(line)["status"], json.loads(line)["duration_ms"]) for line in written] == [
        (503, 10.0),
        (404, 10.0),
        (200, 1500.0),
    ]
    written.clear()
    some = AccessLog({"service": "gateway"}, written.extend, share=0.2, slow_s=1.0)
    for number in range(1000):
        some.record(_served(request_id=f"id-{number}"))
    some.close()
    assert 100 < len(written) < 300
    line = json.loads(written[0])
    assert (line["event"], line["route"], line["service"]) == ("request", "/v1/search", "gateway")


def test_all_services_write_the_same_requests() -> None:
    first: list[str] = []
    second: list[str] = []
    both = [AccessLog({}, written.extend, share=0.3, slow_s=1.0) for written in (first, second)]
    for number in range(100):
        for log in both:
            log.record(_served(request_id=f"id-{number}"))
    for log in both:
        log.close()
    ids = [[json.loads(line)["request_id"] for line in written] for written in (first, second)]
    assert ids[0] == ids[1]


def test_a_flood_is_bounded_and_the_number_left_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    log = AccessLog({}, written.extend, share=0.0, slow_s=1.0)
    monkeypatch.setattr(log, "_run", lambda: None)
    for _ in range(MOST_WAITING + 50):
        log.record(_served(429))
    log.flush()
    assert len(written) == MOST_WAITING + 1
    assert json.loads(written[-1])["number"] == 50


def test_the_fault_of_an_endpoint_is_reported_until_it_works_or_is_old() -> None:
    clock = Clock()
    health = EndpointHealth(clock)
    assert health.reason() == ""
    health.failed("The endpoint refused the API key (401).")
    assert health.reason() == "The endpoint refused the API key (401)"
    health.worked()
    assert health.reason() == ""
    health.failed("It cannot be reached.")
    clock.now_s += REMEMBERED_S + 1
    assert health.reason() == ""

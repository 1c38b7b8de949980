"""Upload: requests are bounded, a full queue is waited for, and one bad file never stops the rest."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import cast

import aiohttp
import msgspec
import pytest

from argosy.cli.client.gateway import Api, NoFleet, Reply
from argosy.cli.sending import upload
from argosy.cli.sending.collect import Outgoing
from argosy.cli.sending.upload import Uploader
from argosy.contracts.documents import RefusedUpload
from argosy.contracts.errors import (
    ArgosyError,
    CollectionNotFound,
    InvalidRequest,
    Overloaded,
    TooLarge,
    Unavailable,
    UnsupportedType,
)

pytestmark = pytest.mark.unit


class ScriptedApi:
    """API that accepts all files, except when its script or the content of a file names an error."""

    def __init__(self, *script: ArgosyError) -> None:
        self.script = deque(script)
        self.requests: list[list[str]] = []
        self.refused: list[RefusedUpload] = []

    def post(self, path: str, message: object) -> Reply:
        assert path == "/v1/documents/refused"
        assert isinstance(message, RefusedUpload)
        if any(len(document.source) > 2048 for document in message.documents):
            raise InvalidRequest("documents[0].source is too long.")
        self.refused.append(message)
        return Reply(b"{}")

    def post_form(self, path: str, form: Callable[[], aiohttp.FormData]) -> Reply:
        fields = form()._fields
        names = [cast("str", options["filename"]) for options, _, _ in fields if "filename" in options]
        self.requests.append(names)
        if self.script:
            raise self.script.popleft()
        if any(name.startswith("bad") for name in names):
            raise UnsupportedType("bad is not supported.")
        documents = [{"id": name, "name": name, "status": "queued"} for name in names]
        body = {
            "batch_id": str(len(self.requests)),
            "documents": documents,
            "queue_position": 0,
            "estimated_seconds": 1,
        }
        return Reply(msgspec.json.encode(body))


class Waits:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now_s += seconds

    def clock(self) -> float:
        return self.now_s


def uploader(api: ScriptedApi, waits: Waits | None = None) -> Uploader:
    waits = waits or Waits()
    return Uploader(cast("Api", api), pause=waits.pause, clock=waits.clock)


def text(name: str) -> Outgoing:
    return Outgoing(name, f"file:///{name}", data=b"text")


@pytest.fixture
def in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send files in the given order."""
    monkeypatch.setattr(upload, "_drawn", lambda one: b"")


def test_a_request_carries_at_most_32_files() -> None:
    api = ScriptedApi()
    settled: list[int] = []

    sent = uploader(api).send([text(f"{n}.md") for n in range(70)], settled.append)

    assert [len(names) for names in api.requests] == settled == [32, 32, 6]
    assert sum(len(batch.documents) for batch in sent.accepted) == 70


def test_a_request_carries_a_bounded_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "BYTES_PER_REQUEST", 9)
    api = ScriptedApi()

    uploader(api).send([text(f"{n}.md") for n in range(5)])

    assert [len(names) for names in api.requests] == [2, 2, 1]


@pytest.mark.usefixtures("in_order")
def test_a_rejected_file_does_not_stop_the_others() -> None:
    api = ScriptedApi()

    sent = uploader(api).send([text("a.md"), text("bad.png"), text("b.md")])

    assert [batch.documents[0].name for batch in sent.accepted] == ["a.md", "b.md"]
    assert [(one.name, one.code) for one in sent.rejected] == [("bad.png", "unsupported_type")]


def test_what_is_sound_in_a_request_with_a_bad_file_goes_in_few_requests() -> None:
    api = ScriptedApi()

    sent = uploader(api).send([text("bad.png"), *(text(f"{n}.md") for n in range(31))])

    assert len(api.requests) == 1 + 2 * 5
    assert sum(len(batch.documents) for batch in sent.accepted) == 31
    assert len(sent.accepted) == 5


def test_kinds_are_mixed_and_the_same_files_go_in_the_same_order_again() -> None:
    files = [text(f"{n}.{kind}") for kind in ("csv", "html", "md", "pdf") for n in range(32)]
    first, again = ScriptedApi(), ScriptedApi()

    uploader(first).send(files)
    uploader(again).send(files[::-1])

    assert first.requests == again.requests
    kinds = [{name.split(".")[1] for name in names} for names in first.requests]
    assert kinds == [{"csv", "html", "md", "pdf"}] * 4


@pytest.mark.usefixtures("in_order")
def test_a_request_too_large_as_a_whole_is_sent_in_halves() -> None:
    api = ScriptedApi(TooLarge("too much"))

    sent = uploader(api).send([text("a.md"), text("b.md")])

    assert api.requests == [["a.md", "b.md"], ["a.md"], ["b.md"]]
    assert sent.rejected == []


def test_an_error_that_concerns_every_file_ends_the_sending() -> None:
    api = ScriptedApi(CollectionNotFound("There is no such collection."))

    with pytest.raises(CollectionNotFound):
        uploader(api).send([text("a.md"), text("b.md")])
    assert len(api.requests) == 1


def test_a_full_queue_is_waited_out_as_long_as_it_asks() -> None:
    api, waits = ScriptedApi(Overloaded("full", retry_after_s=7.0), Overloaded("full")), Waits()

    sent = uploader(api, waits).send([text("a.md")])

    assert waits.pauses == [7.0, upload.DEFAULT_WAIT_S]
    assert len(sent.accepted) == 1


def test_a_queue_that_stays_full_is_given_up_in_the_end() -> None:
    api, waits = ScriptedApi(*[Overloaded("full", retry_after_s=30.0)] * 1000), Waits()

    with pytest.raises(Overloaded):
        uploader(api, waits).send([text("a.md")])
    assert waits.now_s <= upload.FULL_QUEUE_PATIENCE_S


def test_a_fleet_that_was_never_met_is_not_waited_for() -> None:
    waits = Waits()

    with pytest.raises(NoFleet):
        uploader(ScriptedApi(NoFleet("No fleet.")), waits).send([text("a.md")])
    assert waits.pauses == []


def test_an_outage_in_between_is_waited_out() -> None:
    api, waits = ScriptedApi(), Waits()
    sender = uploader(api, waits)
    sender.send([text("a.md")])
    api.script.extend([NoFleet("No fleet."), Unavailable("The documents service is unavailable.")])

    sent = sender.send([text("b.md")])

    assert len(sent.accepted) == 1
    assert len(waits.pauses) == 2


def test_a_file_that_cannot_be_read_is_reported_beside_the_others(tmp_path: Path) -> None:
    gone = Outgoing("gone.md", "file:///gone.md", path=tmp_path / "gone.md")

    sent = uploader(ScriptedApi()).send([gone, text("a.md")])

    assert [(one.name, one.code) for one in sent.rejected] == [("gone.md", "unreadable_file")]
    assert len(sent.accepted) == 1


def test_control_characters_in_a_name_do_not_break_the_request() -> None:
    api = ScriptedApi()

    uploader(api).send([text("new\nline.md")])

    assert api.requests == [["new line.md"]]


@pytest.mark.usefixtures("in_order")
def test_what_will_not_be_indexed_is_left_with_the_fleet_request_by_request(tmp_path: Path) -> None:
    api = ScriptedApi()
    gone = Outgoing("gone.md", "file:///gone.md", path=tmp_path / "gone.md")
    others = [text(f"{n}.md") for n in range(40)]

    uploader(api).send([text("bad.png"), gone, *others, text("bad.gif")])

    kept = [[(one.source, one.error.code) for one in message.documents] for message in api.refused]
    assert kept == [
        [("file:///gone.md", "unreadable_file"), ("file:///bad.png", "unsupported_type")],
        [("file:///bad.gif", "unsupported_type")],
    ]
    assert [message.documents[0].bytes for message in api.refused] == [0, 4]
    assert {message.collection for message in api.refused} == {"default"}


def test_what_cannot_even_be_named_is_reported_and_ends_nothing() -> None:
    sent = uploader(ScriptedApi()).send([Outgoing("bad.png", "file:///" + "x" * 3000, data=b"x"), text("a.md")])

    assert [one.name for one in sent.rejected] == ["bad.png"]
    assert len(sent.accepted) == 1

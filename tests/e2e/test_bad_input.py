"""Bad input of any kind gets a one-sentence error in Argosy's shape, and the fleet keeps serving."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.fleet import SharedFleet, argosy, names, until
from tests.e2e.wire import Answer, Part, multipart, send
from tests.samples import bad_samples
from tests.samples.make_samples import PAGES, SECRET, docx, pdf

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SHAPE = {"message", "type", "code", "param", "request_id", "retryable"}
INTERNALS = ("Traceback", ".py", "site-packages", "/work", "/tmp", "src/argosy", "argosy.services", "0x")
LONGEST_MESSAGE = 400
SEARCH = "/v1/search"
CHAT = "/v1/chat/completions"
EMBED = "/v1/embeddings"
ADD = "/v1/documents"


def refused(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """Return the error after checking the properties that all errors share."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == SHAPE
    assert error["code"] == code, error
    assert error["retryable"] is False
    assert error["request_id"]
    assert answer.headers["x-request-id"] == error["request_id"]
    message = error["message"]
    assert "\n" not in message
    assert 10 < len(message) < LONGEST_MESSAGE
    assert message[-1] in ".?", message
    assert not any(internal in message for internal in INTERNALS), message
    return error


def question(content: object, **more: object) -> dict[str, object]:
    return {"model": "argosy", "messages": [{"role": "user", "content": content}], **more}


@dataclass(frozen=True)
class Bad:
    """A request that must be refused. `says` is part of the message, `param` names the field."""

    path: str
    status: int
    code: str
    says: str = ""
    param: str | None = None
    message: object = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"


JSON_HEADERS = {"content-type": "application/json"}
FORM_HEADERS = {"content-type": "multipart/form-data; boundary=b"}
INVALID = (400, "invalid_request")
REQUESTS: dict[str, Bad] = {
    "empty question": Bad(CHAT, *INVALID, "empty", "messages.0.content", question("")),
    "blank question": Bad(CHAT, *INVALID, "empty", "messages.0.content", question(" \n\t")),
    "empty query": Bad(SEARCH, *INVALID, "empty", "query", {"query": ""}),
    "100 kB question": Bad(CHAT, 413, "too_large", "32000", "messages.0.content", question("why " * 25_000)),
    "100 kB query": Bad(SEARCH, 413, "too_large", "32000", "query", {"query": "why " * 25_000}),
    "unknown collection": Bad(
        SEARCH, 404, "collection_not_found", "nowhere", "collection", {"query": "x", "collection": "nowhere"}
    ),
    "unknown collection in model": Bad(
        CHAT, 404, "collection_not_found", "nowhere", "collection", question("x", model="argosy/nowhere")
    ),
    "unknown model": Bad(CHAT, 404, "model_not_found", "argosy/COLLECTION", "model", question("x", model="gpt-5")),
    "unknown field of a search": Bad(
        SEARCH, *INVALID, "did you mean collection", "colection", {"query": "x", "colection": "y"}
    ),
    "unknown field of a chat": Bad(CHAT, *INVALID, "did you mean messages", "mesages", {"mesages": []}),
    "no JSON at all": Bad(SEARCH, *INVALID, "not valid JSON", None, None, b"{query: x", JSON_HEADERS),
    "half of a JSON": Bad(CHAT, *INVALID, "not valid JSON", None, None, b'{"model": "argosy", "mess', JSON_HEADERS),
    "no body": Bad(SEARCH, *INVALID, "JSON", None, None, b"", JSON_HEADERS),
    "not UTF-8": Bad(SEARCH, *INVALID, "not valid JSON", None, None, b'{"query": "\xff\xfe"}', JSON_HEADERS),
    "an array": Bad(SEARCH, *INVALID, "JSON object", None, [1, 2]),
    "a number as query": Bad(SEARCH, *INVALID, "string", "query", {"query": 5}),
    "a text as top_k": Bad(SEARCH, *INVALID, "whole number", "top_k", {"query": "x", "top_k": "many"}),
    "messages as text": Bad(CHAT, *INVALID, "array", "messages", {"model": "argosy", "messages": "hello"}),
    "unknown mode": Bad(SEARCH, *INVALID, "hybrid", "mode", {"query": "x", "mode": "psychic"}),
    "top_k 0": Bad(SEARCH, *INVALID, "1", "top_k", {"query": "x", "top_k": 0}),
    "top_k 1000": Bad(SEARCH, *INVALID, "50", "top_k", {"query": "x", "top_k": 1000}),
    "top_k 1000 of a chat": Bad(CHAT, *INVALID, "50", "top_k", question("x", top_k=1000)),
    "nested filters": Bad(SEARCH, *INVALID, "filters", "filters.a.b", {"query": "x", "filters": {"a": {"b": 1}}}),
    "nothing to embed": Bad(EMBED, *INVALID, "at least one", "input", {"model": "all-MiniLM-L6-v2", "input": []}),
    "tokens to embed": Bad(EMBED, *INVALID, "tokens", "input", {"model": "all-MiniLM-L6-v2", "input": [1, 2]}),
    "a form as chat": Bad(
        CHAT, 415, "unsupported_type", "application/json", None, None, b"", {"content-type": "multipart/form-data"}
    ),
    "text/plain": Bad(SEARCH, 415, "unsupported_type", "text/plain", None, None, b"x", {"content-type": "text/plain"}),
    "no type": Bad(SEARCH, 415, "unsupported_type", "application/json", None, None, b'{"query": "x"}'),
    "foreign Host": Bad(SEARCH, 421, "misdirected_request", "Host", None, {"query": "x"}, None, {"host": "evil.test"}),
    "foreign Origin": Bad(
        SEARCH, 403, "forbidden", "allowed_origins", None, {"query": "x"}, None, {"origin": "http://evil.test"}
    ),
    "Origin null": Bad(SEARCH, 403, "forbidden", "origin", None, {"query": "x"}, None, {"origin": "null"}),
    "cross-site": Bad(
        SEARCH, 403, "forbidden", "Cross-site", None, {"query": "x"}, None, {"sec-fetch-site": "cross-site"}
    ),
    "internal status without token": Bad("/internal/status", 401, "unauthorized", "token", method="GET"),
    "unknown route": Bad("/v1/nothing", 404, "not_found", "no such route", method="GET"),
    "wrong method": Bad(SEARCH, 405, "method_not_allowed", "method", method="DELETE"),
    "unknown document": Bad("/v1/documents/none", 404, "document_not_found", "none", method="GET"),
    "unknown document to delete": Bad("/v1/documents/none", 404, "document_not_found", "none", method="DELETE"),
    "unknown batch": Bad("/v1/batches/none", 404, "not_found", "none", method="GET"),
    "path traversal in a route": Bad("/v1/documents/..%2F..%2Finternal%2Fstatus", 404, "not_found", method="GET"),
    "5 GB declared": Bad(ADD, 413, "too_large", "5368709120", headers={**FORM_HEADERS, "content-length": str(5 << 30)}),
    "negative limit": Bad("/v1/documents?limit=-1", *INVALID, "limit", "limit", method="GET"),
    "collection with a slash": Bad("/v1/collections", *INVALID, "name", "collection", {"name": "../etc"}),
    "deadline that is no number": Bad(
        SEARCH, *INVALID, "milliseconds", "x-argosy-deadline-ms", {"query": "x"}, None, {"x-argosy-deadline-ms": "soon"}
    ),
}


@pytest.fixture(autouse=True)
def still_answering(shared_fleet: SharedFleet) -> Iterator[None]:
    """Check after each test that the same processes still serve."""
    before = shared_fleet.pids()
    yield
    assert shared_fleet.call("GET", "/readyz").status == 200
    assert shared_fleet.pids() == before


@pytest.mark.parametrize("case", REQUESTS)
def test_a_bad_request_is_refused_in_one_sentence(case: str, shared_fleet: SharedFleet) -> None:
    bad = REQUESTS[case]
    answer = shared_fleet.call(bad.method, bad.path, bad.message, body=bad.body, headers=bad.headers)
    error = refused(answer, bad.status, bad.code)
    assert bad.says.lower() in error["message"].lower()
    assert error["param"] == bad.param


UPLOADS: dict[str, tuple[list[Part], int, str, str]] = {
    "empty file": ([Part("empty.txt", b"")], 422, "empty_document", "empty.txt"),
    "blank file": ([Part("blank.md", b" \n\n")], 422, "empty_document", "blank.md"),
    "0-byte DOCX": ([Part("crew.docx", b"")], 422, "empty_document", "crew.docx"),
    "Word bomb": ([Part("bomb.docx", bad_samples.docx_bomb())], 422, "oversized_document", "bomb.docx"),
    "Excel bomb": ([Part("bomb.xlsx", bad_samples.xlsx_bomb())], 422, "oversized_document", "bomb.xlsx"),
    "5 GB declared inside": ([Part("film.docx", bad_samples.giant_member())], 422, "oversized_document", "film.docx"),
    "cut DOCX": ([Part("crew.docx", docx()[:400])], 422, "unreadable_document", "damaged"),
    "PNG named .pdf": ([Part("scan.pdf", b"\x89PNG\r\n\x1a\n\0\0")], 422, "unreadable_document", "not a PDF"),
    "unknown type": ([Part("ship.exe", b"MZ\0\1\2\3")], 415, "unsupported_type", "Markdown"),
    "code that is binary": ([Part("data.conf", b"a,b\0\1\2\n1,2\n")], 422, "unreadable_document", "binary"),
    "unknown extension": ([Part("data.dat", b"a,b\0\1\2\n1,2\n")], 415, "unsupported_type", ".dat"),
    "no file": ([], 400, "invalid_request", "at least one"),
    "only dots for a name": ([Part("..", b"text")], 400, "invalid_request", "name"),
}


@pytest.mark.parametrize("case", UPLOADS)
def test_a_bad_upload_is_refused_whole(case: str, shared_fleet: SharedFleet) -> None:
    parts, status, code, says = UPLOADS[case]
    headers, body = multipart([Part("good.txt", b"fine"), *parts] if parts else [], collection="refused")
    error = refused(shared_fleet.call("POST", ADD, body=body, headers=headers), status, code)
    assert says in error["message"]
    refused(shared_fleet.call("GET", f"{ADD}?collection=refused"), 404, "collection_not_found")


def test_too_many_files_are_refused_like_too_many_texts(shared_fleet: SharedFleet) -> None:
    headers, body = multipart([Part(f"{n}.txt", b"text") for n in range(65)], collection="refused")
    files = refused(shared_fleet.call("POST", ADD, body=body, headers=headers), 413, "too_large")
    texts = {"documents": [{"text": "text"}] * 65, "collection": "refused"}
    assert files["message"] == refused(shared_fleet.call("POST", ADD, texts), 413, "too_large")["message"]


def test_an_unknown_field_of_an_upload_is_named_with_the_nearest(shared_fleet: SharedFleet) -> None:
    answer = shared_fleet.call("POST", ADD, {"documents": [{"text": "x"}], "colection": "y"})
    error = refused(answer, *INVALID)
    assert "collection" in error["message"].replace("colection", "")
    assert error["param"] == "colection"


BAD_INSIDE: dict[str, tuple[bytes, str]] = {
    "locked.pdf": (pdf(PAGES, password=SECRET), "encrypted_document"),
    "half.pdf": (bad_samples.half_pdf(), "unreadable_document"),
    "endless.pdf": (bad_samples.endless_pdf(), "oversized_document"),
    "wide.csv": (bad_samples.wide_csv(), "oversized_document"),
    "broken.json": (b'{"berth": "Heron quay",', "unreadable_document"),
}
READABLE = {
    "divisions.html": bad_samples.nested_divs(),
    "half latin.txt": b"Mind the swell \xff\xfe\xfd at night.",
    "good.txt": b"High water at noon.",
}


def test_what_is_wrong_inside_a_file_is_told_and_the_others_are_indexed(shared_fleet: SharedFleet) -> None:
    """Find the error when the file is parsed, not while its sender waits."""
    bad = [Part(name, data) for name, (data, _) in BAD_INSIDE.items()]
    good = [Part(name, data) for name, data in READABLE.items()]
    headers, body = multipart([*bad, *good], collection="mixed")
    accepted = shared_fleet.call("POST", ADD, body=body, headers=headers).json()
    batch = until(lambda: ended(shared_fleet, accepted["batch_id"]), "the batch to be done")
    faults = {one["name"]: one["error"] for one in batch["documents"] if one["status"] == "failed"}
    assert {name: fault["code"] for name, fault in faults.items()} == {n: code for n, (_, code) in BAD_INSIDE.items()}
    for name, fault in faults.items():
        assert name in fault["detail"]
        assert not any(internal in fault["detail"] for internal in INTERNALS)
    assert {one["name"] for one in batch["documents"] if one["status"] == "indexed"} == set(READABLE)
    listed = shared_fleet.cli("documents", "list", "--collection", "mixed", "--status", "failed").ok().out
    assert all(name in listed and code in listed for name, (_, code) in BAD_INSIDE.items())


def test_every_file_of_a_folder_that_is_not_indexed_is_listed_with_its_reason(
    shared_fleet: SharedFleet, tmp_path: Path
) -> None:
    """List files that were never accepted too; corrected and added again, they leave the list."""
    folder = {
        "empty.txt": b"",
        "bomb.docx": bad_samples.docx_bomb(),
        "half.pdf": bad_samples.half_pdf(),
        "a.md": b"Fine.",
    }
    for name, data in folder.items():
        (tmp_path / name).write_bytes(data)
    shown = ("documents", "list", "--collection", "folder", "--status", "failed", "--json")

    assert shared_fleet.cli("add", str(tmp_path), "--collection", "folder", "--wait").exit_code == 1
    failed = {one["name"]: one for one in shared_fleet.cli(*shown).ok().json()["documents"]}
    codes = {name: one["error"]["code"] for name, one in failed.items()}
    assert codes == {
        "empty.txt": "empty_document",
        "bomb.docx": "oversized_document",
        "half.pdf": "unreadable_document",
    }
    refused(shared_fleet.call("POST", f"{ADD}/{failed['empty.txt']['id']}/retry"), 409, "conflict")

    (tmp_path / "empty.txt").write_text("Filled by now.")
    shared_fleet.cli("documents", "delete", failed["bomb.docx"]["id"]).ok()
    shared_fleet.cli("add", str(tmp_path / "empty.txt"), "--collection", "folder", "--wait").ok()
    assert names(shared_fleet.cli(*shown).ok().json()["documents"]) == {"half.pdf"}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../../../etc/cron.d/evil.txt", "evil.txt"),
        ("..\\..\\windows\\evil.txt", "evil.txt"),
        ("/etc/passwd.txt", "passwd.txt"),
        ("bell\x07and\x1b[31mred.txt", "belland[31mred.txt"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
    ],
    ids=["traversal", "backslashes", "absolute", "control characters", "long"],
)
def test_a_name_is_only_a_name(sent: str, kept: str, shared_fleet: SharedFleet) -> None:
    headers, body = multipart([Part(sent, f"Named {sent!r}.".encode())], collection="names")
    answer = shared_fleet.call("POST", ADD, body=body, headers=headers)
    assert answer.status == 202, answer.body
    assert names(answer.json()["documents"]) == {kept}


def test_an_id_with_newlines_stays_on_its_line(shared_fleet: SharedFleet) -> None:
    accepted = shared_fleet.upload({"one\ntwo\r\n../three": "A text about three lines."}, "lines")
    assert names(accepted["documents"]) == {"three"}
    shown = shared_fleet.cli("documents", "list", "--collection", "lines").ok().out
    assert len(shown.splitlines()) == 2


def test_no_file_outside_the_data_dir_is_written(shared_fleet: SharedFleet) -> None:
    headers, body = multipart([Part("../../escaped.txt", b"Out of the box.")], collection="names")
    assert shared_fleet.call("POST", ADD, body=body, headers=headers).status == 202
    home = shared_fleet.data_dir.parent
    assert {path.name for path in home.iterdir()} == {"data"}
    assert not list(shared_fleet.data_dir.rglob("escaped*"))


ADMIN = {"authorization": "Bearer {token}"}
ADMIN_REFUSALS: dict[str, tuple[str, str, dict[str, str], int, str]] = {
    "no token": ("GET", "/v1/fleet", {}, 401, "unauthorized"),
    "wrong token": ("GET", "/v1/fleet", {"authorization": "Bearer " + "0" * 64}, 401, "unauthorized"),
    "token as password": ("GET", "/v1/fleet", {"authorization": "Basic {token}"}, 401, "unauthorized"),
    "half a token": ("GET", "/v1/endpoints", {"authorization": "Bearer {half}"}, 401, "unauthorized"),
    "foreign Host": ("GET", "/v1/fleet", {**ADMIN, "host": "evil.test"}, 421, "misdirected_request"),
    "foreign Origin": ("GET", "/v1/fleet", {**ADMIN, "origin": "http://evil.test"}, 403, "forbidden"),
    "unknown service": ("GET", "/v1/services/nobody", ADMIN, 404, "not_found"),
    "unknown route": ("GET", "/v1/nothing", ADMIN, 404, "not_found"),
    "wrong method": ("DELETE", "/v1/fleet", ADMIN, 405, "method_not_allowed"),
}


@pytest.mark.parametrize("case", ADMIN_REFUSALS)
def test_the_admin_api_refuses_in_the_same_shape(case: str, shared_fleet: SharedFleet) -> None:
    method, path, headers, status, code = ADMIN_REFUSALS[case]
    token = shared_fleet.token
    given = {name: value.format(token=token, half=token[:32]) for name, value in headers.items()}
    answer = send(shared_fleet.admin_url, method, path, headers=given)
    error = refused(answer, status, code)
    assert token not in error["message"]


def test_the_token_opens_the_internal_routes_and_only_it(shared_fleet: SharedFleet) -> None:
    asked = "/internal/status"
    given = {"authorization": f"Bearer {shared_fleet.token}"}
    assert shared_fleet.call("GET", asked, headers=given).status == 200
    refused(shared_fleet.call("GET", asked, headers={"authorization": "Bearer none"}), 401, "unauthorized")


def test_a_path_that_does_not_exist_sends_nothing(shared_fleet: SharedFleet, folder: Path) -> None:
    ran = shared_fleet.cli("add", str(folder), "/does/not/exist", "--collection", "unsent")
    assert ran.exit_code == 1
    assert "/does/not/exist" in ran.error()
    refused(shared_fleet.call("GET", f"{ADD}?collection=unsent"), 404, "collection_not_found")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ask", ""), "empty"),
        (("ask", "why " * 25_000), "32000"),
        (("ask", "why?", "--collection", "nowhere"), "nowhere"),
        (("search", "why?", "--top-k", "1000"), "50"),
        (("documents", "show", "../internal/status"), "no such"),
        (("logs", "nobody"), "nobody"),
    ],
    ids=["empty question", "100 kB question", "unknown collection", "top_k 1000", "traversal", "unknown service"],
)
def test_a_command_that_fails_says_why_in_one_sentence(
    arguments: tuple[str, ...], says: str, shared_fleet: SharedFleet
) -> None:
    ran = shared_fleet.cli(*arguments)
    assert ran.exit_code == 1
    assert ran.out == ""
    assert says in ran.error()


@pytest.mark.parametrize(
    "arguments",
    [("sail",), ("ask",), ("ask", "why?", "--loud"), ("search", "x", "--mode", "psychic"), ("up", "--port", "many")],
    ids=lambda arguments: " ".join(arguments),
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...], shared_fleet: SharedFleet) -> None:
    ran = shared_fleet.cli(*arguments)
    assert ran.exit_code == 2
    assert "Usage:" in ran.err
    assert "Traceback" not in ran.err


def test_without_a_fleet_a_question_says_how_to_start_one(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # not listening: connections are refused, and no other process can take the port
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        for command in (("ask", "why?"), ("search", "x"), ("documents", "list"), ("status",)):
            ran = argosy(*command, cwd=tmp_path, environ={"ARGOSY_URL": url, "ARGOSY_ADMIN_URL": url})
            assert ran.exit_code == 1
            assert "argosy up" in ran.error()
    assert list(tmp_path.iterdir()) == []


def ended(fleet: SharedFleet, batch_id: str) -> dict[str, Any] | None:
    view: dict[str, Any] = json.loads(fleet.call("GET", f"/v1/batches/{batch_id}?wait_s=2").body)
    return view if view["done"] else None

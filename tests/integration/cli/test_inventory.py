"""`argosy documents` and `argosy collections` against a real HTTP server."""

from __future__ import annotations

import json

import pytest

from argosy.contracts.errors import Conflict, DocumentNotFound
from tests.integration.cli.conftest import VIEW, FakeFleet, Invoke

pytestmark = pytest.mark.integration


def document(name: str, status: str = "indexed") -> dict[str, object]:
    mine = {"id": f"id-{name}", "collection": "default", "name": name, "source": name, "status": status}
    return {**VIEW, **mine, "stage": None, "attempts": 1, "chunks": 2, "error": None}


def test_listing_goes_through_all_pages(fleet: FakeFleet, argosy: Invoke) -> None:
    pages = [{"documents": [document("a")], "next": "A"}, {"documents": [document("b")], "next": None}]
    fleet.answer("GET", "/v1/documents", *pages)

    result = argosy("documents", "list", "--status", "indexed")

    assert [line.split()[0] for line in result.stdout.splitlines()] == ["ID", "id-a", "id-b"]
    assert [path for _, path, _ in fleet.seen] == [
        "/v1/documents?status=indexed&limit=100",
        "/v1/documents?status=indexed&limit=100&after=A",
    ]


def test_a_limit_stops_the_listing(fleet: FakeFleet, argosy: Invoke) -> None:
    """Check that one extra item is fetched to detect a next page, and that this page starts at the last item shown."""
    fleet.answer("GET", "/v1/documents", {"documents": [document("a"), document("b")], "next": "id-b"})

    shown = json.loads(argosy("documents", "list", "--limit", "1", "--json").stdout)

    assert [one["id"] for one in shown["documents"]] == ["id-a"]
    assert shown["next"] == "id-a"
    assert [path for _, path, _ in fleet.seen] == ["/v1/documents?limit=2"]


def test_one_document_is_shown_with_its_error(fleet: FakeFleet, argosy: Invoke) -> None:
    failed = {**document("a", "failed"), "error": {"code": "no_text", "detail": "It holds no text."}}
    fleet.answer("GET", "/v1/documents/id-a", failed)

    lines = argosy("documents", "show", "id-a").stdout.splitlines()

    assert "status        failed" in lines
    assert "error         no_text: It holds no text." in lines


def test_parts_that_could_not_be_read_are_told(fleet: FakeFleet, argosy: Invoke) -> None:
    partly = {**document("a"), "left_out": ["tool.exe is a program.", "2 pages are pictures."]}
    fleet.answer("GET", "/v1/documents/id-a", partly)
    fleet.answer("GET", "/v1/documents", {"documents": [partly], "next": None})

    assert "tool.exe is a program. 2 pages are pictures." in argosy("documents", "show", "id-a").stdout
    assert "left out: tool.exe is a program. (and 1 more)" in argosy("documents", "list").stdout


def test_an_id_cannot_lead_to_another_path(fleet: FakeFleet, argosy: Invoke) -> None:
    fleet.answer("DELETE", "/v1/documents/../collections/x", DocumentNotFound("There is no such document."))

    result = argosy("documents", "delete", "../collections/x")

    assert fleet.seen[0][1] == "/v1/documents/..%2Fcollections%2Fx"
    assert (result.exit_code, result.stderr) == (1, "error: There is no such document.\n")


def test_delete_and_retry_say_what_they_did(fleet: FakeFleet, argosy: Invoke) -> None:
    fleet.answer("DELETE", "/v1/documents/d", {})
    fleet.answer("POST", "/v1/documents/d/retry", document("d", "queued"))

    assert argosy("documents", "delete", "d").stdout == "Deleted d.\n"
    assert argosy("documents", "retry", "d").stdout == "Queued d again.\n"


def test_retrying_all_passes_over_what_was_refused_and_says_so(fleet: FakeFleet, argosy: Invoke) -> None:
    fleet.answer("GET", "/v1/documents", {"documents": [document("d", "failed"), document("e", "failed")]})
    fleet.answer("POST", "/v1/documents/id-d/retry", Conflict("The document was refused."))
    fleet.answer("POST", "/v1/documents/id-e/retry", document("e", "queued"))

    result = argosy("documents", "retry", "--all", "failed")

    assert (result.exit_code, result.stdout) == (0, "Queued 1 document again.\n")
    assert "1 document refused when added" in result.stderr


def test_collections_are_listed_with_their_languages_and_warnings(fleet: FakeFleet, argosy: Invoke) -> None:
    own = {"name": "handbuch", "documents": 3, "created_at": 0.0, "languages": ["de", "en"], "warning": "No German."}
    fleet.answer("GET", "/v1/collections", {"collections": [own]})

    result = argosy("collections", "list")
    assert result.stdout.splitlines()[1].split()[:4] == ["handbuch", "3", "de", "en"]
    assert result.stderr == "handbuch: No German.\n"


def test_collections_are_listed_created_and_deleted(fleet: FakeFleet, argosy: Invoke) -> None:
    listed = {"collections": [{"name": "papers", "documents": 3, "created_at": 0.0}]}
    fleet.answer("GET", "/v1/collections", listed)
    fleet.answer("POST", "/v1/collections", listed["collections"][0])
    fleet.answer("DELETE", "/v1/collections/papers", {})

    assert argosy("collections", "list").stdout.splitlines()[1].split()[:2] == ["papers", "3"]
    assert json.loads(argosy("collections", "list", "--json").stdout) == listed
    assert argosy("collections", "create", "papers").stdout == "Created papers.\n"
    assert argosy("collections", "delete", "papers").stdout == "Deleted papers.\n"
    assert fleet.bodies == [{"name": "papers"}]

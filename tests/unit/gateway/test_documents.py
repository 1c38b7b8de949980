from __future__ import annotations

import pytest

from argosy.clients.exchange import RawResponse
from argosy.config.models import Fleet
from argosy.contracts.errors import Unavailable
from tests.asgi import call
from tests.unit.gateway.fakes import Rig

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("method", "path", "forwarded"),
    [
        ("GET", "/v1/documents?limit=5&after=x", "/documents"),
        ("GET", "/v1/documents/d1", "/documents/d1"),
        ("GET", "/v1/documents/a b?c", "/documents/a%20b"),
        ("DELETE", "/v1/documents/d1", "/documents/d1"),
        ("POST", "/v1/documents/d1/retry", "/documents/d1/retry"),
        ("GET", "/v1/batches/b1", "/batches/b1"),
        ("GET", "/v1/collections", "/collections"),
        ("DELETE", "/v1/collections/c1", "/collections/c1"),
    ],
)
async def test_requests_reach_the_documents_service_and_its_answer_comes_back_as_it_is(
    rig: Rig, method: str, path: str, forwarded: str
) -> None:
    rig.upstream.documents.answer = RawResponse(418, b'{"odd": 1}', "application/json", "7")

    answer = await call(rig.app, method, path)

    assert rig.upstream.documents.asked[0][:2] == (method, forwarded)
    assert (answer.status, answer.body) == (418, b'{"odd": 1}')
    assert answer.headers["retry-after"] == "7"


async def test_the_query_is_passed_on(rig: Rig) -> None:
    await call(rig.app, "GET", "/v1/documents?limit=5&after=x&collection=c")

    assert rig.upstream.documents.asked[0][3] == {"limit": "5", "after": "x", "collection": "c"}


@pytest.mark.parametrize("path", ["/v1/documents/..", "/v1/documents/./retry", "/v1/collections/.."])
async def test_no_name_leads_to_another_path(rig: Rig, path: str) -> None:
    answer = await call(rig.app, "POST" if path.endswith("retry") else "DELETE", path)

    assert answer.status == 404
    assert rig.upstream.documents.asked == []


async def test_an_upload_is_passed_on_whole_with_its_type_and_length(rig: Rig) -> None:
    kind = "multipart/form-data; boundary=b"
    rig.upstream.documents.answer = RawResponse(202, b"{}", "application/json", None)

    answer = await call(rig.app, "POST", "/v1/documents", body=[b"one", b"", b"two"], headers={"content-type": kind})

    assert answer.status == 202
    assert rig.upstream.documents.pieces == [b"onetwo"]
    headers = {"content-type": kind, "content-length": "6"}
    assert rig.upstream.documents.asked == [("POST", "/documents", headers, {})]


async def test_an_uploads_length_is_passed_on_where_it_is_known(rig: Rig) -> None:
    await call(rig.app, "POST", "/v1/documents", json={"documents": []})

    assert rig.upstream.documents.asked[0][2] == {"content-type": "application/json", "content-length": "16"}


async def test_an_upload_over_the_limit_is_told_so_though_its_length_was_not() -> None:
    rig = Rig(Fleet.model_validate({"services": {"gateway": {"max_body_bytes": 1024}}}))

    answer = await call(
        rig.app, "POST", "/v1/documents", body=[b"x" * 700, b"x" * 700], headers={"content-type": "application/json"}
    )

    assert (answer.status, answer.error()["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/documents", "application/msgpack"),
        ("/v1/documents", "text/plain"),
        ("/v1/collections", "multipart/form-data; boundary=b"),
    ],
)
async def test_an_upload_of_another_type_is_refused(rig: Rig, path: str, kind: str) -> None:
    answer = await call(rig.app, "POST", path, body=b"x", headers={"content-type": kind})

    assert answer.status == 415
    assert rig.upstream.documents.asked == []


@pytest.mark.parametrize("path", ["/v1/documents", "/v1/collections"])
async def test_without_the_documents_service_the_error_names_it(rig: Rig, path: str) -> None:
    rig.upstream.documents.error = Unavailable("The documents service has no running replica.", retry_after_s=1.0)

    for method, body in (("GET", None), ("POST", {"documents": []})):
        answer = await call(rig.app, method, path, json=body)
        assert answer.status == 503
        assert "documents" in str(answer.error()["message"])


@pytest.mark.parametrize(("asked", "longest_s"), [("30", 30.0), ("3600", 298.0), ("0", 0.0)])
async def test_a_long_poll_waits_no_longer_than_leaves_time_to_answer(rig: Rig, asked: str, longest_s: float) -> None:
    rig.kit.clock = lambda: 100.0

    await call(rig.app, "GET", f"/v1/batches/b1?wait_s={asked}")

    assert float(rig.upstream.documents.asked[0][3]["wait_s"]) == pytest.approx(longest_s)


@pytest.mark.parametrize("asked", ["soon", "-1", "nan", "99999", "inf"])
async def test_a_wait_that_is_no_time_is_refused(rig: Rig, asked: str) -> None:
    answer = await call(rig.app, "GET", f"/v1/batches/b1?wait_s={asked}")

    assert (answer.status, answer.error()["param"]) == (400, "wait_s")

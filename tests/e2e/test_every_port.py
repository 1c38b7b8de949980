"""Each port of a running fleet, including the admin port, has the same protections, even without a token."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import pytest

from tests.e2e.fleet import SERVICES, SharedFleet

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
HOST = b"Host: 127.0.0.1\r\n"
REFUSED = {
    "a head without an end": (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 70_000, 431),
    "two lengths": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400),
    "two hosts": (b"GET /livez HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
    "an absolute target": (b"GET http://evil.example/livez HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "another protocol": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
}


def ports(fleet: SharedFleet) -> dict[str, int]:
    """Return the ports by name: the public port, the admin port, and the internal port of each replica."""
    found = {name: urlsplit(url).port or 0 for name, url in (("public", fleet.url), ("admin", fleet.admin_url))}
    for path in fleet.replica_records():
        record = json.loads(path.read_text())
        found[record["service"]] = record["port"]
    return found


def answer_to(port: int, sent: bytes) -> tuple[int, dict[str, object]]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(sent)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert b"x-request-id: " in head
    return int(head.split(b" ")[1]), json.loads(body)["error"]


@pytest.mark.parametrize("name", REFUSED)
def test_every_port_refuses_it_in_our_shape(shared_fleet: SharedFleet, name: str) -> None:
    sent, status = REFUSED[name]
    found = ports(shared_fleet)
    assert set(found) == {"public", "admin", *SERVICES}
    for where, port in found.items():
        answered, error = answer_to(port, sent)
        assert (where, answered) == (where, status)
        assert set(error) == {"message", "type", "code", "param", "request_id", "retryable"}

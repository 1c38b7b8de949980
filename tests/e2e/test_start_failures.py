"""A start that cannot succeed says why and what to do, leaves nothing behind, and disturbs no running fleet."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.fleet import FAKE, SERVICES, MakeFleet, Ran, RealFleet, SharedFleet, argosy, names, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture
def taken() -> Iterator[int]:
    """Yield a port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def assert_never_started(fleet: RealFleet) -> None:
    assert fleet.processes() == []
    assert fleet.replica_records() == []
    assert fleet.cli("status").exit_code == 1
    assert "No fleet" in fleet.cli("down").ok().out


@pytest.mark.parametrize("option", ["--port", "--admin-port"])
def test_a_taken_port_is_named_with_the_option_that_changes_it(option: str, taken: int, make_fleet: MakeFleet) -> None:
    fleet = make_fleet()
    ran = fleet.up(*FAKE, option, str(taken))
    assert ran.exit_code == 1
    assert str(taken) in ran.error()
    assert option in ran.error()
    assert_never_started(fleet)


def test_one_port_for_both_is_refused(make_fleet: MakeFleet, taken: int) -> None:
    fleet = make_fleet()
    ran = fleet.up(*FAKE, "--port", str(taken), "--admin-port", str(taken))
    assert ran.exit_code == 1
    assert str(taken) in ran.error()
    assert not fleet.data_dir.exists()


def under_a_file(home: Path) -> Path:
    (home / "file").write_text("no folder")
    return home / "file" / "data"


def of_another_user(home: Path) -> Path:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    folder = home / "theirs"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    return folder


def read_only(home: Path) -> Path:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    folder = home / "read-only"
    folder.mkdir(mode=0o500)
    return folder


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (under_a_file, "cannot be created"),
        (of_another_user, "belongs to another user"),
        (read_only, "not writable"),
    ],
)
def test_a_data_dir_that_cannot_be_used_is_named_with_a_remedy(
    place: Callable[[Path], Path], says: str, tmp_path: Path
) -> None:
    folder = place(tmp_path)
    before = folder.stat() if folder.exists() else None
    ran = argosy("up", "--detach", *FAKE, "--port=0", "--admin-port=0", "--data-dir", str(folder), cwd=tmp_path)
    assert ran.exit_code == 1
    assert str(folder) in ran.error()
    assert says in ran.error()
    assert "--data-dir" in ran.error()
    if before is not None:
        assert list(folder.iterdir()) == []
        assert (folder.stat().st_mode, folder.stat().st_uid) == (before.st_mode, before.st_uid)


def test_a_second_fleet_on_the_same_data_is_refused_and_the_first_goes_on(shared_fleet: SharedFleet) -> None:
    before = (shared_fleet.pids(), shared_fleet.record())
    for options in ((), ("--detach",)):
        ran = shared_fleet.cli("up", *options, "--port", "0", "--admin-port", "0")
        assert ran.exit_code == 1
        assert "already running" in ran.error()
        assert str(before[1]["pid"]) in ran.error()
    assert (shared_fleet.pids(), shared_fleet.record()) == before
    until(lambda: shared_fleet.cli("status").exit_code == 0, "a healthy fleet")
    assert len(shared_fleet.processes()) >= len(SERVICES)


MISTAKES: dict[str, tuple[str, str]] = {
    "unknown key": ("[services.embedding]\nmodle = 'x'", 'did you mean "model"'),
    "unknown service": ("[services.embeding]\nmodel = 'x'", "services.embeding"),
    "cycle": ("[services.store]\nwants = ['gateway']", "circle"),
    "unknown dependency": ("[services.store]\nwants = ['cellar']", "cellar"),
    "wrong type": ("[services.documents]\nworkers = 'many'", "services.documents.workers"),
    "bounds": ("[services.gateway.replicas]\nmin = 3\nmax = 1", "min = 3"),
    "two stores": ("[services.store.replicas]\nmax = 2", "replicas.max"),
    "open host": ("[fleet]\nhost = '0.0.0.0'", "loopback"),
    "no TOML": ("[fleet\nname = 'x'", "not valid TOML"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_in_the_fleet_file_is_named_before_anything_starts(case: str, make_fleet: MakeFleet) -> None:
    text, says = MISTAKES[case]
    fleet = make_fleet()
    file = fleet.cwd / "fleet.toml"
    file.write_text(text)
    ran = fleet.up(str(file))
    assert ran.exit_code == 1
    assert says in ran.error()
    assert "fleet.toml" in ran.error()
    assert not fleet.data_dir.exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--set", "services.embedding.modle=x"), "--set services.embedding.modle=x"),
        (("--set", "services.embedding.replicas.max"), "has no value"),
        (("--platform", "moon"), "--platform"),
        (("missing.toml",), "missing.toml"),
    ],
    ids=["unknown key", "no value", "unknown platform", "no file"],
)
def test_a_mistake_on_the_command_line_is_named_before_anything_starts(
    options: tuple[str, ...], says: str, make_fleet: MakeFleet
) -> None:
    fleet = make_fleet()
    ran = fleet.up(*options)
    assert ran.exit_code == 1
    assert says in ran.error()
    assert not fleet.data_dir.exists()


@dataclass(frozen=True)
class Crippled:
    """A fleet that worked once, started again with a model that does not exist."""

    fleet: RealFleet
    started: Ran


@pytest.fixture(scope="module")
def crippled(make_fleet: MakeFleet, tmp_path_factory: pytest.TempPathFactory) -> Crippled:
    fleet = make_fleet()
    fleet.up(*FAKE).ok()
    batch = fleet.upload({"tug.md": "# Tugs\n\nThe tug Widgeon is painted red."}, "default")["batch_id"]
    until(lambda: fleet.call("GET", f"/v1/batches/{batch}?wait_s=5").json()["done"], "the batch to be done")
    fleet.down()
    no_models = {"ARGOSY_MODEL_DIR": str(tmp_path_factory.mktemp("models"))}
    return Crippled(fleet, fleet.up("--set", "services.embedding.model=/does/not/exist", environ=no_models))


def test_a_service_that_cannot_start_is_reported_and_the_others_start(crippled: Crippled) -> None:
    assert crippled.started.exit_code == 1
    assert "5 of 6 services started" in crippled.started.out
    report = {entry["service"]: entry for entry in crippled.fleet.admin("/v1/start")["services"]}
    assert {name: entry["outcome"] for name, entry in report.items()} == {
        **dict.fromkeys(SERVICES, "started"),
        "embedding": "failed",
    }
    assert "/does/not/exist" in report["embedding"]["error"]
    assert report["embedding"]["error"] in crippled.started.out
    assert "Traceback" not in crippled.started.out + crippled.started.err


def test_status_says_which_service_failed_and_whom_that_degrades(crippled: Crippled) -> None:
    def settled() -> dict[str, Any] | None:
        ran = crippled.fleet.cli("status", "--json")
        assert ran.exit_code == 1
        services = {service["name"]: service for service in ran.json()["services"]}
        return services if services["gateway"]["status"] == "DEGRADED" else None

    services = until(settled, "the fleet to be degraded")
    assert services["embedding"]["status"] == "UNHEALTHY"
    assert "/does/not/exist" in services["embedding"]["reason"]
    assert services["store"]["status"] == "HEALTHY"
    assert services["retrieval"]["status"] == "DEGRADED"
    assert "embedding" in services["retrieval"]["reason"]


@pytest.mark.parametrize("mode", ["hybrid", "dense"])
def test_search_goes_on_by_words_and_says_so(mode: str, crippled: Crippled) -> None:
    answer = crippled.fleet.call("POST", "/v1/search", {"query": "tug Widgeon", "mode": mode})
    assert answer.status == 200
    assert answer.json()["degraded"] == ["embedding"]
    assert answer.headers["x-argosy-degraded"] == "embedding"
    assert names(answer.json()["results"]) == {"tug.md"}


def test_an_answer_is_given_by_words_and_says_so(crippled: Crippled) -> None:
    ran = crippled.fleet.cli("ask", "What colour is the tug Widgeon?").ok()
    assert "painted red" in ran.out
    assert "tug.md" in ran.out
    assert "embedding" in ran.out.splitlines()[-1]


def test_embeddings_are_refused_with_a_reason_and_can_be_tried_again(crippled: Crippled) -> None:
    answer = crippled.fleet.call("POST", "/v1/embeddings", {"model": "exist", "input": "x"})
    assert answer.status == 503
    error = answer.json()["error"]
    assert error["retryable"]
    assert "embedding" in error["message"]
    assert "/does/not" not in error["message"]


def test_a_document_waits_for_the_service_and_is_indexed_once_it_is_there(crippled: Crippled) -> None:
    """Repair the fleet. This must be its last test."""
    fleet = crippled.fleet
    (fleet.cwd / "barge.md").write_text("# Barges\n\nThe barge Smew carries gravel.\n")
    fleet.cli("add", "barge.md", "--collection", "waiting").ok()

    def tried() -> dict[str, Any] | None:
        document = fleet.documents("waiting")[0]
        assert document["status"] in ("queued", "running")
        return document if document["error"] else None

    assert until(tried, "one attempt")["error"]["code"] == "unavailable"
    fleet.down()
    fleet.up(*FAKE).ok()
    until(lambda: fleet.documents("waiting")[0]["status"] == "indexed", "the document to be indexed")
    found = fleet.call("POST", "/v1/search", {"query": "gravel", "collection": "waiting"}).json()
    assert (names(found["results"]), found["degraded"]) == ({"barge.md"}, [])
    fleet.down()

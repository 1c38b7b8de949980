"""Model wheels from the configured index, without pip or uv, and Argosy's own wheel without its repository."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import os
import site
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from argosy.models import sources
from argosy.models.index import IndexFailed, configured_indexes, unpack_wheel
from argosy.models.sources import SourceFailed, install

pytestmark = pytest.mark.integration

WHEEL = "tiny_model-1.0-py3-none-any.whl"
ROOT = Path(__file__).resolve().parents[3]


def _wheel() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("tiny_model/config.json", "{}")
    return made.getvalue()


CONTENT = _wheel()


@dataclass
class Index:
    """Package index with one wheel, behind a password if `password` is set."""

    url: str = ""
    password: str = ""
    sha256: str = hashlib.sha256(CONTENT).hexdigest()
    as_json: bool = True
    moved_to: str = ""
    seen: list[tuple[str, str | None]] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, str, bytes]:
        if path == "/simple/tiny-model/" and self.as_json:
            files = [{"filename": WHEEL, "url": f"../../files/{WHEEL}", "hashes": {"sha256": self.sha256}}]
            return 200, "application/vnd.pypi.simple.v1+json", json.dumps({"files": files}).encode()
        if path == "/simple/tiny-model/":
            return 200, "text/html", f'<a href="/files/{WHEEL}#sha256={self.sha256}">{WHEEL}</a>'.encode()
        return (200, "application/zip", CONTENT) if path == f"/files/{WHEEL}" else (404, "text/plain", b"")


@pytest.fixture
def index() -> Iterator[Index]:
    found = Index()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.seen.append((self.path, self.headers.get("authorization")))
            status, kind, body = found.answer(self.path)
            if found.password and not self.headers.get("authorization"):
                status, body = 401, b""
            elif found.moved_to and self.path.startswith("/files/"):
                status, body = 302, b""
            self.send_response(status)
            if status == 302:
                self.send_header("location", found.moved_to)
            self.send_header("content-type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *rest: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}/simple"
    yield found
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "html"])
def test_a_wheel_is_fetched_by_http_without_an_installer(
    index: Index, as_json: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.as_json = as_json
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    monkeypatch.setattr(sources, "_run", lambda command: pytest.fail("no installer may be needed"))
    install("tiny-model==1.0", tmp_path)
    assert (tmp_path / "tiny_model/config.json").read_text() == "{}"


def test_a_wheel_with_another_hash_is_refused(index: Index, tmp_path: Path) -> None:
    index.sha256 = "0" * 64
    with pytest.raises(IndexFailed, match="another hash"):
        unpack_wheel(index.url, "tiny-model", "1.0", tmp_path)


def test_credentials_go_to_the_index_only_and_into_no_message(index: Index, tmp_path: Path) -> None:
    index.password = "secret"
    with pytest.raises(IndexFailed, match="the index answered 401"):
        unpack_wheel(index.url, "tiny-model", "1.0", tmp_path)
    known = index.url.replace("http://", "http://user:s%40cret@")
    unpack_wheel(known, "tiny-model", "1.0", tmp_path)
    sent = {authorization for _, authorization in index.seen if authorization}
    assert sent == {f"Basic {base64.b64encode(b'user:s@cret').decode()}"}
    index.moved_to = f"http://localhost:{index.url.split(':')[2].split('/')[0]}/files/{WHEEL}"
    index.seen.clear()
    with pytest.raises(IndexFailed) as caught:
        unpack_wheel(known, "tiny-model", "1.0", tmp_path)
    assert index.seen[-1][1] is None
    assert "s@cret" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


def test_a_missing_version_is_said(index: Index, tmp_path: Path) -> None:
    with pytest.raises(IndexFailed, match=r"no wheel of tiny-model 2\.0"):
        unpack_wheel(index.url, "tiny-model", "2.0", tmp_path)


def test_the_index_is_the_one_of_pips_configuration(tmp_path: Path) -> None:
    (tmp_path / ".pip").mkdir()
    (tmp_path / ".pip/pip.conf").write_text(
        "[global]\nindex-url = https://a.example/simple\nextra-index-url =\n    https://b.example/simple\n    file:///c\n"
    )
    home = {"HOME": str(tmp_path)}
    assert configured_indexes(home)[:2] == ["https://a.example/simple", "https://b.example/simple"]
    assert configured_indexes({**home, "PIP_INDEX_URL": "https://v.example/s"})[0] == "https://v.example/s"
    assert configured_indexes({"PIP_CONFIG_FILE": os.devnull}) == []


def test_without_index_and_installer_the_message_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "configured_indexes", list)
    monkeypatch.setattr(sources, "_carried_pip", list)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(SourceFailed, match="neither uv nor pip is installed"):
        install("tiny-model==1.0", tmp_path)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment that has Argosy's wheel and what it needs, but no pip and no repository."""
    folder = tmp_path_factory.mktemp("wheel")
    built = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(built, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")], check=True)
    [packages] = (folder / "env").glob("lib/python*/site-packages")
    for found in (entry for place in site.getsitepackages() for entry in Path(place).iterdir()):
        if not found.name.lower().startswith(("pip", "argosy", "_argosy", "uv-", "uv.", "__pycache__")):
            (packages / found.name).symlink_to(found)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    return folder / "env/bin/python"


def _python(python: Path, code: str, index: Index, folder: Path) -> str:
    environ = {"PATH": "/nonexistent", "HOME": str(folder), "PIP_INDEX_URL": index.url, "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [str(python), "-I", "-c", code], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_wheel_works_without_the_repository_and_without_pip(installed: Path, index: Index, tmp_path: Path) -> None:
    said = _python(installed, "import argosy; print(argosy.__file__, argosy.__version__)", index, tmp_path)
    assert str(ROOT) not in said
    assert said.endswith("0.1.0")
    code = (
        "import importlib.util, pathlib\n"
        "from argosy.models.sources import install\n"
        "assert importlib.util.find_spec('pip') is None\n"
        f"install('tiny-model==1.0', pathlib.Path({str(tmp_path)!r}))\n"
    )
    _python(installed, code, index, tmp_path)
    assert (tmp_path / "tiny_model/config.json").is_file()


def test_the_command_of_the_wheel_checks_a_fleet_file(installed: Path, index: Index, tmp_path: Path) -> None:
    (tmp_path / "argosy.toml").write_text("[services.retrieval]\nreplicas = 2\n")
    code = "import sys; sys.argv = ['argosy', 'render', 'systemd']; from argosy.cli.main import main; main()"
    assert "ExecStart=" in _python(installed, code, index, tmp_path)

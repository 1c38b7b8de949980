"""Other embedding engines, each in its own environment, which is built with plain pip when it is missing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks._running import environment

WORKER = Path(__file__).with_name("_embedding_worker.py")
START_TIMEOUT_S = 180.0
TORCH = ("torch==2.13.0+cpu", "torch")
"""Requirements of torch in order: the CPU build where pip finds it, else the default build of several gigabytes."""
REQUIREMENTS: Mapping[str, tuple[str, ...]] = {
    "venv-st": ("sentence-transformers", "fastapi", "uvicorn[standard]"),
    "venv-infinity": ("infinity-emb[torch,server]==0.0.78",),
}
NAMED = ("sentence-transformers", "infinity-emb", "torch", "transformers", "onnxruntime")
POOLING = {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True}
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]


def environments(folder: Path) -> dict[str, Path]:
    """Return the Python of each peer's environment, after building missing ones."""
    pythons = {}
    for name, requirements in REQUIREMENTS.items():
        python = folder / name / "bin" / "python"
        pythons[name] = python
        if not _has(python, requirements[0]):
            subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
            pip = [str(python), "-m", "pip", "install", "--quiet"]
            if subprocess.run([*pip, TORCH[0]], stderr=subprocess.DEVNULL).returncode:
                subprocess.run([*pip, TORCH[1]], check=True)
            subprocess.run([*pip, *requirements], check=True)
    return pythons


def versions(python: Path) -> str:
    """Return `name version` of the relevant packages in that environment."""
    code = (
        "import importlib.metadata as m, sys\n"
        f"print(', '.join(f'{{d.name}} {{d.version}}' for n in {NAMED!r} for d in m.distributions(name=n)))"
    )
    return subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.strip()


def peer_folder(model: Path, parent: Path) -> Path:
    """Return a copy of the model with the files that sentence-transformers reads, adding missing ones."""
    copy = parent / model.name
    shutil.copytree(model, copy)
    if not (copy / "modules.json").exists():
        (copy / "modules.json").write_text(json.dumps(MODULES))
        (copy / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 256, "do_lower_case": False}))
        (copy / "1_Pooling").mkdir(exist_ok=True)
        (copy / "1_Pooling" / "config.json").write_text(json.dumps(POOLING))
    for folder in (entry["path"] for entry in json.loads((copy / "modules.json").read_text())):
        (copy / folder).mkdir(exist_ok=True)
    return copy


@dataclass(frozen=True, slots=True)
class PeerServer:
    """Running peer. `url` takes OpenAI's body; `pid` is the root of all its processes."""

    url: str
    pid: int
    started_s: float


@contextlib.contextmanager
def sentence_transformers_server(python: Path, folder: Path, log: Path) -> Iterator[PeerServer]:
    port = free_port()
    with _serving(
        [str(python), str(WORKER), "server", str(folder), str(port)], f"http://127.0.0.1:{port}/embeddings", log
    ) as server:
        yield server


@contextlib.contextmanager
def infinity_server(python: Path, folder: Path, log: Path) -> Iterator[PeerServer]:
    port = free_port()
    command = [str(python.with_name("infinity_emb")), "v2", "--model-id", str(folder), "--served-model-name", "model"]
    options = ["--device", "cpu", "--engine", "torch", "--no-model-warmup", "--host", "127.0.0.1", "--port", str(port)]
    with _serving([*command, *options], f"http://127.0.0.1:{port}/embeddings", log) as server:
        yield server


class Library:
    """Engine in a separate process, on one core and one thread."""

    def __init__(self, python: Path, engine: str, folder: Path) -> None:
        self._process = subprocess.Popen(
            [python, WORKER, "library", engine, folder],
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._answer()

    def encode(self, texts: Sequence[str], out: Path | None = None) -> dict[str, float]:
        """Embed the texts and return `wall_s` and `cpu_s`. The vectors are written to `out`."""
        assert self._process.stdin is not None
        print(json.dumps({"texts": texts, **({"out": str(out)} if out else {})}), file=self._process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith("{"):
                answer: dict[str, float] = json.loads(line)
                return answer
        raise SystemExit("An engine ended before it answered.")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _serving(command: Sequence[str], url: str, log: Path) -> Iterator[PeerServer]:
    began_s = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=_environment(), stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        port = int(url.rpartition(":")[2].partition("/")[0])
        while not _open(port):
            if process.poll() is not None or time.perf_counter() - began_s > START_TIMEOUT_S:
                raise SystemExit(f"A peer did not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)
        yield PeerServer(url, process.pid, time.perf_counter() - began_s)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _environment() -> dict[str, str]:
    """Return an environment in which no library contacts a hub or sends telemetry."""
    offline = dict.fromkeys(("HF_HUB_OFFLINE", "DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY"), "1")
    return {**environment(), **offline, "INFINITY_ANONYMOUS_USAGE_STATS": "0", "PYTHONWARNINGS": "ignore"}


def _has(python: Path, requirement: str) -> bool:
    if not os.access(python, os.X_OK):
        return False
    asked = f"import importlib.metadata as m; m.version({requirement.partition('[')[0]!r})"
    return subprocess.run([str(python), "-c", asked], stderr=subprocess.DEVNULL).returncode == 0

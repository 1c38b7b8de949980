"""Proxies in front of the backends of benchmarks/balancing_live.py, each started anew for every measurement.

Each proxy is told only the addresses of the backends. nginx and HAProxy run unprivileged on loopback with the
configurations below; all other options have their defaults (nginx tries the next server after an error or a timeout,
HAProxy tries three times to connect). Argosy is a fleet as `argosy up` starts it, called at its gateway.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from argosy.control.preflight import free_port
from benchmarks._live_backend import await_ready
from benchmarks._processes import cpu_s, fleet_processes
from benchmarks._running import RunningFleet

INSTALL = "apt-get install nginx-light haproxy"
PLACES = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
"""Search path for both programs, which Debian installs in folders that only root searches."""

# One count of connections for both workers (zone), kept-open connections to the backends, no log on disk.
NGINX = """
daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    upstream backends {{
        zone backends 256k;
        least_conn;
{servers}
        keepalive 64;
        keepalive_requests 1000000;
    }}
    server {{
        listen 127.0.0.1:{port} reuseport;
        location / {{
            proxy_pass http://backends;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""
HAPROXY = """
global
    maxconn 4096
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    option http-keep-alive
frontend in
    bind 127.0.0.1:{port}
    default_backend backends
backend backends
    balance leastconn
    http-reuse always
{servers}
"""
ARGOSY = """
[services.embedding]
backend = "fake"

[services.backends]
external = [{servers}]
health_path = "/livez"

[services.backends.protection]
hedging = {hedging}
"""


@dataclass(frozen=True, slots=True)
class Front:
    url: str
    """Address of the backends' root behind the proxy."""
    pids: tuple[int, ...]
    """Processes that carry requests."""

    def cpu_s(self) -> float:
        return sum(cpu_s(pid) for pid in self.pids)


Start = Callable[[Sequence[str]], AbstractContextManager[Front]]


def executable(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=PLACES)


@contextmanager
def nginx(backends: Sequence[str]) -> Iterator[Front]:
    servers = "\n".join(f"        server {urlsplit(url).netloc};" for url in backends)
    with _folder() as folder:
        port = free_port("127.0.0.1", 0, "--port")
        written = _written(folder / "nginx.conf", NGINX.format(folder=folder, port=port, servers=servers))
        with _process(["nginx", "-p", str(folder), "-e", "stderr", "-c", str(written)], port) as front:
            yield front


@contextmanager
def haproxy(backends: Sequence[str]) -> Iterator[Front]:
    servers = "\n".join(f"    server b{n} {urlsplit(url).netloc}" for n, url in enumerate(backends))
    with _folder() as folder:
        port = free_port("127.0.0.1", 0, "--port")
        written = _written(folder / "haproxy.cfg", HAPROXY.format(port=port, servers=servers))
        with _process(["haproxy", "-db", "-f", str(written)], port) as front:
            yield front


def argosy(*, hedging: bool) -> Start:
    @contextmanager
    def start(backends: Sequence[str]) -> Iterator[Front]:
        servers = ", ".join(f'"{url}"' for url in backends)
        with _folder() as folder:
            _written(folder / "argosy.toml", ARGOSY.format(servers=servers, hedging=str(hedging).lower()))
            with RunningFleet(folder / "data") as fleet:
                processes = fleet_processes(folder / "data")
                gateways = tuple(pid for pid, name in processes.items() if name.startswith("gateway"))
                yield Front(f"{fleet.gateway_url}/services/backends", gateways)

    return start


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="argosy-live-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@contextmanager
def _process(command: list[str], port: int) -> Iterator[Front]:
    found = executable(command[0])
    assert found is not None
    process = subprocess.Popen([found, *command[1:]])
    url = f"http://127.0.0.1:{port}"
    try:
        await_ready(url, process)
        workers = psutil.Process(process.pid).children(recursive=True)
        yield Front(url, (process.pid, *(worker.pid for worker in workers)))
    finally:
        process.terminate()
        process.wait()

"""Process that holds a model file and serves it with llama.cpp's own HTTP server on loopback.

It reads one line with its settings, writes one line with its address, and ends when its parent closes the pipe or dies.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec

MISSING = "missing"


class Settings(msgspec.Struct):
    model: str
    context_tokens: int
    threads: int
    key: str


class Started(msgspec.Struct):
    """Address of the server, or the reason why there is none."""

    url: str = ""
    error: str = ""


def main() -> None:
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=Settings)
    answer = os.dup(1)
    os.dup2(2, 1)  # the library writes its log to the standard output as well
    try:
        server: Any = _server(settings)
        started = Started(url=server.listening_address)
    except ImportError:
        started = Started(error=MISSING)
    except Exception as error:
        started = Started(error=str(error) or type(error).__name__)
    os.write(answer, msgspec.json.encode(started) + b"\n")
    if started.url:
        sys.stdin.buffer.read()
    os._exit(0)  # the library's threads may still compute


def _server(settings: Settings) -> object:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings.model
    params.n_ctx = settings.context_tokens
    params.n_parallel = 1
    params.cpuparams.n_threads = settings.threads
    params.cpuparams_batch.n_threads = settings.threads
    params.fit_params = False
    params.cache_ram_mib = 0
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [settings.key]
    params.n_threads_http = 4
    params.ui = params.endpoint_slots = params.endpoint_props = False
    params.offline = True
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()

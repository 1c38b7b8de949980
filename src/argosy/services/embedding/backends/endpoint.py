"""Blocking HTTP for the engine's threads: a kept connection per thread and a deadline for the whole exchange."""

from __future__ import annotations

import base64
import http.client
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from argosy.clients.proxy import proxy_for
from argosy.contracts.errors import ConfigError
from argosy.contracts.request import Deadline
from argosy.contracts.retry_after import retry_after_s

MAX_ANSWER_BYTES = 256 * 2**20
PIECE_BYTES = 2**16
DEFAULT_PROXY_PORT = 80


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    retry_after_s: float | None


class Unreached(Exception):
    """No usable answer arrived. `reason` is short and does not show the address."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class EndpointConnections:
    """Connections to one address, one per thread. Safe to use from several threads."""

    def __init__(self, base_url: str, api_key: str | None) -> None:
        """Prepare connections to `base_url`; none is opened yet.

        Raises: ConfigError when `base_url` is not an http or https address.
        """
        parts = urlsplit(base_url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise ConfigError(
                "services.embedding.base_url must be an address like http://127.0.0.1:8000/v1. Correct it."
            )
        self._host, self._port, self._path = parts.hostname, port, parts.path.rstrip("/")
        self._proxy = _proxy(base_url)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._headers = {"content-type": "application/json", "accept": "application/json"}
        if self._proxy is not None and self._tls is None:
            self._path = f"http://{parts.netloc.rpartition('@')[2]}{self._path}"
            self._headers.update(self._proxy.headers)
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: set[http.client.HTTPConnection] = set()

    def post(self, path: str, body: bytes, until: Deadline) -> Reply:
        """Send a request and return the reply, whatever its status.

        Raises: Unreached when no complete HTTP answer arrives; TimeoutError when the deadline passes.
        """
        connection = self._connection()
        try:
            self._allow(connection, until)
            connection.request("POST", f"{self._path}{path}", body, self._headers)
            self._allow(connection, until)
            response = connection.getresponse()
            pieces: list[bytes] = []
            size = 0
            while piece := response.read(PIECE_BYTES):
                size += len(piece)
                if size > MAX_ANSWER_BYTES:
                    raise Unreached(f"the answer is over {MAX_ANSWER_BYTES} bytes")
                pieces.append(piece)
                self._allow(connection, until)
        except TimeoutError:
            connection.close()
            raise
        except ssl.SSLError as error:
            connection.close()
            raise Unreached("TLS or the certificate failed") from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Unreached(_reason(error)) from error
        except Unreached:
            connection.close()
            raise
        return Reply(response.status, b"".join(pieces), retry_after_s(response.headers.get("retry-after")))

    def close(self) -> None:
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()

    def _connection(self) -> http.client.HTTPConnection:
        known: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if known is None:
            proxy = self._proxy
            host, port = (self._host, self._port) if proxy is None else (proxy.host, proxy.port)
            if self._tls is None:
                known = http.client.HTTPConnection(host, port)
            else:
                known = http.client.HTTPSConnection(host, port, context=self._tls)
                if proxy is not None:
                    known.set_tunnel(self._host, self._port, dict(proxy.headers))
            self._local.connection = known
            with self._lock:
                self._open.add(known)
        return known

    @staticmethod
    def _allow(connection: http.client.HTTPConnection, until: Deadline) -> None:
        """Limit the next wait of the connection to the time left.

        Raises: TimeoutError when no time is left.
        """
        left_s = until.remaining_s()
        if left_s <= 0:
            raise TimeoutError
        connection.timeout = left_s
        if connection.sock is not None:
            connection.sock.settimeout(left_s)


@dataclass(frozen=True, slots=True)
class _Proxy:
    host: str
    port: int
    headers: Mapping[str, str]


def _proxy(base_url: str) -> _Proxy | None:
    """Return the proxy that the environment names for the address. Raises: ConfigError when it is not an http proxy."""
    address = proxy_for(base_url)
    if address is None:
        return None
    parts = urlsplit(address)
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigError("The proxy in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY must be an http:// address. Correct it.")
    headers: dict[str, str] = {}
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["proxy-authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return _Proxy(parts.hostname, parts.port or DEFAULT_PROXY_PORT, headers)


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, http.client.RemoteDisconnected | ConnectionError):
        return "connection lost"
    if isinstance(error, http.client.HTTPException):
        return "no HTTP answer"
    return "no connection"

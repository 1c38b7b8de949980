"""Access for web pages of other origins (CORS): allowed origins get headers that let their pages read answers."""

from __future__ import annotations

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from argosy.contracts.request import DEGRADED_HEADER, REQUEST_ID_HEADER
from argosy.serving.defences import headers_of
from argosy.serving.kit import Kit

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
EXPOSED = (REQUEST_ID_HEADER, DEGRADED_HEADER, "retry-after")
PREFLIGHT_AGE_S = 600


class BrowserAccess:
    """Outermost layer of the public API. Requests without an allowed origin pass unchanged, and may be refused."""

    def __init__(self, app: ASGIApp, kit: Kit) -> None:
        self._app = app
        self._kit = kit
        self._cors = CORSMiddleware(
            app,
            allow_origins=sorted(kit.defences.allowed_origins),
            allow_methods=METHODS,
            allow_headers=("*",),
            allow_private_network=True,
            expose_headers=EXPOSED,
            max_age=PREFLIGHT_AGE_S,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._cors if self._is_allowed(scope) else self._app)(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        """Return whether the origin is allowed. A preflight must also pass the defences, because CORS answers it."""
        if scope["type"] != "http":
            return False
        headers = headers_of(scope["headers"])
        defences = self._kit.defences
        if headers.get("origin") not in defences.allowed_origins:
            return False
        return scope["method"] != "OPTIONS" or defences.check("OPTIONS", scope["path"], headers) is None

"""Shared state of the public routes: the kit, the settings, and the other services once they are connected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from starlette.responses import Response

from argosy.config.services import GatewaySettings
from argosy.contracts.codec import JSON
from argosy.contracts.errors import Unavailable
from argosy.contracts.request import DEGRADED_HEADER
from argosy.services.gateway.schema import public_description
from argosy.services.gateway.upstream import Upstream
from argosy.serving.kit import Kit
from argosy.serving.openapi import TEXT, header

DEGRADED = header(DEGRADED_HEADER, TEXT, "Services whose fallback served this answer.")


class Gateway:
    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.api = public_description()
        self._upstream: Upstream | None = None

    @property
    def settings(self) -> GatewaySettings:
        return self.kit.fleet.services.gateway

    @property
    def upstream(self) -> Upstream:
        """Clients of the other services.

        Raises: Unavailable until `connect` was called.
        """
        if self._upstream is None:
            raise Unavailable("The gateway is still starting. Try again in a second.", retry_after_s=1.0)
        return self._upstream

    def connect(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def count_degraded(self, degraded: Iterable[str]) -> None:
        for missing in degraded:
            self.kit.metrics.count_degraded(missing)

    def json(self, answer: object, degraded: Iterable[str] = (), headers: Mapping[str, str] | None = None) -> Response:
        """Return `answer` as JSON. Services whose fallback served it are counted, and named in a header."""
        missing = list(degraded)
        self.count_degraded(missing)
        all_headers = {**(headers or {}), **degraded_header(missing)}
        return Response(msgspec.json.encode(answer), media_type=JSON, headers=all_headers)


def degraded_header(degraded: Iterable[str]) -> dict[str, str]:
    """Return the header `x-argosy-degraded: embedding, generation`, or no header when no service is degraded."""
    named = ", ".join(degraded)
    return {DEGRADED_HEADER: named} if named else {}

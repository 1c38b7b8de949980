"""Description of the admin API at `/openapi.json`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.types import ASGIApp

from argosy.serving.defences import OPEN_PATHS
from argosy.serving.openapi import Description, text
from argosy.telemetry.metrics import CONTENT_TYPE

EVENT_STREAM = "text/event-stream"
METRICS_TYPE = CONTENT_TYPE.partition(";")[0]


def admin_description(services: Iterable[str]) -> Description:
    """Return the description to which the routes are added."""
    return Description(
        always=(400, 403, 421, 500),
        on_write=(413, 415),
        token_but_for=OPEN_PATHS,
        path_parameters={"name": {"type": "string", "enum": list(services)}, "replica_id": text(128, minLength=1)},
    )


class AdminApp(FastAPI):
    """Routes of the admin API with their description. Errors pass through to the guard around the application."""

    def __init__(self, api: Description, **settings: Any) -> None:
        super().__init__(**settings)
        self._api = api

    def build_middleware_stack(self) -> ASGIApp:
        return AsyncExitStackMiddleware(self.router)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document. It is built once."""
        if self.openapi_schema is None:
            self.openapi_schema = self._api.complete(super().openapi())
        return self.openapi_schema

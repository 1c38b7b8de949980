"""Admin route of balancing."""

from __future__ import annotations

import msgspec
from fastapi import FastAPI
from starlette.responses import Response

from argosy.contracts.balance import BalanceView
from argosy.contracts.codec import JSON
from argosy.control.controller import Controller
from argosy.control.monitoring.balance import balance_view
from argosy.serving.openapi import Description


def add_balance_route(app: FastAPI, api: Description, controller: Controller, token: str) -> None:
    """Add the route to the application and its description to `api`."""

    @app.get("/v1/services/{name}/balance", openapi_extra=api.route({200: BalanceView}))
    async def balance(name: str) -> Response:
        """Explain for each calling process how it picks the service's replicas."""
        service = controller.service(name)
        view = await balance_view(
            service,
            controller.fleet.services.by_name()[name].balancing,
            controller.offered(name),
            controller.draining,
            controller.callers(),
            token,
        )
        return Response(msgspec.json.encode(view), media_type=JSON)

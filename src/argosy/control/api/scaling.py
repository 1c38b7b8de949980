"""Admin routes of scaling."""

from __future__ import annotations

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import Response

from argosy.contracts.codec import JSON
from argosy.contracts.scaling import ScaleOrder, ScalingChange, ScalingView
from argosy.control.api.bodies import body_as
from argosy.control.planning.advice import Advice
from argosy.control.scaling.scaler import Scaler
from argosy.serving.openapi import Description


def add_scaling_routes(app: FastAPI, api: Description, scaler: Scaler, advice: Advice) -> None:
    """Add the routes to the application and their descriptions to `api`."""

    @app.get("/v1/services/{name}/scaling", openapi_extra=api.route({200: ScalingView}))
    async def scaling(name: str) -> Response:
        """Return the scaling settings of the service and its latest decisions."""
        return await _view(advice, name)

    @app.put("/v1/services/{name}/scaling", openapi_extra=api.route({200: ScalingView}, (409,), takes=ScalingChange))
    async def change(name: str, request: Request) -> Response:
        """Change bounds, policy, cooldown or thresholds of the running service."""
        scaler.change(name, await body_as(request, ScalingChange))
        return await _view(advice, name)

    @app.post("/v1/services/{name}/scale", openapi_extra=api.route({200: ScalingView}, (409,), takes=ScaleOrder))
    async def scale(name: str, request: Request) -> Response:
        """Set the number of replicas for `expires_s`, overriding the policy; without `replicas`, end the override."""
        scaler.order(name, await body_as(request, ScaleOrder))
        return await _view(advice, name)


async def _view(advice: Advice, name: str) -> Response:
    return Response(msgspec.json.encode(await advice.view(name)), media_type=JSON)

"""Admin routes of planning."""

from __future__ import annotations

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import Response

from argosy.contracts.codec import JSON
from argosy.contracts.plan import Calibration, PlanPage, PlanRequest, UsageView
from argosy.control.api.bodies import body_as
from argosy.control.planning.plans import Plans
from argosy.serving.openapi import Description


def add_plan_routes(app: FastAPI, api: Description, plans: Plans) -> None:
    """Add the routes to the application and their descriptions to `api`."""

    @app.post("/v1/plan", openapi_extra=api.route({200: PlanPage}, (404,), takes=PlanRequest))
    async def plan(request: Request) -> Response:
        """Return the number of replicas that serve a given rate within a given response time."""
        return Response(msgspec.json.encode(plans.plan(await body_as(request, PlanRequest))), media_type=JSON)

    @app.post("/v1/services/{name}/calibration", openapi_extra=api.route({200: dict[str, int]}, takes=Calibration))
    async def calibration(name: str, request: Request) -> Response:
        """Store the result of a load test of the service. Later plans use it."""
        measured = await body_as(request, Calibration)
        plans.calibrated(name, measured)
        return Response(msgspec.json.encode({"kept": len(measured.steps)}), media_type=JSON)

    @app.get("/v1/usage", openapi_extra=api.route({200: UsageView}))
    async def usage() -> Response:
        """Return the CPU time used so far by the machine and by each service."""
        return Response(msgspec.json.encode(plans.usage()), media_type=JSON)

"""Description of the API: `/openapi.json`, and a page at `/docs` that loads no other resources."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from argosy.contracts.embedding import MAX_TEXT_CHARS
from argosy.serving.openapi import FOR_SERVICES, TEXT, Description, Schema, text
from argosy.telemetry.metrics import CONTENT_TYPE

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#123}"
    "code{background:#eef2f5;padding:.1rem .3rem;border-radius:.2rem}dt{margin-top:1rem}dd{margin:0 0 0 1rem}"
)
EVENT_STREAM = "text/event-stream"
PROXIED = "/services/{name}/{path}"
PROBES: dict[str, tuple[str, dict[int, Any]]] = {
    "/livez": ("Answers while the process lives.", {200: dict[str, str]}),
    "/readyz": ("Answers 503 with the reason while this gateway is not ready.", {200: dict[str, str]}),
    "/metrics": ("Metrics in Prometheus' text format.", {200: {CONTENT_TYPE.partition(";")[0]: TEXT}}),
}


def public_description() -> Description:
    """Return the description to which the routers add their routes."""
    return Description(
        always=(400, 403, 421, 429, 500, 502, 503, 504),
        on_write=(413, 415),
        headers=FOR_SERVICES,
        reports_load=True,
        path_parameters={name: text(512, minLength=1) for name in ("document_id", "batch_id", "name", "path")},
    )


def describe(app: FastAPI, api: Description) -> dict[str, Any]:
    """Return the OpenAPI document. It is created on the first call."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            openapi_version=app.openapi_version,
        )
        document["paths"] |= {path: {"get": _probe(api, path)} for path in PROBES}
        document["paths"][PROXIED] = {
            method: _proxied(api) for method in ("get", "post", "put", "patch", "delete", "options")
        }
        app.openapi_schema = api.complete(document)
    return app.openapi_schema


def _probe(api: Description, path: str) -> Schema:
    said, answers = PROBES[path]
    probe = {"tags": ["fleet"], "summary": path[1:].capitalize(), "description": said, **api.route(answers)}
    if path == "/readyz":
        probe["responses"]["503"] = {**probe["responses"]["200"], "description": "Not ready."}
    return probe


def _proxied(api: Description) -> Schema:
    """Return the description of the route to custom services, whose responses may be anything."""
    described = api.route({})
    described["responses"]["default"] = {"description": "The response of the service, unchanged."}
    described["parameters"] = [
        {"in": "path", "name": name, "required": True, "schema": TEXT} for name in ("name", "path")
    ]
    said = "Pass the request on to a service of your own, and its response back unchanged."
    return {"tags": ["services"], "summary": "Pass on", "description": said, **described}


LINES: dict[str, Any] = {
    "type": "string",
    "description": 'One JSON string, or {"input": "a text"}, on each line. A text may have '
    f"up to {MAX_TEXT_CHARS} characters.",
}
"""Body of a streamed embeddings request."""


def page(document: dict[str, Any]) -> str:
    """Return an HTML page without scripts that lists every route with the first line of its description."""
    rows = "".join(_row(path, operations) for path, operations in sorted(document["paths"].items()))
    title = escape(document["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1><p>The full description, with every field, is "
        f'<a href="/openapi.json">/openapi.json</a> (OpenAPI).</p><dl>{rows}</dl></html>'
    )


def _row(path: str, operations: dict[str, Any]) -> str:
    return "".join(
        f"<dt><code>{method.upper()} {escape(path)}</code></dt><dd>{_marked(_first(operation))}</dd>"
        for method, operation in operations.items()
    )


def _marked(text: str) -> str:
    """Return the text as HTML, with `names` in it as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts))


def _first(operation: dict[str, Any]) -> str:
    lines: Iterable[str] = str(operation.get("description", operation.get("summary", ""))).splitlines()
    return next(iter(lines), "")

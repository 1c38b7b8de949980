"""The API's description: our body models in `/openapi.json`, and a page at `/docs` that loads nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from argosy.services.gateway.bodies import ChatBody, EmbeddingsBody, SearchBody

MODELS: tuple[type[BaseModel], ...] = (ChatBody, EmbeddingsBody, SearchBody)
REFERENCE = "#/components/schemas/{model}"
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#123}"
    "code{background:#eef2f5;padding:.1rem .3rem;border-radius:.2rem}dt{margin-top:1rem}dd{margin:0 0 0 1rem}"
)


def takes(*models: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route that reads one of `models` itself."""
    schemas = [{"$ref": REFERENCE.format(model=model.__name__)} for model in models]
    schema = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: FastAPI's for the routes, with the schemas of the bodies that routes read themselves."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            openapi_version=app.openapi_version,
        )
        _, schemas = models_json_schema([(model, "validation") for model in MODELS], ref_template=REFERENCE)
        document.setdefault("components", {}).setdefault("schemas", {}).update(schemas.get("$defs", {}))
        app.openapi_schema = document
    return app.openapi_schema


def page(document: dict[str, Any]) -> str:
    """Every route with its first sentence, as HTML without scripts."""
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
    """Text as HTML, `names` in it as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts))


def _first(operation: dict[str, Any]) -> str:
    lines: Iterable[str] = str(operation.get("description", operation.get("summary", ""))).splitlines()
    return next(iter(lines), "")

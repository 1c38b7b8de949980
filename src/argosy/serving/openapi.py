"""Description of routes in an OpenAPI document: every status, parameter, header and body.

Most routes read bodies and queries themselves and answer with structs, which FastAPI cannot inspect. Each route
therefore gives its description as `openapi_extra`, and `complete` adds the parts common to all routes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from argosy.contracts.codec import JSON
from argosy.contracts.errors import ErrorResponse
from argosy.contracts.request import (
    DEADLINE_HEADER,
    LOAD_HEADER,
    PRIORITY_HEADER,
    REQUEST_ID_HEADER,
    TRACEPARENT_HEADER,
    Priority,
)

Schema = dict[str, Any]
REFERENCE = "#/components/schemas/{name}"
SHARED = "#/components/responses/{status}"
WRITES = frozenset({"post", "put", "patch", "delete"})
TEXT: Schema = {"type": "string"}
EVENT: Schema = {
    "type": "object",
    "properties": {"event": TEXT, "id": TEXT, "data": {"type": "string", "contentMediaType": JSON}},
    "description": "One server-sent event.",
}
BINARY: Schema = {"type": "string", "contentMediaType": "application/octet-stream"}

ERRORS: Mapping[int, str] = {
    400: "The request is wrong; `param` names the field, and the message states the remedy.",
    401: "The fleet's token is missing or wrong.",
    403: "The request comes from a web page of another origin.",
    404: "The requested resource does not exist.",
    409: "The state of the resource does not allow this request.",
    413: "The body, or a text in it, exceeds its limit.",
    415: "The content type is not accepted.",
    421: "The Host header names an address that this fleet does not answer for.",
    422: "A document cannot be indexed.",
    429: "A queue is full and nothing was accepted; retry after `retry-after` seconds.",
    500: "Argosy failed to process the request.",
    502: "Another service gave an invalid answer.",
    503: "A required service cannot be reached now.",
    504: "The time allowed for the request has passed.",
    507: "The disk is full and nothing was accepted.",
}
RETRIED = frozenset({429, 503})


def number(low: float | None = None, high: float | None = None, *, whole: bool = True) -> Schema:
    """Return the schema of a number within bounds."""
    bounds = {"minimum": low, "maximum": high}
    return {"type": "integer" if whole else "number"} | {k: v for k, v in bounds.items() if v is not None}


def text(longest: int, **more: Any) -> Schema:
    """Return the schema of a text of bounded length."""
    return {"type": "string", "maxLength": longest, **more}


def query(name: str, schema: Schema, description: str) -> Schema:
    """Return the description of an optional query parameter."""
    return {"in": "query", "name": name, "required": False, "schema": schema, "description": description}


def header(name: str, schema: Schema, description: str) -> Schema:
    """Return the description of an optional header."""
    return {"in": "header", "name": name, "required": False, "schema": schema, "description": description}


REQUEST_ID = header(
    REQUEST_ID_HEADER,
    text(128, pattern="^[A-Za-z0-9._:-]{1,128}$"),
    "Id of the request, returned with the answer. An id with other characters is replaced.",
)
FOR_SERVICES = (
    REQUEST_ID,
    header(DEADLINE_HEADER, number(0, 10**12 - 1), "Time within which the answer must arrive, in milliseconds."),
    header(
        PRIORITY_HEADER,
        {"type": "string", "enum": list(Priority)},
        "`interactive` if a user waits for the answer, else `bulk`.",
    ),
    header(TRACEPARENT_HEADER, TEXT, "W3C trace context."),
)


@dataclass
class Description:
    """Schemas of one API. `always` and `on_write` are error statuses that any of its routes may answer."""

    always: tuple[int, ...]
    on_write: tuple[int, ...]
    headers: tuple[Schema, ...] = (REQUEST_ID,)
    reports_load: bool = False
    token_but_for: frozenset[str] | None = None
    """Paths that need no token; None when no path needs one."""
    path_parameters: dict[str, Schema] = field(default_factory=dict)
    schemas: dict[str, Schema] = field(default_factory=dict)

    def schema(self, kind: Any) -> Schema:
        """Return the schema of a type, or the given schema. Structs and models are stored and referenced by name."""
        if isinstance(kind, dict):
            return kind
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            _, found = models_json_schema([(kind, "validation")], ref_template=REFERENCE.format(name="{model}"))
            self.schemas.update(found.get("$defs", {}))
            return {"$ref": REFERENCE.format(name=kind.__name__)}
        (schema,), components = msgspec.json.schema_components([kind], schema_hook=_any, ref_template=REFERENCE)
        self.schemas.update(components)
        return schema

    def route(
        self,
        answers: Mapping[int, Any],
        errors: Iterable[int] = (),
        *,
        takes: Any = None,
        parameters: Iterable[Schema] = (),
        headers: Iterable[Schema] = (),
        body_required: bool = True,
    ) -> Schema:
        """Return a route's `openapi_extra`.

        Args:
            answers: for each status a type sent as JSON, or a mapping of content types to types; None for no body.
            takes: the request body in the same form.
            headers: headers of the answers.
        """
        described: Schema = {"responses": {}, "parameters": list(parameters)}
        sent = {h["name"]: {"schema": h["schema"], "description": h["description"]} for h in headers}
        for status, kind in answers.items():
            response: Schema = {"description": "Success.", "headers": dict(sent)}
            if kind is not None:
                response["content"] = self._content(kind)
            described["responses"][str(status)] = response
        for status in errors:
            described["responses"][str(status)] = {"$ref": SHARED.format(status=status)}
        if takes is not None:
            described["requestBody"] = {"required": body_required, "content": self._content(takes)}
        return described

    def complete(self, document: Schema) -> Schema:
        """Add the statuses and headers of all routes, and the schemas they reference, to FastAPI's document."""
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                self._complete(path, method, operation)
        components = document.setdefault("components", {})
        shared = {str(status): self._error(status) for status in ERRORS}
        components["responses"] = {status: self._with_headers(response) for status, response in shared.items()}
        components["schemas"] = {**components.get("schemas", {}), **self.schemas}
        for unused in ("HTTPValidationError", "ValidationError"):
            components["schemas"].pop(unused, None)
        if self.token_but_for is not None:
            components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        return document

    def _complete(self, path: str, method: str, operation: Schema) -> None:
        needs_token = self.token_but_for is not None and path not in self.token_but_for
        if needs_token:
            operation["security"] = [{"token": []}]
        responses = operation["responses"]
        if "HTTPValidationError" in str(responses.get("422")):
            del responses["422"]
        usual = (*self.always, *(self.on_write if method in WRITES else ()), *((401,) if needs_token else ()))
        for status in (*usual, *((404,) if "{" in path else ())):
            responses.setdefault(str(status), {"$ref": SHARED.format(status=status)})
        parameters = operation.setdefault("parameters", [])
        for parameter in parameters:
            if parameter["in"] == "path":
                parameter["schema"] = self.path_parameters.get(parameter["name"], parameter["schema"])
        known = {parameter["name"] for parameter in parameters}
        parameters.extend(h for h in self.headers if h["name"] not in known)
        described = {s: r if "$ref" in r else self._with_headers(r) for s, r in responses.items()}
        operation["responses"] = dict(sorted(described.items()))

    def _with_headers(self, response: Schema) -> Schema:
        """Return the response with the headers that every response has."""
        usual: Schema = {
            REQUEST_ID_HEADER: {"schema": TEXT, "required": True, "description": "Quote it when you report a problem."}
        }
        if self.reports_load:
            usual[LOAD_HEADER] = {"schema": TEXT, "description": "The replica's load, in ORCA's text form."}
        return {**response, "headers": {**response.get("headers", {}), **usual}}

    def _error(self, status: int) -> Schema:
        described: Schema = {"description": ERRORS[status], "content": self._content(ErrorResponse)}
        if status == 401:
            described["headers"] = {"www-authenticate": {"schema": TEXT, "description": "Bearer."}}
        if status in RETRIED:
            seconds = {"schema": number(0), "description": "Seconds to wait."}
            described["headers"] = {"retry-after": seconds}
        return described

    def _content(self, kind: Any) -> Schema:
        kinds = kind if isinstance(kind, Mapping) and all("/" in name for name in kind) else {JSON: kind}
        return {name: {"schema": self.schema(one)} for name, one in kinds.items()}


def _any(kind: type) -> Schema:
    """Return the schema of a type that holds any JSON. An empty schema would mean "no schema" to msgspec."""
    return {"description": "Any JSON value."}

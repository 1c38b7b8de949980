"""Public surface as readable text: both APIs, the settings, and the names of the metrics.

The files in `tests/contract/recorded` hold the surface that callers rely on. `make surface` writes them again after an
intended change. They hold no prose, version or address, so a rewritten sentence changes none of them.
"""

from __future__ import annotations

import ast
import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from argosy.clients.call_metrics import COUNTS
from argosy.config.models import Fleet
from argosy.config.service import CustomSettings
from argosy.control.api.app import create_admin_app
from argosy.control.controller import Controller
from argosy.control.discovery.publisher import Publisher
from argosy.control.events.feed import Feed
from argosy.control.history.history import History
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.fake import FakePlatform
from argosy.services.embedding.cache.statistics import CacheStats, DiskState, LevelStats
from argosy.services.embedding.report import CacheCollector
from tests.asgi import call
from tests.unit.gateway.fakes import Rig

RECORDED = Path(__file__).parent / "recorded"
SOURCE = Path(__file__).resolve().parents[2] / "src" / "argosy"
PROSE = ("title", "description", "summary", "example", "examples", "tags", "operationId")
COUNTER = ("Counter", "CounterMetricFamily")
METRICS = (*COUNTER, "Gauge", "Histogram", "GaugeMetricFamily", "HistogramMetricFamily")

Schema = Mapping[str, Any]


def gateway_api() -> str:
    return _described(asyncio.run(_document(Rig().app)))


def admin_api() -> str:
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder))
        prober, feed = Prober("token", 1.0), Feed(history)
        controller = Controller(Fleet(), FakePlatform(), prober, Publisher(1), feed, history, public_port=0)
        document = asyncio.run(_document(create_admin_app(controller, "token")))
        history.close()
    return _described(document)


def settings() -> str:
    """Return every setting with its type, bounds and default. Services of one's own stand under `services.NAME`."""
    lines = [*_settings(Fleet(), ""), *_settings(CustomSettings.model_construct(), "services.NAME.")]
    return "\n".join(sorted(lines)) + "\n"


def metrics() -> str:
    """Return the name of every metric with its labels, as the code declares them."""
    found = {line for path in SOURCE.rglob("*.py") for line in _declared(ast.parse(path.read_text("utf-8")))}
    found |= {f"argosy_{name}_total (to)" for name, _, _ in COUNTS}
    empty = CacheStats(LevelStats(), LevelStats(), DiskState.READY, 0, 0, 0, 0.0, 0)
    for family in CacheCollector(lambda: empty).collect():
        labels = sorted({label for sample in family.samples for label in sample.labels})
        found.add(_metric(family.name, labels, counts=family.type == "counter"))
    return "\n".join(sorted(found)) + "\n"


SURFACE: Mapping[str, Callable[[], str]] = {
    "gateway.txt": gateway_api,
    "admin.txt": admin_api,
    "settings.txt": settings,
    "metrics.txt": metrics,
}
"""Recorded file → function that makes its present text."""


async def _document(app: Any) -> Schema:
    document: Schema = (await call(app, "GET", "/openapi.json", headers={"authorization": "Bearer token"})).json()
    return document


def _described(document: Schema) -> str:
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in sorted(document["paths"].items())
        for method, operation in sorted(methods.items())
    }
    parameters = [{_parameter(given) for given in operation["parameters"]} for operation in operations.values()]
    everywhere = set.intersection(*parameters)
    parts = ["\n".join(["every operation", *sorted(everywhere)])]
    for name, operation in operations.items():
        parts.append("\n".join(line for line in _operation(name, operation) if line not in everywhere))
    shared = document["components"]
    for status, response in sorted(shared["responses"].items()):
        parts.append("\n".join(_response(f"response {status}", response)))
    for name, schema in sorted(shared["schemas"].items()):
        parts.append("\n".join(_object(name, schema)))
    return "\n\n".join(parts) + "\n"


def _operation(name: str, operation: Schema) -> Iterator[str]:
    yield f"{name}{' (token)' if operation.get('security') else ''}"
    for given in operation.get("parameters", ()):
        yield _parameter(given)
    body = operation.get("requestBody", {})
    for media, content in sorted(body.get("content", {}).items()):
        yield f"  body{'' if body.get('required') else '?'} {media}: {_compact(content.get('schema', {}))}"
    shared = []
    for status, response in sorted(operation["responses"].items()):
        if "$ref" in response:
            shared.append(status)
        else:
            yield from (f"  {line}" for line in _response(status, response))
    if shared:
        yield f"  shared responses: {', '.join(shared)}"


def _parameter(given: Schema) -> str:
    return f"  {given['in']} {given['name']}{'' if given.get('required') else '?'}: {_compact(given['schema'])}"


def _response(name: str, response: Schema) -> Iterator[str]:
    headers = response.get("headers", {})
    yield f"{name}{' with ' + ', '.join(sorted(headers)) if headers else ''}"
    for media, content in sorted(response.get("content", {}).items()):
        yield f"  {media}: {_compact(content.get('schema', {}))}"


def _object(name: str, schema: Schema) -> Iterator[str]:
    properties, required = schema.get("properties"), schema.get("required", ())
    if properties is None:
        yield f"schema {name}: {_compact(schema)}"
        return
    more = schema.get("additionalProperties")
    rest = "" if more is None else f", other properties: {_compact(more)}"
    yield f"schema {name}{rest}"
    for key, value in sorted(properties.items()):
        yield f"  {key}{'' if key in required else '?'}: {_compact(value)}"


def _settings(settings: BaseModel, prefix: str) -> Iterator[str]:
    schema = type(settings).model_json_schema()
    for name, field in sorted(schema.get("properties", {}).items()):
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from _settings(value, f"{prefix}{name}.")
        else:
            default = settings.model_dump(mode="json", include={name})[name]
            yield f"{prefix}{name}: {_compact({**_resolved(field, schema.get('$defs', {})), 'default': default})}"


def _resolved(schema: Any, defined: Mapping[str, Schema]) -> Any:
    """Return a schema with the choices of its enumerations in place of their names."""
    if isinstance(schema, list):
        return [_resolved(item, defined) for item in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref", "").rpartition("/")[2]
    if "enum" in defined.get(reference, {}):
        return {**defined[reference], **{k: v for k, v in schema.items() if k != "$ref"}}
    return {key: _resolved(value, defined) for key, value in schema.items()}


def _compact(schema: Any) -> str:
    """Return a schema as one line of JSON without prose; a reference is the name that it refers to."""
    if isinstance(schema, dict) and set(schema) - set(PROSE) == {"$ref"}:
        return str(schema["$ref"]).rpartition("/")[2]
    return json.dumps(_bare(schema), sort_keys=True, ensure_ascii=False).replace("#/components/schemas/", "")


def _bare(schema: Any, *, names: bool = False) -> Any:
    """Return a schema without prose. `names` says that its keys are names of properties, which all stay."""
    if isinstance(schema, list):
        return [_bare(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if names or key not in PROSE}
    return {key: _bare(value, names=key == "properties") for key, value in kept.items()}


def _declared(tree: ast.Module) -> Iterator[str]:
    """Yield the metrics that are declared with a constant name."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in METRICS:
            continue
        name = node.args[0] if node.args else None
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            continue
        labels = [keyword.value for keyword in node.keywords if keyword.arg in ("labels", "labelnames")]
        labels += node.args[2:3]
        yield _metric(name.value, ast.literal_eval(labels[0]) if labels else (), counts=node.func.id in COUNTER)


def _metric(name: str, labels: Any, *, counts: bool) -> str:
    """Return a metric under the name that `/metrics` shows: a counter's ends in `_total`."""
    shown = f"{name.removesuffix('_total')}_total" if counts else name
    return f"{shown} ({', '.join(labels)})" if labels else shown


def main() -> int:
    """Write the recorded files."""
    RECORDED.mkdir(exist_ok=True)
    for name, text in SURFACE.items():
        (RECORDED / name).write_text(text(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

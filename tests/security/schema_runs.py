"""Requests that an OpenAPI document allows or forbids; each answer is checked against the document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
TIMEOUT_S = 30.0

AnyCase = Case[Any]
Adjust = Callable[[AnyCase], None]


def run(
    url: str, headers: Mapping[str, str], adjust: Adjust, examples: int, wanted: Callable[[str], bool] = lambda _: True
) -> set[int]:
    """Call the operations of the document at `url` with generated requests, the same on every run.

    Args:
        adjust: changes a request before it is sent.
        examples: number of valid requests for each operation; as many invalid ones are added.
        wanted: whether to call an operation, given its name `METHOD /path`.

    Returns: the statuses received.
    """
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", headers=dict(headers))
    seen: set[int] = set()
    with requests.Session() as session:
        session.headers.update(headers)
        for operation in _operations(schema):
            if wanted(operation.label):
                for mode in GenerationMode:
                    _exercise(operation, mode, session, adjust, examples, seen)
    return seen


def _operations(schema: Any) -> Iterator[APIOperation[Any, Any, Any, Any]]:
    for result in schema.get_all_operations():
        yield result.ok()


def _exercise(
    operation: APIOperation[Any, Any, Any, Any],
    mode: GenerationMode,
    session: requests.Session,
    adjust: Adjust,
    examples: int,
    seen: set[int],
) -> None:
    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def exercise(case: AnyCase) -> None:
        adjust(case)
        response = case.call(session=session, timeout=TIMEOUT_S)
        seen.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    exercise()

"""Filters of `argosy search --filter`, which the gateway accepts as they are."""

from __future__ import annotations

import pytest
import typer

from argosy.cli.filters import filters_of
from argosy.services.gateway.filters import read_filters

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["name=a=b.md"], {"name": {"in": ["a=b.md"]}}),
        (["year=2020"], {"year": {"in": [2020, "2020"]}}),
        (["ok=true"], {"ok": {"in": [True, "true"]}}),
        (["lang != de"], {"not": {"lang": {"in": ["de"]}}}),
        (["year>=2020"], {"year": {"gte": 2020}}),
        (["price<-1.5"], {"price": {"lt": -1.5}}),
        (["changed>2024-05-31"], {"changed": {"gt": "2024-05-31"}}),
        (["a=1", "b<=2"], {"and": [{"a": {"in": [1, "1"]}}, {"b": {"lte": 2}}]}),
    ],
)
def test_a_written_filter_is_one_of_the_gateway(written: list[str], read: object) -> None:
    assert filters_of(written) == read
    assert read_filters(read) != {}


@pytest.mark.parametrize("written", ["", "year", "=x", ">=3"])
def test_a_malformed_filter_is_refused_with_the_forms(written: str) -> None:
    with pytest.raises(typer.BadParameter, match="KEY=VALUE"):
        filters_of([written])

"""Filters as senders write them: what they mean, and how each fault is refused."""

from __future__ import annotations

import pytest

from argosy.contracts.errors import InvalidRequest
from argosy.contracts.filters import Between, Every, Exists, Filters, Not, OneOf, Some, instant
from argosy.services.gateway.filters import MAX_FILTERS, MAX_VALUES, read_filters
from tests.asgi import call
from tests.unit.gateway.fakes import Rig

pytestmark = pytest.mark.unit

MAY = instant("2024-05-01")


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({}, {}),
        ({"year": 2020, "title": None}, {"year": 2020, "title": None}),
        ({"and": "x", "not": 1, "or": True}, {"and": "x", "not": 1, "or": True}),
        ({"year": {"eq": 2020}}, OneOf("year", [2020])),
        ({"year": {"in": [2020, "x", None]}}, OneOf("year", [2020, "x", None])),
        ({"year": {"gte": 2020, "lt": 2022.5}}, Between("year", gte=2020, lt=2022.5)),
        ({"when": {"gt": "2024-05-01"}}, Between("when", gt=MAY, dates=True)),
        ({"when": {"lte": "2024-05-01T02:00:00+02:00"}}, Between("when", lte=MAY, dates=True)),
        ({"a": {"exists": True}}, Exists("a")),
        ({"a": {"exists": False}}, Not(Exists("a"))),
        ({"a": 1, "b": {"exists": True}}, Every([OneOf("a", [1]), Exists("b")])),
        ({"or": [{"a": 1}, {"b": 2, "c": 3}]}, Some([OneOf("a", [1]), Every([OneOf("b", [2]), OneOf("c", [3])])])),
        ({"not": {"and": [{"a": 1}, {"b": {"lt": 2}}]}}, Not(Every([OneOf("a", [1]), Between("b", lt=2)]))),
    ],
)
def test_filters_are_read(sent: object, read: Filters) -> None:
    assert read_filters(sent) == read


def nested(depth: int) -> object:
    return {"a": 1} if depth == 0 else {"not": nested(depth - 1)}


@pytest.mark.parametrize(
    ("sent", "place", "said"),
    [
        ([], "filters", "an object"),
        ({"a": {}}, "filters.a", "eq, in, gt"),
        ({"a": [1]}, "filters.a", '{"in": [...]}'),
        ({"a": {"gtr": 1}}, "filters.a.gtr", "did you mean gt"),
        ({"a": {"$in": [1]}}, "filters.a.$in", "did you mean in"),
        ({"a": {">=": 1}}, "filters.a.>=", "did you mean gte"),
        ({"a": {"exist": True}}, "filters.a.exist", "did you mean exists"),
        ({"a": {"zzzz": 1}}, "filters.a.zzzz", "known are eq, in"),
        ({"a": {"not": 1}}, "filters.a.not", '{"not": {"year": 2020}}'),
        ({"a": {"in": []}}, "filters.a.in", "at least one"),
        ({"a": {"in": [1, [2]]}}, "filters.a.in.1", "a string, a number"),
        ({"a": {"in": [*range(MAX_VALUES + 1)]}}, "filters.a.in", "256"),
        ({"a": {"gt": "soon"}}, "filters.a.gt", "2024-05-31"),
        ({"a": {"gt": True}}, "filters.a.gt", "must be a number"),
        ({"a": {"gt": 1, "lt": "2024-05-01"}}, "filters.a", "two numbers or two dates"),
        ({"a": {"gt": 1, "gte": 2}}, "filters.a.gte", "one of them"),
        ({"a": {"lt": 2**54}}, "filters.a.lt", "2^53"),
        ({"a": {"exists": 1}}, "filters.a.exists", "true or false"),
        ({"and": []}, "filters.and", "1 to 32"),
        ({"or": [{"a": 1}, {}]}, "filters.or.1", "remove it"),
        ({"or": [{"a": 1}, 3]}, "filters.or.1", "an object"),
        ({"or": {"a": 1}}, "filters.or.a", "no operator"),
        ({"not": {}}, "filters.not", "at least one"),
        (nested(5), "filters.not.not.not.not.not", "4 levels"),
        ({f"k{n}": 1 for n in range(MAX_FILTERS + 1)}, "filters", "32"),
        ({"or": [{f"k{n}": 1 for n in range(20)}] * 2}, "filters.or.1.k12", "32 conditions"),
    ],
)
def test_a_fault_is_named_with_its_place_and_the_remedy(sent: object, place: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_filters(sent)
    assert refused.value.param == place
    assert said in refused.value.message
    assert refused.value.message.startswith(f"{place}: ")
    assert len(refused.value.message) < 300


async def test_search_and_chat_read_the_same_filters(rig: Rig) -> None:
    filters = {"year": {"gte": 2020}}
    await call(rig.app, "POST", "/v1/search", json={"query": "x", "filters": filters})
    question = {"model": "argosy", "messages": [{"role": "user", "content": "When?"}]}
    await call(rig.app, "POST", "/v1/chat/completions", json={**question, "filters": filters})
    asked = rig.upstream.retrieval.asked
    assert [one.filters for one, _ in asked] == [Between("year", gte=2020)] * 2

"""Bounds on replicas in every source, and messages of the loader in the user's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.config.loader import load
from argosy.contracts.errors import ConfigError

pytestmark = pytest.mark.unit


def _file(folder: Path, text: str) -> Path:
    path = folder / "argosy.toml"
    path.write_text(text)
    return path


def _bounds(fleet: object, service: str = "retrieval") -> tuple[int, int]:
    replicas = getattr(fleet.services, service).replicas  # type: ignore[attr-defined]
    return replicas.min, replicas.max


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("[services.retrieval.replicas]\nmin = 2\n", (2, 2)),
        ("[services.retrieval.replicas]\nmax = 3\n", (1, 3)),
        ("[services.retrieval]\nreplicas = 2\n", (2, 2)),
        ("[services.retrieval]\nreplicas = { min = 2, max = 5 }\n", (2, 5)),
    ],
)
def test_an_unset_maximum_follows_the_minimum_and_one_number_is_both(
    tmp_path: Path, text: str, bounds: tuple[int, int]
) -> None:
    assert _bounds(load(_file(tmp_path, text), {})) == bounds


def test_the_environment_and_the_command_line_accept_the_same_forms(tmp_path: Path) -> None:
    assert _bounds(load(None, {"ARGOSY_SERVICES__RETRIEVAL__REPLICAS": "2"})) == (2, 2)
    assert _bounds(load(None, {"ARGOSY_SERVICES__RETRIEVAL__REPLICAS__MIN": "3"})) == (3, 3)
    assert _bounds(load(None, {}, ["services.retrieval.replicas=2"])) == (2, 2)
    assert _bounds(load(None, {}, ["services.retrieval.replicas.min=4"])) == (4, 4)


def test_a_later_source_overrides_one_bound_of_a_bare_number(tmp_path: Path) -> None:
    file = _file(tmp_path, "[services.retrieval]\nreplicas = 2\n")
    assert _bounds(load(file, {}, ["services.retrieval.replicas.max=4"])) == (2, 4)
    assert _bounds(load(file, {"ARGOSY_SERVICES__RETRIEVAL__REPLICAS": "3"})) == (3, 3)


@pytest.mark.parametrize("value", ['"two"', "true", "[1, 2]", "1.5"])
def test_other_kinds_of_values_are_refused_with_both_forms_in_the_message(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match=r"services\.retrieval\.replicas.*replicas = 2.*min = 1, max = 4"):
        load(_file(tmp_path, f"[services.retrieval]\nreplicas = {value}\n"), {})


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [
        ("services.embeding.model", "services.embedding"),
        ("services.embedding.modle", "model"),
        ("fleet.prot", "port"),
        ("services.gatway.max_body_bytes", "services.gateway"),
    ],
)
def test_a_misspelt_key_gets_the_near_one_as_suggestion(key: str, suggestion: str) -> None:
    with pytest.raises(ConfigError, match=rf'did you mean "{suggestion}"'):
        load(None, {}, [f"{key}=1"])


@pytest.mark.parametrize("key", ["fleet.colour", "services.embedding.gpu", "services.reranker.model", "nothing"])
def test_a_key_that_is_near_to_no_other_gets_no_suggestion(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, {}, [f"{key}=1"])
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("fleet.port=abc", "fleet.port must be a whole number (given: 'abc')"),
        ("fleet.port=70000", "fleet.port must be at most 65535 (given: 70000)"),
        ("services.embedding.backend=torch", "services.embedding.backend must be 'onnx', 'openai' or 'fake'"),
        ("services.gateway.allowed_hosts=[1]", "services.gateway.allowed_hosts[0] must be a text in quotes (given: 1)"),
        ("services.gateway.allowed_hosts=localhost", "services.gateway.allowed_hosts must be a list"),
        ("services.scaling=1", "services.scaling must be a table (given: 1)"),
        ("services.documents.workers=0", "services.documents.workers must be at least 1 (given: 0)"),
    ],
)
def test_a_wrong_value_is_described_in_the_users_words(setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, {}, [setting])
    assert message in str(caught.value)
    assert "Input" not in str(caught.value)

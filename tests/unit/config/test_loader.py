"""Tests of the fleet file: every mistake is one sentence that names the place, the key and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.config.loader import load
from argosy.config.models import Fleet
from argosy.contracts.errors import ConfigError

pytestmark = pytest.mark.unit

MISTAKES = [
    ('[fleet]\nnam = "x"', "unknown key fleet.nam", 'did you mean "name"'),
    ('[services.embeding]\nmodel = "x"', "unknown key services.embeding.model", 'did you mean "services.embedding"'),
    ("[services.embeding]\nwants = []", "services.embeding: sets none of module", 'did you mean "services.embedding"'),
    ('[services.t]\nmodule = "a:b"\ncommand = ["c"]', "services.t: sets module and command", "exactly one"),
    ('[services.T]\nmodule = "a:b"', 'service name "T"', "rename it"),
    ('[services.t]\nexternal = "host:80"', "services.t: external", "correct it"),
    ('[services.t]\nexternal = "http://host?x"', "services.t: external", "correct it"),
    ('[services.t]\nexternal = "http://host#x"', "services.t: external", "correct it"),
    ("[services.embedding]\nzzz = 1", "unknown key services.embedding.zzz", "known here are"),
    ("[services.embedding]\nreplicas = {min = 3, max = 2}", "services.embedding.replicas", "raise max or lower min"),
    ('[services.embedding]\nreplicas = {min = "a"}', "services.embedding.replicas.min", "must be a whole number"),
    ("[services.embedding]\nmodel = 3", "services.embedding.model", "must be a text in quotes"),
    ("[services.store]\nreplicas = {max = 2}", "services.store", "set replicas.max = 1"),
    ('[services.store]\nrequires = ["nothing"]', "services.store.requires", 'names "nothing"'),
    ('[services.store]\nrequires = ["retrieval"]', "circle: store → retrieval → store", "remove one"),
    ('[fleet]\nhost = "0.0.0.0"', "fleet: host", "authenticating proxy"),
    ("[fleet]\nport = 8081", "port and admin_port are both 8081", "different ports"),
    ("[fleet]\nport = 99999", "fleet.port", "65535"),
    ('[services.generation]\nbackend = "openai"', "services.generation", "needs model"),
    ('[services.retrieval.rerank]\nbackend = "onnx"', "services.retrieval.rerank", "needs model"),
    ('[services.retrieval.rerank]\nbackend = "cohere"', "services.retrieval.rerank", "needs model"),
    ('[services.retrieval.rerank]\nbackend = "tei"', "services.retrieval.rerank", "needs base_url"),
    ('[services.retrieval.rerank]\nbackend = "best"', "services.retrieval.rerank.backend", "onnx"),
    ('[services.retrieval.rerank]\nbase_url = "https://key@host"', "services.retrieval.rerank", "environment only"),
    ("[services.retrieval.rerank]\ncandidates = 0", "services.retrieval.rerank.candidates", "1"),
    ("[services.documents]\nchunk_overlap_tokens = 400", "services.documents", "lower the overlap"),
    ('[services.embedding.scaling]\npolicy = "magic"', "services.embedding.scaling.policy", "threshold"),
    ("[services.embedding.scaling.threshold.down]\ncpu = 0.8", "scaling.threshold", "lower down.cpu or raise up.cpu"),
    ("[services.embedding.scaling.target.metrics]\ncpu = 0", "scaling.target", "give a number above 0"),
    ("[services.embedding.scaling.target.metrics]\ncpu = nan", "scaling.target", "give a number above 0"),
    ("[services.embedding.slo]\nshare = 1.0", "services.embedding.slo.share", "less than 1"),
    ("[fleet\n", "not valid TOML", "correct that line"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "argosy.toml"


@pytest.mark.parametrize(("text", "key", "remedy"), MISTAKES)
def test_a_mistake_names_the_file_the_key_and_the_remedy(file: Path, text: str, key: str, remedy: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(file) in caught.value.message
    assert key in caught.value.message
    assert remedy in caught.value.message
    assert "\n" not in caught.value.message


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml does not exist"):
        load(tmp_path / "absent.toml")


def test_no_file_and_no_variables_give_the_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(environ={}) == Fleet()


def test_command_line_wins_over_environment_over_file_over_default(file: Path) -> None:
    file.write_text('[services.embedding]\nmodel = "file"\nthreads = 1\nmax_batch_tokens = 64\n')
    fleet = load(
        file,
        {
            "ARGOSY_SERVICES__EMBEDDING__MODEL": "environment",
            "ARGOSY_SERVICES__EMBEDDING__THREADS": "2",
            "ARGOSY_URL": "http://ignored",
        },
        ["services.embedding.model=line"],
    )
    embedding = fleet.services.embedding
    assert (embedding.model, embedding.threads, embedding.max_batch_tokens) == ("line", 2, 64)
    assert embedding.max_queued_texts == 4096


def test_a_mistake_in_a_variable_names_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="ARGOSY_SERVICES__EMBEDDING__MODL: unknown key"):
        load(environ={"ARGOSY_SERVICES__EMBEDDING__MODL": "x"})


@pytest.mark.parametrize("override", ["services.embedding.threads", "=3"])
def test_an_override_without_key_or_value_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match="has no value"):
        load(environ={}, overrides=[override])


def test_an_override_into_a_single_value_is_refused(file: Path) -> None:
    file.write_text("[fleet]\nport = 1\n")
    with pytest.raises(ConfigError, match=r"sets a key below fleet\.port"):
        load(file, overrides=["fleet.port.deep=3"])


def test_keys_of_providers_in_the_environment_select_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {
        "DATABASE_URL": "postgresql://db/x",
        "REDIS_URL": "redis://cache",
        "OPENAI_API_KEY": "sk-x",
        "OPENAI_BASE_URL": "https://provider/v1",
    }
    fleet = load(environ=environ)
    assert fleet == Fleet()
    assert fleet.services.generation.backend == "extractive"


def test_a_relative_data_dir_lies_beside_its_file(file: Path) -> None:
    file.write_text('[fleet]\ndata_dir = "./data"\n')
    assert load(file).fleet.data_dir == file.parent / "data"
    assert load(file, flags={"fleet.data_dir": Path("here")}).fleet.data_dir == Path("here")


def test_an_environment_is_laid_over_the_file(file: Path) -> None:
    file.write_text(
        '[services.embedding]\nmodel = "small"\nthreads = 1\n'
        '[environments.production.services.embedding]\nmodel = "large"\n'
        '[environments.broken.services.embedding]\nmodl = "x"\n'
    )
    assert load(file).services.embedding.model == "small"
    production = load(file, environment="production").services.embedding
    assert (production.model, production.threads) == ("large", 1)
    with pytest.raises(ConfigError, match=r"\[environments\.broken\]: unknown key services\.embedding\.modl"):
        load(file, environment="broken")
    with pytest.raises(ConfigError, match="use one of broken, production"):
        load(file, environment="staging")
    with pytest.raises(ConfigError, match="needs a fleet file"):
        load(environ={}, environment="staging")


def test_services_of_ones_own_stand_beside_ours(file: Path) -> None:
    file.write_text(
        '[services.translate]\nmodule = "acme.translate:create_app"\nwants = ["embedding"]\n'
        '[services.legacy]\nexternal = "http://127.0.0.1:9000"\n'
    )
    services = load(file).services
    assert list(services.by_name())[-2:] == ["translate", "legacy"]
    assert services.custom()["legacy"].external == ("http://127.0.0.1:9000",)
    assert Fleet.model_validate_json(load(file).model_dump_json()) == load(file)

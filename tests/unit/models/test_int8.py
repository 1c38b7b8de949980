from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from argosy.contracts.embedding import TextKind
from argosy.models import int8
from argosy.models.agreement import agreement
from argosy.models.description import Pooling
from argosy.models.graph import Precision
from argosy.models.resolver import resolve
from argosy.models.sample import PASSAGES, QUERIES
from argosy.services.embedding.backends.onnx import OnnxEngine
from tests.unit.models.tiny_model import WORDS, write_model

pytestmark = pytest.mark.unit

TEXTS = ["the tide rises", " ".join(WORDS), "noon", "a keeper lights the lamp", ""]


@pytest.fixture(scope="module", params=list(Pooling))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("int8") / "tiny", pooling=request.param)


def engine_of(folder: Path, precision: Precision = "int8") -> OnnxEngine:
    return OnnxEngine(resolve(str(folder), fetch=False, cache=folder.parent / "cache"), precision=precision)


def test_passages_are_near_the_exact_ones_and_queries_are_the_exact_ones(folder: Path) -> None:
    exact, quantised = engine_of(folder, "fp32"), engine_of(folder)
    assert np.array_equal(exact.embed(TEXTS, TextKind.QUERY), quantised.embed(TEXTS, TextKind.QUERY))
    one, other = (engine.embed(TEXTS, TextKind.PASSAGE) for engine in (exact, quantised))
    cosines = (one * other).sum(axis=1)
    assert 0.995 < cosines.min() < 0.9999999
    assert exact.info.revision != quantised.info.revision
    assert exact.agreement is None


def test_a_text_has_the_same_vector_alone_and_in_company(folder: Path) -> None:
    engine = engine_of(folder)
    alone = np.concatenate([engine.embed([text], TextKind.PASSAGE) for text in TEXTS])
    np.testing.assert_allclose(engine.embed(TEXTS, TextKind.PASSAGE), alone, atol=1e-5)


def test_the_agreement_is_measured_once_and_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = engine_of(folder).agreement
    monkeypatch.setattr(int8, "build", lambda *_: pytest.fail("built again"))
    again = engine_of(folder).agreement
    assert again == first
    assert first is not None
    assert (first.passages, first.queries) == (len(PASSAGES), len(QUERIES))
    assert 0.99 < first.cosine <= 1


def test_agreement_counts_the_queries_whose_nearest_passage_is_the_same() -> None:
    passages = np.eye(3, dtype=np.float32)
    rough = np.array([[0.6, 0, 0.8], [0, 1, 0], [0, 0, 1]], np.float32)
    queries = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.8, 0.6, 0]], np.float32)
    found = agreement((passages, queries), (rough, queries))
    assert found.top1 == 0.75
    assert found.cosine == pytest.approx(2.6 / 3)
    assert str(found) == "top-1 agreement 0.750, mean cosine 0.86667 (4 queries over 3 passages)"


def test_the_sample_is_of_different_texts_with_a_query_each() -> None:
    assert len(set(PASSAGES)) == len(set(QUERIES)) == len(PASSAGES) == len(QUERIES)


def test_rounding_makes_good_on_inputs_that_go_together_what_it_loses() -> None:
    draw = np.random.default_rng(5)
    inputs = (draw.normal(size=(400, 6)) @ draw.normal(size=(6, 48)) + draw.normal(0, 0.05, (400, 48))).astype("f4")
    weight = draw.normal(size=(48, 20)).astype("f4")
    rounded, scale = int8.round_weights(weight, inputs.T @ inputs / np.float32(400), 7)
    assert np.abs(rounded).max() <= 7
    assert np.array_equal(rounded, np.round(rounded))
    plain = np.round(weight / scale) * scale
    lost, lost_plainly = (np.square(inputs @ (weight - found)).mean() for found in (rounded * scale, plain))
    assert lost < lost_plainly / 3


def test_channels_share_their_size_with_their_weights() -> None:
    peaks = np.array([100, 1, 1], np.float32)
    share = int8.shares(peaks, np.ones((3, 2), np.float32))
    np.testing.assert_allclose(share / share[1], [10, 1, 1], rtol=1e-5)
    assert np.prod(share) == pytest.approx(1, rel=1e-5)

"""Any document becomes chunks that are exact slices of the stored text, or fails with a documented error."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy.contracts.codec import frame
from argosy.contracts.errors import DocumentError, UnsupportedType
from argosy.services.documents.chunking.packer import ChunkLimits, cut
from argosy.services.documents.parsing.extraction import extract
from argosy.services.documents.parsing.formats import SUFFIXES, detect
from argosy.services.documents.parsing.parsed import ParsedDocument
from argosy.services.documents.parsing.parser_child import ParseReply
from argosy.services.documents.parsing.pool import ParserPool
from tests.samples import bad_samples, office_samples
from tests.samples.make_samples import HERE, PAGES, docx, pdf, png, scanned_pdf
from tests.unit.documents.chunking.test_packer import Pieces

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

SOAK = int(os.environ.get("ARGOSY_SOAK", "0") or 0)
FEW, MANY = (2500, 5000) if SOAK else (15, 60)
ANY = settings(deadline=None, suppress_health_check=list(HealthCheck))

TEXTS: dict[str, list[bytes]] = {
    ".md": [(HERE / "handbook.md").read_bytes(), b"---\ntitle: x\n---\n# A\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"],
    ".txt": [(HERE / "notices.txt").read_bytes(), "Wide words, and a few more.\n".encode("utf-16-le")],
    ".html": [(HERE / "tides.html").read_bytes(), b"<title>x</title><p>a<br>b<script>c</script><table><tr><td>d"],
    ".csv": [b'Name;Depth\nHeron quay;9,2\n"a\nb";""""\n', b"a,b,c\n1,2\n,,,\n"],
    ".json": [
        b'{"berth": {"name": "Heron quay", "depths": [9.2, 1e400, -0, "\\ud83d\\ude00"]}}',
        b"[[{}, []], null]",
        b'{"a": 1}\n\n{"b": [2]}\n',
    ],
    ".eml": [office_samples.eml(), bad_samples.nested_mail(3), bad_samples.crowded_mail(3)],
    ".rtf": [office_samples.rtf()],
}
BINARIES: dict[str, list[bytes]] = {
    ".pdf": [pdf(PAGES), scanned_pdf(), bad_samples.endless_pdf(5)],
    ".docx": [docx()],
    ".pptx": [office_samples.pptx()],
    ".xlsx": [bad_samples.xlsx()],
    ".odt": [office_samples.odt()],
    ".epub": [office_samples.epub()],
    ".png": [png()],
}
STARTS = [b"", b"%PDF-1.7\n", b"{\\rtf1 ", b"<html>", b"From: x\n\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"PK\3\4"]
PARTS = [
    b"\n",
    b"|",
    b"\0",
    b"<div>",
    b"\\'ff",
    b"\xff",
    b"--b\r\n",
    b"Content-Type: ",
    b"=?utf-8?q?=FF?=",
    b"#",
    b"```",
]


@st.composite
def mutated(draw: st.DrawFn, samples: dict[str, list[bytes]]) -> tuple[str, bytes]:
    """Return name and content of a sample with up to six mutations."""
    suffix = draw(st.sampled_from(sorted(samples)))
    data = draw(st.sampled_from(samples[suffix]))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.sampled_from([0, 1, 2, 20, 400])))
        filling = draw(st.sampled_from([b"", data[at:to] * 2, *PARTS]) | st.binary(max_size=8))
        data = data[:at] + filling + data[to:]
    return f"any{suffix}", data


ANY_TEXT = st.one_of(
    mutated(TEXTS),
    st.tuples(st.sampled_from([f"any{suffix}" for suffix in TEXTS]), st.binary(max_size=600)),
    st.tuples(
        st.sampled_from([f"any{suffix}" for suffix in TEXTS]),
        st.lists(st.sampled_from([*PARTS, *STARTS, b"words ", b"\r", b"---", b"<p>"]), max_size=40).map(b"".join),
    ),
)
ANY_DOCUMENT = st.one_of(
    mutated(BINARIES),
    st.tuples(
        st.sampled_from([f"any{suffix}" for suffix in SUFFIXES]),
        st.tuples(st.sampled_from(STARTS), st.binary(max_size=2000)).map(b"".join),
    ),
)
LIMITS = st.builds(ChunkLimits, st.integers(8, 60), st.integers(0, 4), chars_per_token=st.integers(2, 20))


def check(parsed: ParsedDocument, limits: ChunkLimits) -> None:
    assert parsed.text.strip()
    assert frame(ParseReply(parsed))
    before = 0
    for span in parsed.pages:
        assert before <= span.start <= span.end <= len(parsed.text)
        before = span.end
    stored, drafts = cut(parsed, Pieces(), limits)
    assert drafts
    stored.text.encode()
    for draft in drafts:
        assert draft.text == stored.text[draft.start : draft.end] != ""
        assert (draft.page is None) == (not parsed.pages)
        assert draft.page is None or draft.last_page is None or draft.page <= draft.last_page


@given(ANY_TEXT, LIMITS)
@settings(ANY, max_examples=MANY)
def test_any_text_becomes_chunks_or_fails_with_a_reason(named: tuple[str, bytes], limits: ChunkLimits) -> None:
    """Parse inside this process, so that an exception that is not an Argosy error is visible."""
    name, data = named
    with contextlib.suppress(DocumentError, UnsupportedType):
        check(extract(data, name, detect(data, name)), limits)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def pool(runner: asyncio.Runner) -> Iterator[ParserPool]:
    pool = ParserPool(size=1)
    yield pool
    runner.run(pool.close())


def test_any_document_becomes_chunks_or_fails_with_a_reason(runner: asyncio.Runner, pool: ParserPool) -> None:
    @given(ANY_DOCUMENT, LIMITS)
    @settings(ANY, max_examples=FEW)
    def holds(named: tuple[str, bytes], limits: ChunkLimits) -> None:
        name, data = named
        with contextlib.suppress(DocumentError, UnsupportedType):
            check(runner.run(pool.parse(data, name, 60.0)), limits)

    holds()

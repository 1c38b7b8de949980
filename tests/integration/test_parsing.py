"""The real parser in its real child processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from argosy.contracts.errors import (
    EmptyDocument,
    EncryptedDocument,
    ParserCrashed,
    ParserTimedOut,
    UnreadableDocument,
)
from argosy.services.documents.chunking.packer import chunk
from argosy.services.documents.parsing import extraction, xberg_reader
from argosy.services.documents.parsing.formats import Format, detect
from argosy.services.documents.parsing.parsed import ParsedDocument
from argosy.services.documents.parsing.pool import ParserLimits, ParserPool
from tests.samples import bad_samples, office_samples
from tests.samples.make_samples import PAGES, make_samples, pdf
from tests.waiting import until

pytestmark = pytest.mark.integration

TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_samples(tmp_path_factory.mktemp("samples"))


@pytest.fixture
async def pool() -> AsyncIterator[ParserPool]:
    pool = ParserPool(size=1)
    yield pool
    await pool.close()


def fake(body: str) -> tuple[str, ...]:
    """Return the command of a child that runs `body`."""
    return (sys.executable, "-c", f"import os, sys, time\n{body}")


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]


class Letters:
    def encode_offsets(self, text: str) -> list[tuple[int, int]]:
        return [(at, at + 1) for at, letter in enumerate(text) if not letter.isspace()]


async def test_a_pdf_becomes_markdown_with_pages(pool: ParserPool, samples: dict[str, Path]) -> None:
    parsed = await pool.parse(samples["manual.pdf"].read_bytes(), "manual.pdf", TIMEOUT_S)
    assert [span.page for span in parsed.pages] == [1, 2, 3]
    for span, (heading, lines) in zip(parsed.pages, PAGES, strict=True):
        page = parsed.text[span.start : span.end]
        assert page.startswith(f"# {heading}")
        assert all(line in page for line in lines)
    assert parsed.title == "Manual of the Halcyon Tern"
    drafts = chunk(parsed, Letters())
    assert {draft.page for draft in drafts} == {1, 2, 3}
    [engine] = [draft for draft in drafts if "1450 kilowatts" in draft.text]
    assert (engine.page, engine.heading_path) == (2, ["Engine room"])


async def test_a_word_document_keeps_headings_and_tables(pool: ParserPool, samples: dict[str, Path]) -> None:
    parsed = await pool.parse(samples["crew.docx"].read_bytes(), "crew.docx", TIMEOUT_S)
    assert "# Crew of the Halcyon Tern" in parsed.text
    assert "## Watches" in parsed.text
    assert "| Ines Falk | Master |" in parsed.text
    assert (parsed.title, parsed.pages) == ("Crew list", [])


async def test_html_becomes_markdown_without_what_is_not_shown(pool: ParserPool, samples: dict[str, Path]) -> None:
    parsed = await pool.parse(samples["tides.html"].read_bytes(), "tides.html", TIMEOUT_S)
    assert parsed.text.startswith("# Tides at Kestrel Sound")
    assert "## Currents" in parsed.text
    assert "north–east" in parsed.text
    assert "| Spring | 4.6" in parsed.text
    assert "neverShown" not in parsed.text
    assert parsed.title == "Tides at Kestrel Sound"


async def test_html_in_another_encoding_is_read_as_it_declares(pool: ParserPool) -> None:
    page = '<html><head><meta charset="iso-8859-2"><title>Łódź</title></head><body><p>Zażółć gęślą jaźń'
    parsed = await pool.parse(page.encode("iso-8859-2"), "lodz.html", TIMEOUT_S)
    assert (parsed.title, parsed.text.strip()) == ("Łódź", "Zażółć gęślą jaźń")


async def test_markdown_and_text_are_kept_as_they_are(pool: ParserPool, samples: dict[str, Path]) -> None:
    handbook = await pool.parse(samples["handbook.md"].read_bytes(), "handbook.md", TIMEOUT_S)
    assert handbook.text == samples["handbook.md"].read_text()
    assert handbook.title == "Harbour handbook of Kestrel Sound"
    notices = await pool.parse(samples["notices.txt"].read_bytes(), "notices.txt", TIMEOUT_S)
    assert "täglich geöffnet" in notices.text
    assert not notices.markdown
    assert handbook.properties.language == "en"
    assert set(handbook.stage_s) == {"parse", "clean"}


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("locked.pdf", EncryptedDocument, "protected by a password"),
        ("image.pdf", UnreadableDocument, "is a PNG image, not a PDF"),
        ("empty.docx", EmptyDocument, "is empty"),
    ],
)
async def test_a_document_that_cannot_be_read_says_why(
    pool: ParserPool, samples: dict[str, Path], name: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        await pool.parse(samples[name].read_bytes(), name, TIMEOUT_S)


@pytest.mark.parametrize(
    ("name", "data", "words", "title"),
    [
        ("deck.pptx", office_samples.pptx(), "## Tides\n\nHigh water comes twice a day.", None),
        ("berths.xlsx", bad_samples.xlsx(), "| Kestrel quay | 7 |", None),
        ("moorings.odt", office_samples.odt(), "# Moorings\n\nDouble the lines", "Moorings"),
        ("pilot.epub", office_samples.epub(), "# Ice\n\nKeep to the lee", "The pilot"),
        ("log.rtf", office_samples.rtf(), "Révisé en mai.", "Log book"),
        ("berths.csv", b"Name;Depth\nHeron quay;9,2\n", "| Heron quay | 9,2 |", None),
        ("berths.json", b'{"berth": {"name": "Heron quay"}}', "name: Heron quay", None),
        ("lines.json", b'{"berth": "Teal quay"}\r\n\r\n{"berth": "Heron quay"}\r\n', "berth: Heron quay", None),
        ("lines.ndjson", b'{"berth": "Teal quay"}\n{"berth": "Heron quay"}', "berth: Teal quay", None),
        ("plan.eml", office_samples.eml(), "Der zwölfte Mann fehlt.", "Watch plan für May"),
        ("jp.txt", "港長はチャンネル12で応答し、船は外で待つ。".encode("shift_jis"), "港長はチャンネル12", None),
        (
            "pl.txt",
            "  Zażółć gęślą jaźń,\n\n\nport Łódź.".encode("cp1250"),
            "  Zażółć gęślą jaźń,\n\n\nport Łódź.",
            None,
        ),
    ],
)
def test_each_kind_of_document_is_read(name: str, data: bytes, words: str, title: str | None) -> None:
    parsed = extraction.extract(data, name, detect(data, name))
    assert words in parsed.text
    if title is not None:
        assert parsed.title == title


async def test_what_is_attached_to_a_mail_is_read_with_it(pool: ParserPool) -> None:
    parsed = await pool.parse(office_samples.eml(), "plan.eml", TIMEOUT_S)
    assert "| Heron quay | 9 |" in parsed.text
    assert "#### Berths" in parsed.text
    assert "### Fog\n\nSound the horn." in parsed.text
    assert [text.split()[0] for text in parsed.left_out] == ["tool.exe"]
    assert (parsed.properties.author, parsed.properties.language) == ("Ines Falk <ines@tern.example>", "en")


def test_half_a_pdf_is_not_taken_for_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    half = xberg_reader.Found("# Manual", pages=[(1, "# Manual")])
    monkeypatch.setattr(xberg_reader, "read", lambda *_: half)
    parsed = extraction.extract(pdf(PAGES), "manual.pdf", Format.PDF)
    assert "Flares are kept" in parsed.text
    assert [span.page for span in parsed.pages] == [1, 2, 3]
    assert "Engine room" in parsed.text[parsed.pages[1].start : parsed.pages[1].end]


def test_a_pdf_the_parser_refuses_is_read_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("parsing error")

    monkeypatch.setattr(xberg_reader, "read", refuse)
    assert "1450 kilowatts" in extraction.extract(pdf(PAGES), "manual.pdf", Format.PDF).text


async def test_a_child_serves_many_documents_and_is_replaced_after_its_share(samples: dict[str, Path]) -> None:
    pool = ParserPool(size=1, limits=ParserLimits(jobs=2))
    data = samples["tides.html"].read_bytes()
    seen = []
    for _ in range(4):
        await pool.parse(data, "tides.html", TIMEOUT_S)
        seen.append([child.pid for child in children()])
    assert len(seen[0]) == 1
    assert (seen[1], seen[3]) == ([], [])
    assert seen[2] not in ([], seen[0])
    await pool.close()


async def test_a_hung_child_is_killed_and_the_next_document_gets_a_fresh_one(samples: dict[str, Path]) -> None:
    pool = ParserPool(size=1)
    data = samples["tides.html"].read_bytes()
    await pool.parse(data, "tides.html", TIMEOUT_S)
    [child] = children()
    child.send_signal(signal.SIGSTOP)
    with pytest.raises(ParserTimedOut, match=r"tides\.html was not parsed within 0\.5 seconds"):
        await pool.parse(data, "tides.html", 0.5)
    assert not child.is_running()
    assert (await pool.parse(data, "tides.html", TIMEOUT_S)).text
    await pool.close()
    assert children() == []


async def test_a_child_that_died_meanwhile_costs_no_document(pool: ParserPool, samples: dict[str, Path]) -> None:
    data = samples["tides.html"].read_bytes()
    await pool.parse(data, "tides.html", TIMEOUT_S)
    [child] = children()
    child.kill()
    assert (await pool.parse(data, "tides.html", TIMEOUT_S)).text


@pytest.mark.parametrize(
    "body",
    [
        "os.kill(os.getpid(), 11)",
        "sys.stdin.buffer.read(4); os._exit(0)",
        "os.write(1, b'\\xff\\xff\\xff\\xff'); time.sleep(60)",
        "os.write(1, b'\\0\\0\\0\\1\\xc1'); time.sleep(60)",
    ],
)
async def test_a_child_that_crashes_or_talks_nonsense_fails_only_its_document(
    samples: dict[str, Path], body: str
) -> None:
    pool = ParserPool(size=1, command=fake(body))
    with pytest.raises(ParserCrashed, match=r"crew\.docx"):
        await pool.parse(samples["crew.docx"].read_bytes(), "crew.docx", TIMEOUT_S)
    assert children() == []
    await pool.close()


async def test_a_child_past_its_memory_is_a_crash_and_not_ours(samples: dict[str, Path]) -> None:
    pool = ParserPool(size=1, limits=ParserLimits(memory_bytes=128 << 20))
    with pytest.raises(ParserCrashed):
        await pool.parse(b"<html>" + b"<p>words</p>" * 5_000_000, "huge.html", TIMEOUT_S)
    await pool.close()


async def test_cancelling_a_parse_kills_its_child(samples: dict[str, Path]) -> None:
    pool = ParserPool(size=1, command=fake("time.sleep(600)"))
    task = asyncio.create_task(pool.parse(samples["crew.docx"].read_bytes(), "crew.docx", TIMEOUT_S))
    await until(children)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert children() == []
    await pool.close()


async def test_the_child_dies_with_its_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio, os, psutil\n"
        "from argosy.services.documents.parsing.pool import ParserPool\n"
        "async def main():\n"
        "    pool = ParserPool(size=1)\n"
        "    await pool.parse(b'<html><p>words', 'page.html', 60)\n"
        "    os.write(1, b'%d' % psutil.Process().children()[0].pid)\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, str(script), stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    child = int(await parent.stdout.read(20))
    await parent.wait()
    await until(lambda: not _alive(child))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


async def test_short_texts_are_read_in_one_round_trip_as_they_are_alone(pool: ParserPool) -> None:
    texts = {
        "en.md": b"# Tides\n\nThe moon causes the tides, and the sun helps it twice a month when they stand in line.",
        "de.txt": b"Der Mond verursacht die Gezeiten, und die Sonne hilft ihm zweimal im Monat dabei.",
        "blank.txt": b"\xef\xbb\xbf \n",
        "fr.txt": "La lune cause les marées, et le soleil aide deux fois par mois à les rendre hautes.".encode(
            "cp1252"
        ),
        "short.txt": b"Hi",
    }
    kinds = {name: detect(data, name) for name, data in texts.items()}
    outcomes = await pool.parse_texts([(data, name, kinds[name]) for name, data in texts.items()])
    assert len(children()) == 1
    for (name, data), outcome in zip(texts.items(), outcomes, strict=True):
        if name == "blank.txt":
            assert isinstance(outcome, EmptyDocument)
            continue
        assert isinstance(outcome, ParsedDocument)
        alone = await pool.parse(data, name, TIMEOUT_S)
        assert (outcome.text, outcome.title, outcome.properties) == (alone.text, alone.title, alone.properties)
    languages = [outcome.properties.language for outcome in outcomes if isinstance(outcome, ParsedDocument)]
    assert languages[:3] == ["en", "de", "fr"]


async def test_short_texts_do_not_wait_for_documents_that_hold_all_parsers() -> None:
    pool = ParserPool(size=1, command=fake("time.sleep(3600) if sys.stdin.buffer.read(1) else None"))
    held = asyncio.ensure_future(pool.parse(b"Tides", "a.txt", TIMEOUT_S))
    await until(children)
    pool._command = (sys.executable, "-m", "argosy.services.documents.parsing.parser_child")
    [parsed] = await asyncio.wait_for(pool.parse_texts([(b"Tides", "b.txt", Format.TEXT)]), TIMEOUT_S)
    assert isinstance(parsed, ParsedDocument)
    await pool.close()
    with pytest.raises(ParserCrashed):
        await held

"""Source code and configuration files: read as text, cut at definitions, with the names around each chunk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.contracts.errors import UnreadableDocument, UnsupportedType
from argosy.services.documents.chunking.packer import ChunkDraft, ChunkLimits, chunk
from argosy.services.documents.parsing.code import sections_of
from argosy.services.documents.parsing.extraction import parse
from argosy.services.documents.parsing.formats import Format, detect
from tests.unit.documents.chunking.test_packer import Pieces

pytestmark = pytest.mark.unit

PYTHON = '''"""Moorings of the harbour."""

import math

LIMIT = 3


# How long a rope must be.
@lru_cache
def rope_length(depth: float) -> float:
    """Return the length."""
    return math.sqrt(depth)


class Mooring:
    """A place for one boat."""

    def __init__(self, berth: int) -> None:
        self.berth = berth

    async def tie(self, boat: str) -> None:
        def knot() -> None:
            pass
        knot()


MOORINGS = [Mooring(7)]
'''
GO = """package harbour

// Berth holds one boat.
type Berth struct {
	Number int
}

// Tie makes a boat fast.
func (b *Berth) Tie(boat string) error {
	if boat == "" {
		return errNoBoat
	}
	return nil
}

func Open(port int) {
	listen(port)
}
"""
JAVA = """package harbour;

@Service
public class Office {
    private final int seven = 7;

    /** Opens the office. */
    public void open(String hour) {
        if (hour == null) {
            throw new IllegalStateException();
        }
    }

    private static Map<String, Integer> berths() {
        return Map.of();
    }
}
"""
RUST = """pub struct Berth;

impl Display for Berth {
    fn fmt(&self) -> Result {
        Ok(())
    }
}
"""
JAVASCRIPT = """import x from 'x'

export const open = async (hour) => {
  return hour
}

class Office extends Base {
  close(hour) {
    return 1
  }
}
"""
SHELL = """set -e
open_office() {
  echo open
}
function close_office {
  echo closed
}
"""
C = """#include <stdio.h>

static int berth_of(const char *boat)
{
    return 7;
}

int main(void) {
    return berth_of("x");
}
"""
SQL = "CREATE TABLE IF NOT EXISTS berths (\n  id int\n);\n\ncreate or replace view free AS SELECT 1;\n"
YAML = "# Ports\nservices:\n  gateway:\n    port: 8080\n\nvolumes:\n  data: {}\n"
TOML = 'name = "x"\n\n[tool.ruff]\nline-length = 120\n\n[[package]]\nname = "y"\n'


@pytest.mark.parametrize(
    ("name", "text", "paths"),
    [
        ("m.py", PYTHON, ["rope_length", "Mooring", "Mooring.__init__", "Mooring.tie"]),
        ("m.go", GO, ["Berth", "Tie", "Open"]),
        ("Office.java", JAVA, ["Office", "Office.open", "Office.berths"]),
        ("m.rs", RUST, ["Berth", "Display for Berth", "Display for Berth.fmt"]),
        ("m.js", JAVASCRIPT, ["open", "Office"]),
        ("m.sh", SHELL, ["open_office", "close_office"]),
        ("m.c", C, ["berth_of", "main"]),
        ("m.sql", SQL, ["berths", "free"]),
        ("m.yaml", YAML, ["services", "volumes"]),
        ("pyproject.toml", TOML, ["tool.ruff", "package"]),
        ("old.py", "class Old:\n    def go(self):\n        print 'x'\n", ["Old", "Old.go"]),
    ],
)
def test_the_sections_name_the_definitions(name: str, text: str, paths: list[str]) -> None:
    named = [".".join(section.path) for section in sections_of(text, name)]
    assert [path for path in dict.fromkeys(named) if path] == paths


def _drafts(name: str, text: str, tokens: int = 60) -> list[ChunkDraft]:
    kind = detect(text.encode(), name)
    return chunk(parse(text.encode(), name, kind), Pieces(), ChunkLimits(tokens))


def test_code_is_cut_at_definitions_and_a_comment_stays_with_its_definition() -> None:
    drafts = _drafts("moorings.py", PYTHON)
    [rope] = [draft for draft in drafts if "def rope_length" in draft.text]
    assert rope.heading_path == ["rope_length"]
    assert rope.text.startswith("# How long a rope must be.\n@lru_cache")
    [tie] = [draft for draft in drafts if "async def tie" in draft.text]
    assert tie.heading_path[:1] == ["Mooring"]
    [after] = [draft for draft in drafts if "MOORINGS =" in draft.text]
    assert after.heading_path == []


@pytest.mark.parametrize("text", [PYTHON, GO, JAVA, RUST, JAVASCRIPT, SHELL, C, SQL, YAML, TOML])
@pytest.mark.parametrize("name", ["m.py", "m.go", "m.yaml", "m.toml"])
def test_no_character_is_lost(name: str, text: str) -> None:
    drafts = _drafts(name, text, tokens=16)
    assert all(text[draft.start : draft.end] == draft.text for draft in drafts)
    assert "".join("".join(draft.text for draft in drafts).split()) == "".join(text.split())


@given(st.text(alphabet="abdefs (){}:=;#@\n\t\"'", max_size=200), st.sampled_from(["x.py", "x.js", "x.yml", "x.ini"]))
def test_any_text_has_ordered_sections(text: str, name: str) -> None:
    starts = [section.start for section in sections_of(text, name)]
    assert starts == sorted(starts)
    assert not starts or (starts[0] == 0 and starts[-1] <= len(text))


@pytest.mark.parametrize("line", ["a" * 300_000, "(" * 100_000, "a (" * 60_000, "const " * 60_000, "int *" * 60_000])
def test_a_hostile_line_takes_no_time(line: str) -> None:
    for name in ("x.py", "x.java", "x.yaml", "x.toml"):
        sections_of(f"{line}\n" * 3, name)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("app.py", Format.CODE),
        ("compose.yaml", Format.CODE),
        ("settings.ini", Format.CODE),
        ("schema.sql", Format.CODE),
        ("server.log", Format.TEXT),
        ("Makefile", Format.TEXT),
        ("notes.unknown", Format.TEXT),
        (".env.example", Format.TEXT),
    ],
)
def test_any_text_is_read_whatever_its_name(name: str, kind: Format) -> None:
    assert detect(b"key = value\n", name) is kind


@pytest.mark.parametrize("name", ["tool.py", "data.bin", "tool"])
def test_binary_data_is_refused_whatever_its_name(name: str) -> None:
    with pytest.raises((UnsupportedType, UnreadableDocument), match=f"{name} is "):
        detect(b"\x7fELF\x02\x01\x01\0\0\0binary", name)

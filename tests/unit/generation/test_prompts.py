from __future__ import annotations

from pathlib import Path

import pytest

from argosy.contracts.errors import StartError
from argosy.services.generation.prompts import PACKAGED, Prompts

pytestmark = pytest.mark.unit


def own(folder: Path, **changed: bytes | None) -> str:
    """Copy the packaged prompts into a folder, with changes; None leaves a file out."""
    for path in PACKAGED.iterdir():
        content = changed.get(path.stem, path.read_bytes())
        if content is not None:
            (folder / path.name).write_bytes(content)
    return str(folder)


def test_ones_own_prompt_replaces_the_packaged_one_and_names_its_version(tmp_path: Path) -> None:
    folder = own(tmp_path, answer=b"---\r\nversion: pirate-2\r\n---\r\nArr. {passages}\r\n")

    prompts = Prompts.load(folder)

    assert (prompts.answer.version, prompts.answer.text) == ("pirate-2", "Arr. {passages}")
    assert prompts.rewrite.version == "rewrite-1"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "is missing"),
        (b"Answer. {passages}", "does not begin with its version"),
        (b"---\nname: x\n---\n{passages}", "does not begin with its version"),
        (b"---\nversion: a b\n---\n{passages}", "does not begin with its version"),
        (b"---\nversion: a\n---\nAnswer.", "lacks {passages}"),
        (b"\xff\xfe", "not UTF-8"),
        (b"---\nversion: a\n---\n{passages}" + b"x" * 70_000, "Shorten it"),
    ],
)
def test_a_missing_or_broken_prompt_is_an_error_that_names_the_file(
    tmp_path: Path, content: bytes | None, named: str
) -> None:
    with pytest.raises(StartError) as caught:
        Prompts.load(own(tmp_path, answer=content))

    assert named in caught.value.message
    assert str(tmp_path / "answer.md") in caught.value.message

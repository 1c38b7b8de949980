from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.services.generation.markers import MarkerFilter

pytestmark = pytest.mark.unit


def shown(pieces: list[str], passages: int = 3) -> tuple[str, list[int]]:
    markers = MarkerFilter(passages)
    text = "".join([*(markers.feed(piece) for piece in pieces), markers.end()])
    return text, markers.cited


@pytest.mark.parametrize(
    ("said", "text", "cited"),
    [
        ("Twice a day [1].", "Twice a day [1].", [1]),
        ("Twice [1, 2].", "Twice [1][2].", [1, 2]),
        ("Twice [2;1] [2].", "Twice [2][1] [2].", [2, 1]),
        ("Twice [1-3].", "Twice [1][2][3].", [1, 2, 3]),
        ("Twice [1, 9].", "Twice [1].", [1]),
        ("Twice [9].", "Twice.", []),
        ("Twice [9][1].", "Twice [1].", [1]),
        ("Twice [0] a day [4-900].", "Twice a day.", []),
        ("Twice【2】.", "Twice[2].", [2]),
        ("In [2019] and [a] and [] and [1", "In [2019] and [a] and [] and [1", []),
        ("Use `rows[0]` [1].", "Use `rows[0]` [1].", [1]),
        ("```\nx = [7, 8]\n```\nDone [7].", "```\nx = [7, 8]\n```\nDone.", []),
        ("[[1]]", "[[1]]", [1]),
    ],
)
def test_only_markers_that_name_a_passage_are_shown(said: str, text: str, cited: list[int]) -> None:
    assert shown([said]) == (text, cited)
    assert shown(list(said)) == (text, cited)


@given(st.text(alphabet="ab [],;-159`\n【】", max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_the_pieces_of_a_stream_do_not_matter(said: str, cuts: list[int]) -> None:
    edges = sorted({0, len(said), *(cut for cut in cuts if cut < len(said))})
    pieces = [said[a:b] for a, b in itertools.pairwise(edges)]

    assert shown(pieces) == shown([said])


def test_text_that_is_no_marker_is_not_held_back() -> None:
    markers = MarkerFilter(3)

    assert markers.feed("The tide") == "The tide"
    assert markers.feed(" turns [") == " turns"
    assert markers.feed("see") == " [see"

"""Vocabulary of a collection, and the reading of queries against it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.ranking.query import Reading, phrases, read_query
from argosy.ranking.scoring import adjacency, mix, word_score
from argosy.ranking.spelling import one_edit
from argosy.ranking.vocabulary import Vocabulary
from argosy.ranking.weighing import Analysed, Lengths, analyse_chunk, term_id, tokens, version_of, weights
from argosy.text.analysis import VERSION

pytestmark = pytest.mark.unit


def vocabulary(*texts: str, title: str = "") -> Vocabulary:
    made = Vocabulary()
    made.add(analyse_chunk(title, [], text, "en") for text in texts)
    return made


def met(reading: Reading, term: str) -> float:
    """Return the best factor with which a term of the index meets the query; 0 when it does not."""
    return max((group.alternatives.get(term_id(term), 0.0) for group in reading.groups), default=0.0)


ENGLISH = ("the harbour opens at six in the morning", "a pilot must board the ship before the harbour")


def test_a_query_is_read_in_its_language_with_document_frequencies() -> None:
    known = vocabulary(*ENGLISH)
    reading = read_query("When does the harbours open?", known)
    assert reading.language == "en"
    assert [(group.stem, known.frequency(*group.alternatives)) for group in reading.groups] == [
        ("harbour", 2),
        ("open", 1),
    ]


def test_one_typo_is_forgiven_in_a_word_that_the_collection_lacks() -> None:
    known = vocabulary(*ENGLISH)
    for typo in ("harbuor", "harbor", "harbourr", "hxrbour"):
        assert met(read_query(f"the {typo}", known), "harbour") > 0.9, typo
    assert met(read_query("the xarbour", known), "harbour") == 0.0
    assert met(read_query("the shop", known), "ship") == 0.0


def test_a_known_word_is_not_taken_for_a_typo() -> None:
    known = vocabulary("the board is here and it is wide", "the hoard is here", "the boards")
    assert not read_query("the boards", known).expanded


def test_accents_fold_both_ways_and_exact_words_rank_higher() -> None:
    known = vocabulary("the café is open", "the cafe is closed", "a resume of the work", "the naïve approach")
    with_accent, without = read_query("the café", known), read_query("the cafe", known)
    assert met(with_accent, "café") > met(with_accent, "cafe") > 0.0
    assert met(without, "cafe") > met(without, "café") > 0.0
    assert met(read_query("the naive one", known), "naïv") > 0.0
    assert met(read_query("the résumé", known), "resum") > 0.0


def test_compounds_of_other_languages_are_found_by_their_parts_and_english_ones_are_not() -> None:
    german = vocabulary("Die Haustürschlüssel sind bei der Verwaltung und nicht hier", "Das ist die Wohnung")
    assert met(read_query("Was ist mit der Haustür?", german), "haustur") > 0.0 or any(
        len(group.alternatives) > 1 for group in read_query("Was ist mit der Haustür?", german).groups
    )
    english = vocabulary("the doorkeeper of the house is here", "where is the other house")
    assert not read_query("what is the door of the house", english).expanded


def test_an_unclear_query_is_read_in_all_languages_of_its_script() -> None:
    both = Vocabulary()
    both.add([analyse_chunk("", [], "Die Bilder sind nicht in der Stadt"), analyse_chunk("", [], "It is the town")])
    group = read_query("Bilder", both).groups[0]
    assert {term_id("bild"), term_id("bilder")} <= group.alternatives.keys()


def test_identifiers_are_terms_of_their_own() -> None:
    reading = read_query("What is AX-100-C?", vocabulary("the AX-100-C is here", "the AX-100-D is here"))
    assert reading.identifiers == ["ax-100-c"]
    assert met(reading, "=ax-100-c") == 1.0
    assert met(reading, "=ax-100-d") == 0.0


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('the "Open  Sea?" now', ["open sea"]),
        ("“eins” und „zwei“ und «trois»", ["eins", "zwei", "trois"]),
        ('5" and "..."', []),
        ("it's fine", []),
    ],
)
def test_quoted_phrases_are_found(text: str, quoted: list[str]) -> None:
    assert phrases(text) == quoted


def test_a_vocabulary_survives_its_snapshot_and_forgets_removed_words() -> None:
    made = Vocabulary()
    chunks = [analyse_chunk("Title", ["Head"], text, "en") for text in ENGLISH]
    made.add(chunks)
    again = Vocabulary.decode(made.encode())
    assert again is not None
    assert again.encode() == made.encode()
    again.remove([chunks[1].analysed])
    again.prune()
    assert again.frequency(term_id("pilot")) == 0
    assert not again.stems("pilot")
    assert again.stems("harbour")
    assert again.chunks == 1
    assert Vocabulary.decode(b"damaged") is None


@given(st.lists(st.integers(1, 2**32 - 1)), st.lists(st.integers(1, 2**32 - 1)), st.sampled_from(["", "en"]))
def test_the_stored_form_of_terms_is_read_back(title: list[int], body: list[int], language: str) -> None:
    analysed = Analysed(language, title, body)
    stored = analysed.encode()
    assert Analysed.decode(stored) == analysed
    assert version_of(stored) == VERSION
    assert version_of(None) == version_of("x|en|") == 0
    assert tokens(stored).tolist() == [*title, 0, *body]


def test_a_term_in_the_title_weighs_more_and_a_long_text_less() -> None:
    lengths = Lengths()
    own = weights(Analysed("en", [1], [2, *range(3, 83)]), lengths)
    assert own[1] > own[2]
    assert weights(Analysed("en", [], [2] + [3] * 300), lengths)[2] < own[2]


def test_only_the_best_alternative_of_a_term_counts() -> None:
    known = vocabulary("the café is open", "the cafe is closed")
    reading = read_query("the café", known)
    both = {term_id("café"): 1.0, term_id("cafe"): 1.0}
    assert word_score(reading, both, known) == pytest.approx(word_score(reading, {term_id("café"): 1.0}, known))


def test_neighbouring_terms_count_and_not_across_the_fields() -> None:
    known = vocabulary("the open sea is wide", "the sea was open to all")
    reading = read_query("the open sea", known)
    near, far = [term_id("open"), term_id("sea")], [term_id("sea"), term_id("open")]
    texts = [Analysed("en", [], near), Analysed("en", [], far), Analysed("en", [near[0]], [near[1]])]
    scores = adjacency(reading, [tokens(text.encode()) for text in texts], known)
    assert scores[0] > 0.0
    assert scores[1:] == [0.0, 0.0]


def test_the_mix_uses_what_there_is() -> None:
    assert mix([0.5, 1.0], [2.0, 0.0], 0.5) == [0.75, 0.5]
    assert mix([0.0, 0.0], [2.0, 1.0], 0.5) == [1.0, 0.5]
    assert mix([-1.0, 1.0], [0.0, 0.0], 0.3) == [0.0, 1.0]
    assert mix([], [], 0.5) == []


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_one_edit_agrees_with_a_table_of_distances(a: str, b: str) -> None:
    assert one_edit(a, b) == (_distance(a, b) == 1)


def _distance(a: str, b: str) -> int:
    table = {(-1, j): j + 1 for j in range(-1, len(b))} | {(i, -1): i + 1 for i in range(-1, len(a))}
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (x != y))
            if i and j and x == b[j - 1] and a[i - 1] == y:
                table[i, j] = min(table[i, j], table[i - 2, j - 2] + 1)
    return table[len(a) - 1, len(b) - 1]

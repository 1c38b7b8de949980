"""Answers from passages: what is quoted, in which form, and when the documents do not say."""

from __future__ import annotations

import re

import numpy as np
import pytest

from argosy.answering.compose import NOTHING_SAID
from argosy.answering.extract import MOST_EMBEDDED, Extraction, UnitVectors
from argosy.contracts.retrieval import QueryAnalysis, QueryTerm
from tests.unit.answering.asking import ask, bare, passage

pytestmark = pytest.mark.unit

REFUSAL = re.compile(r"(do|does) not (say|tell|answer|contain)")
FAQ = (
    "# FAQ\n\n## What does a lost key cost?\n\nThirty euros.\n\n## Who opens at night?\n\nThe watchman, on 555-0142.\n"
)
ERRORS = "# Errors\n\n## ERR-4471\n\nThe winch is hot.\n\n## ERR-4472\n\nThe cable is slack.\n"
PARTS = "| Part | Price | Stock |\n|---|---|---|\n| AX-100-C | 48.5 | 7 |\n| AX-110-B | 52 | 0 |\n"


def test_a_heading_that_is_the_question_is_answered_by_its_section_alone() -> None:
    answer = ask("What does a lost key cost?", FAQ)
    assert answer.text == "Thirty euros. [1]"
    (citation,) = answer.citations
    assert (citation.name, citation.page, citation.last_page) == ("guide.md", 4, 5)
    assert citation.heading_path == ["FAQ", "What does a lost key cost?"]


def test_a_row_is_quoted_with_its_columns() -> None:
    assert ask("What is the price of AX-110-B?", PARTS).text == "Part: AX-110-B; Price: 52; Stock: 0 [1]"


def test_an_identifier_that_no_passage_holds_is_refused_with_the_nearest_one_named() -> None:
    answer = ask("What is the price of AX-100-D?", PARTS)
    assert answer.text == f"{NOTHING_SAID} They mention AX-100-C."
    assert REFUSAL.search(answer.text)
    assert answer.citations == []


@pytest.mark.parametrize(("asked", "said"), [("ERR-4471", "The winch is hot."), ("ERR-4472", "The cable is slack.")])
def test_identifiers_are_told_apart(asked: str, said: str) -> None:
    assert bare(ask(f"What does {asked} mean?", ERRORS)) == said


@pytest.mark.parametrize(
    ("question", "said"),
    [("What changed in v2.1?", "Now faster."), ("What changed in v2.11?", "Now with tides.")],
)
def test_a_version_is_not_a_longer_one(question: str, said: str) -> None:
    assert bare(ask(question, "# Releases\n\n## v2.11\n\nNow with tides.\n\n## v2.1\n\nNow faster.\n")) == said


def test_two_parts_of_a_question_are_both_answered() -> None:
    answer = ask("What does AX-100-C and AX-110-B cost?", PARTS)
    assert "48.5" in answer.text
    assert "52" in answer.text
    answer = ask("What does a lost key cost and who opens at night?", FAQ)
    assert "Thirty euros." in answer.text
    assert "watchman" in answer.text


def test_how_do_i_gets_all_steps() -> None:
    text = "# Leaving\n\nTo leave the harbour with a boat:\n\n1. Pay the fee.\n2. Untie the boat.\n3. Wave.\n"
    answer = ask("How do I leave the harbour with a boat?", text)
    assert all(step in answer.text for step in ("1. Pay the fee.", "2. Untie the boat.", "3. Wave."))


def test_a_sentence_that_ends_in_a_colon_brings_its_code() -> None:
    answer = ask("How do I start the ferry engine?", "To start the ferry engine, type:\n\n```sh\nferry go\n```\n")
    assert answer.text == "To start the ferry engine, type:\n```sh\nferry go\n```\n[1]"


def test_the_question_itself_is_never_the_answer() -> None:
    answer = ask("Where is the ferry terminal?", "Where is the ferry terminal?\n\nThe ferry terminal is at quay 3.\n")
    assert bare(answer) == "The ferry terminal is at quay 3."
    answer = ask("Who is the ferry captain?", "The ferry captain. Bob is the ferry captain.")
    assert bare(answer).startswith("Bob is")


def test_a_sentence_that_refers_back_comes_with_the_sentence_before() -> None:
    answer = ask("When was the old lighthouse repainted?", "The lighthouse is old. It was repainted in 1998.")
    assert bare(answer) == "The lighthouse is old. It was repainted in 1998."


def test_note_marks_links_and_emphasis_are_not_shown() -> None:
    answer = ask("By how much does the channel silt up?", "The *channel* [silts up](a.md) by 30 cm a year [3][^n].")
    assert answer.text == "The channel silts up by 30 cm a year. [1]"


def test_statements_that_contradict_each_other_are_both_quoted_newer_first_with_their_dates() -> None:
    old = passage("\n\n# Tariff\n\nAs of 2024-03, the mooring tariff is 38 euros per night.", "a.md", 1.0)
    new = passage("\n\n# Tariff\n\nThe mooring tariff is 44 euros per night.", "b.md", 0.98, {"date": "2026-01-05"})
    text = ask("What is the mooring tariff per night?", old, new).text
    assert text.index("44 euros") < text.index("38 euros")
    assert "2026-01-05" in text
    assert "2024-03" in text


def test_an_answer_about_another_year_is_no_answer() -> None:
    assert ask("What was the tariff in 2019?", "In 2024 the tariff was 38 euros.").text == NOTHING_SAID


@pytest.mark.parametrize(
    "said", ["Hello!", "good morning", "Hallo", "Bonjour à tous", "¡Hola!", "你好", "こんにちは", "Hi there"]
)
def test_a_greeting_gets_a_greeting(said: str) -> None:
    answer = ask(said, FAQ)
    assert answer.citations == []
    assert not REFUSAL.search(answer.text)
    assert Extraction(said, [passage(FAQ)]).texts == []


def test_a_question_that_begins_like_a_greeting_is_answered() -> None:
    assert "Thirty euros" in ask("Hello, what does a lost key cost?", FAQ).text


@pytest.mark.parametrize(
    ("question", "text", "said"),
    [
        ("Wer ist für den Kran zuständig?", "Das Tor ist grün. Für den Kran ist Frau Ott zuständig.", "Frau Ott"),
        ("Quelle est la taxe d'amarrage ?", "Le port est bleu. La taxe d'amarrage est de 40 euros.", "40 euros"),
        ("停泊费是多少？", "港口很大。停泊费为每晚四十元。", "四十元"),
        ("クレーンの担当は誰ですか？", "港は広い。クレーンの担当は佐藤さんです。", "佐藤"),
    ],
)
def test_other_languages_are_answered_by_words(question: str, text: str, said: str) -> None:
    assert said in ask(question, text).text


@pytest.mark.parametrize("question", ["谁是市长？", "Qui est le maire ?", "Wer ist der Bürgermeister?"])
def test_other_languages_are_refused_by_words(question: str) -> None:
    text = "港口很大。停泊费为每晚四十元。 La taxe d'amarrage est de 40 euros. Das Tor ist grün."
    assert ask(question, text).text == NOTHING_SAID


def test_a_name_that_stands_nowhere_is_refused_and_a_misspelt_one_is_not() -> None:
    text = "The harbour master of Sule is Philippa Grundy. Permits cost 25 euros."
    assert ask("Who is the harbour master of Zanzibar?", text).text == NOTHING_SAID
    assert "Grundy" in ask("Which office has Philipa Grundy, the harbour master?", text).text


def test_words_carried_over_find_the_unit_that_has_the_new_word() -> None:
    text = "The workshop repairs engines. The workshop is led by Casimir Blume. The school is led by Ann Lee."
    assert "Casimir" in ask("And who leads it?", text, carried="What does the workshop do?").text


def test_vectors_decide_between_units_without_the_words_of_the_question() -> None:
    passages = [passage("Gulls cry. Boats moor.")]
    extraction = Extraction("Where are vessels kept?", passages)
    units = np.array([[float("Boats" in text), 0.0] for text in extraction.texts], np.float32)
    answer = extraction.compose(1, UnitVectors(np.array([[1.0, 0.0]], np.float32), units))
    assert "Boats moor." in answer.text


def test_a_word_that_a_large_collection_lacks_is_refused() -> None:
    text = "The crane of the harbour lifts boats."
    known = QueryAnalysis("en", [QueryTerm("crane", 9), QueryTerm("zeppelin", 0)], chunks=5_000)
    extraction = Extraction("Does the crane lift a zeppelin?", [passage(text)], known)
    units = np.ones((len(extraction.texts), 1), np.float32)
    assert extraction.compose(4, UnitVectors(np.ones((1, 1), np.float32), units)).text == NOTHING_SAID


def test_passages_are_numbered_by_first_appearance_and_share_one_quote() -> None:
    first = passage("\n\nThe ferry leaves at six. Gulls cry. The ferry of Sule returns at nine.", "a.md")
    answer = ask("When does the ferry of Sule leave and when does the ferry return?", first)
    assert [citation.index for citation in answer.citations] == [1]
    assert answer.citations[0].quote.startswith("The ferry leaves at six.")
    assert answer.citations[0].quote.endswith("returns at nine.")


def test_the_same_passages_give_the_same_answer_again() -> None:
    passages = [passage(FAQ, "a.md"), passage(ERRORS, "b.md", 0.9), passage(PARTS, "c.md", 0.8)]
    for question in ("What does a lost key cost?", "What is slack?", "How many AX-100-C are in stock?"):
        texts = {Extraction(question, passages).compose(4).text for _ in range(3)}
        assert len(texts) == 1


def test_without_passages_the_documents_do_not_say() -> None:
    answer = ask("When?")
    assert (answer.text, answer.citations) == (NOTHING_SAID, [])


def test_of_many_units_only_the_best_by_words_are_embedded_and_the_answer_is_among_them() -> None:
    rows = "".join(f"| AX-{n} | {n} |\n" for n in range(1000, 1090))
    extraction = Extraction("What is the price of AX-1042?", [passage(f"\n\n| Part | Price |\n|---|---|\n{rows}")])
    assert len(extraction.texts) == MOST_EMBEDDED
    vectors = UnitVectors(np.ones((1, 1), np.float32), np.ones((MOST_EMBEDDED, 1), np.float32))
    assert extraction.compose(4, vectors).text == "Part: AX-1042; Price: 1042 [1]"

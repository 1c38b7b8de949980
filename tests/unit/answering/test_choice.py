"""Tests of the choice among several units that fit an answer."""

from __future__ import annotations

import pytest

from argosy.answering.compose import NOTHING_SAID
from argosy.answering.extract import Extraction
from argosy.contracts.retrieval import QueryAnalysis, QueryTerm
from argosy.evaluation.refusals import is_refusal
from tests.unit.answering.asking import ask, bare, passage

pytestmark = pytest.mark.unit


def test_a_sentence_belongs_to_the_identifier_that_the_sentence_before_names() -> None:
    text = "`MAX_RATE` is the limit of the dish. The default is 4. `MIN_RATE` is the lowest speed. The default is 2."
    assert bare(ask("What is the default of MAX_RATE?", text)).endswith("The default is 4.")


def test_what_names_another_identifier_is_not_added() -> None:
    text = "# Bindings of C and F\n\nThe binding for C is kept by Ann.\n\nThe binding for F is kept by Bob.\n"
    assert bare(ask("Who keeps the binding for C?", text)) == "The binding for C is kept by Ann."


def test_a_code_of_letters_and_a_number_is_an_identifier() -> None:
    text = "| Train | Leaves |\n|---|---|\n| NT 407 | 17:37 |\n| NT 409 | 07:59 |\n"
    assert ask("When does train NT 610 leave?", text).citations == []
    assert "07:59" in ask("When does train NT 409 leave?", text).text


def test_a_row_whose_key_is_asked_for_is_answered_in_other_languages() -> None:
    text = "| Pflanze | Preis |\n|---|---|\n| Farn | 7,90 |\n| Rose | 4,20 |\n"
    assert "7,90" in ask("Was kostet der Farn?", text).text


def test_a_thing_with_another_number_is_another_thing() -> None:
    text = "# Stations\n\nThe keeper of weather station 12 is Ole. The keeper of weather station 3 is Una. Gulls cry."
    assert ask("Who is the keeper of weather station 13?", text).text == NOTHING_SAID
    assert "Una" in ask("Who is the keeper of weather station 3?", text).text


RULES = "# Rules\n\nBalls are not allowed in the basin. Bottles are forbidden everywhere. Children need an adult.\n"


def test_a_denial_in_the_words_of_the_question_answers_a_yes_or_no_question() -> None:
    assert bare(ask("Are balls allowed in the basin?", RULES)) == "Balls are not allowed in the basin."


def test_a_heading_in_the_words_of_the_question_is_no_answer() -> None:
    text = "# Rules\n\nBalls in the basin\n\nOnly on Sundays are balls in the basin. Bottles are forbidden.\n"
    assert "Only on Sundays" in ask("Are balls in the basin?", text).text


KEEPERS = (
    "# Clients\n\nThe client for .NET is kept by Selma. The client for Node.js is kept by Farid. The client for R is "
    "kept by Ivo. The client for Ruby is kept by June. The client for F# is kept by Lud. "
    "The client for F is kept by Pat.\n"
)


@pytest.mark.parametrize(
    ("name", "keeper"),
    [(".NET", "Selma"), ("Node.js", "Farid"), ("R", "Ivo"), ("Ruby", "June"), ("F#", "Lud"), ("F", "Pat")],
)
def test_of_parallel_sentences_only_the_one_with_the_asked_name_is_quoted(name: str, keeper: str) -> None:
    assert bare(ask(f"Who keeps the client for {name}?", KEEPERS)) == f"The client for {name} is kept by {keeper}."


def test_numbers_after_a_hash_and_paths_are_identifiers() -> None:
    text = (
        "# Notes\n\nTicket #482 is about the fan. Ticket #4820 is about the door. The file `/etc/hall/gates.conf` "
        "lists the gates. The file `/etc/hall/lamps.conf` lists the lamps.\n"
    )
    assert bare(ask("What is ticket #482 about?", text)) == "Ticket #482 is about the fan."
    assert ask("What is ticket #483 about?", text).citations == []
    assert "gates" not in ask("What does /etc/hall/lamps.conf list?", text).text


def test_of_documents_alike_the_one_whose_title_the_question_names_is_quoted() -> None:
    guides = [
        passage(
            f"\n\n## Drivers\n\nDrivers must be at least {age} years old.", f"{land}.md", 1.0, title=f"Guide {land}"
        )
        for land, age in (("Norway", 18), ("Finland", 17), ("Denmark", 16))
    ]
    assert bare(ask("How old must drivers be in Finland?", *guides)) == "Drivers must be at least 17 years old."
    assert {"16", "17", "18"} <= set(bare(ask("How old must drivers be?", *guides)).split())


SHUTDOWN = """# Options

## --abort

Stop the move and put all crates back.

## --quit

Stop the move and leave all crates where they are.
"""


def test_a_sentence_under_a_heading_that_is_a_name_is_shown_with_the_name() -> None:
    assert "--abort: Stop the move" in ask("How are all the crates put back?", SHUTDOWN).text
    assert bare(ask("What does --abort do?", SHUTDOWN)).startswith("Stop the move and put")


SETTINGS = """# Settings

**`max_rate` (`integer`)**

Sets the highest speed of the winch in metres per minute.
Lower values spare the rope.
The default is 40.

**`min_rate` (`integer`)**

Sets the lowest speed of the winch.
The default is 3.
"""


def test_the_sentence_of_a_definition_with_the_default_is_quoted_with_its_term() -> None:
    answer = bare(ask("What is the default of max_rate?", SETTINGS))
    assert answer.startswith("`max_rate` (`integer`): ")
    assert answer.endswith("The default is 40.")


FUNCTIONS = """# Functions

`tools.quote(text)`

Replace special characters in the text by their codes. Letters are never replaced.

`tools.quote_plus(text)`

Replace blanks by plus signs.
"""


def test_a_difference_is_answered_with_a_unit_for_each_side() -> None:
    answer = ask("What is the difference between quote and quote_plus?", FUNCTIONS).text
    assert "special characters" in answer
    assert "plus signs" in answer


def test_a_clear_answer_is_quoted_alone() -> None:
    text = (
        "# Ferry\n\nThe ferry to Sule leaves at six in the morning. The ferry is white. Tickets are sold at the pier.\n"
    )
    assert bare(ask("When does the ferry to Sule leave in the morning?", text)).startswith(
        "The ferry to Sule leaves at six"
    )


TRIPS = """# Trips

## Fjord trip

The boat leaves from pier 9. It costs 410 kroner.

## Night kayak

The tour starts at the old mill. It costs 290 kroner.
"""


def test_a_question_about_two_headings_gets_both() -> None:
    answer = ask("What do the fjord trip and the night kayak cost?", TRIPS).text
    assert "410" in answer
    assert "290" in answer


def test_a_part_without_an_answer_is_named_and_the_other_part_is_answered() -> None:
    answer = ask("Where does the fjord trip start and who owns the bakery in Zurich?", TRIPS)
    assert "pier 9" in answer.text
    assert answer.text.endswith("\n\nThe indexed documents are silent on this: who owns the bakery in Zurich?")
    assert not is_refusal(answer.text, len(answer.citations))
    assert not is_refusal(answer.text, 0)


def test_a_yes_or_no_question_about_a_thing_that_no_document_mentions_is_refused() -> None:
    rules = "# Camp\n\n## Are campfires allowed on the camp?\n\nOnly in the iron bowls.\n"
    known = QueryAnalysis("en", [QueryTerm("dog", 0), QueryTerm("allow", 1), QueryTerm("camp", 1)], chunks=3)
    refused = Extraction("Are dogs allowed on the camp?", [passage(f"\n\n{rules}")], known).compose(4)
    assert (refused.text, refused.citations) == (NOTHING_SAID, [])
    known = QueryAnalysis("en", [QueryTerm("campfir", 1), QueryTerm("allow", 1), QueryTerm("camp", 1)], chunks=3)
    answered = Extraction("Are campfires allowed on the camp?", [passage(f"\n\n{rules}")], known).compose(4)
    assert "iron bowls" in answered.text


def test_a_follow_up_finds_the_paragraph_that_names_its_topic() -> None:
    plays = "# Plays\n\nThe Heron opens in May. Seats cost 28 euros.\n\nThe Swan opens in June. Seats cost 19 euros.\n"
    assert bare(ask("And what do seats cost?", plays, carried="Heron opens")).endswith("Seats cost 28 euros.")
    longer = ask(
        "And what do seats cost?", plays.replace("May.", "May. It is led by Ann."), carried="led Heron opens May"
    )
    assert "19" not in longer.text
    assert "28" in longer.text


def test_a_citation_holds_the_term_that_is_shown_before_a_sentence() -> None:
    text = (
        "# Settings\n\n`max_rate` (`integer`)\n\nSets the highest speed of the winch. "
        + "Lower values spare the rope and also the winch itself. " * 8
        + "Values above forty are refused by the harbour office.\n"
    )
    answer = ask("Which values are refused by the harbour office?", text)
    assert bare(answer) == "`max_rate` (`integer`): Values above forty are refused by the harbour office."
    assert answer.citations[0].quote.startswith("`max_rate`")

"""Terms of a text by language, identifiers, and the language of a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.text.analysis import terms, words
from argosy.text.folding import folded
from argosy.text.identifiers import identifiers
from argosy.text.languages import language_of
from argosy.text.scripts import script_of

pytestmark = pytest.mark.unit


def stems(text: str, language: str | None = "en") -> list[str]:
    return [term.stem for term in terms(text, language)]


def test_words_lose_stop_words_and_endings_of_their_language() -> None:
    assert stems("What are the libraries' opening hours?") == ["librari", "open", "hour"]
    assert stems("Wie groß sind die Häuser?", "de") == ["gross", "haus"]
    assert stems("groß die", None) == ["groß", "die"]


def test_runs_without_spaces_become_groups_of_characters() -> None:
    assert stems("东京都", "zh") == ["东京", "京都", "东", "京", "都"]
    assert stems("東", "ja") == ["東"]
    assert stems("ราคา", "th") == ["ราค", "าคา"]
    assert stems("open 東京 API", "ja") == ["open", "東京", "東", "京", "api"]


def test_combining_marks_stay_in_their_word() -> None:
    assert words("किताब कहाँ है") == ["किताब", "कहाँ", "है"]
    assert words("cafe\u0301 de\u00adsign") == ["café", "design"]


def test_a_run_that_is_no_word_is_left_out() -> None:
    assert stems("a" * 65 + " port") == ["port"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Does AX-100-C fit?", ["ax-100-c"]),
        ("since v2.1.1", ["v2.1.1", "2.1.1"]),
        ("C++ and C# on .NET", ["c++", "c#", ".net"]),
        ("set max_connections to 8", ["max_connections"]),
        ("RFC2822, x86_64", ["rfc2822", "x86_64"]),
        ("The 21st of 3.5 or 10/12 and 1990s", []),
        ("well-known and/or either", []),
        ("on 2026-01-05", ["2026-01-05"]),
        ("2年 ราคา3", []),
    ],
)
def test_identifiers_are_found_whole(text: str, found: list[str]) -> None:
    assert identifiers(text) == found
    assert [stem[1:] for stem in stems(text) if stem.startswith("=")] == found


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What does a lost key cost?", "en"),
        ("Was kostet ein verlorener Schlüssel?", "de"),
        ("Combien coûte une clé perdue ?", "fr"),
        ("¿Cuánto cuesta una llave perdida?", "es"),
        ("Kayıp bir anahtar ne kadar?", "tr"),
        ("Quanto costa una chiave che è persa?", "it"),
        ("Hoeveel kost een verloren sleutel?", "nl"),
        ("Сколько стоит ключ?", "ru"),
        ("Скільки коштує ключ і їх копія?", "uk"),
        ("钥匙多少钱", "zh"),
        ("鍵はいくらですか", "ja"),
        ("열쇠는 얼마입니까", "ko"),
        ("กุญแจราคาเท่าไร", "th"),
        ("كم سعر المفتاح", "ar"),
        ("चाबी कितने की है", "hi"),
        ("AX-100", None),
        ("12 345", None),
    ],
)
def test_the_language_of_a_query_is_told_by_its_script_and_stop_words(text: str, language: str | None) -> None:
    assert language_of(text) == language


def test_likely_languages_sharpen_the_votes() -> None:
    assert language_of("die Tickets in Berlin", among=["en", "de"]) == "de"
    assert language_of("die Tickets in Berlin", among=[]) is None


def test_the_script_of_most_letters_counts() -> None:
    assert script_of("Die 東京 Reise beginnt") == "latin"
    assert script_of("東京へ行く") == "kana"
    assert script_of("123 -") is None


@pytest.mark.parametrize(
    ("word", "plain"), [("über", "uber"), ("straße", "strasse"), ("łódź", "lodz"), ("ёж", "еж"), ("किताब", "किताब")]
)
def test_accents_are_folded_and_marks_of_other_scripts_stay(word: str, plain: str) -> None:
    assert folded(word) == plain


@given(st.text(), st.sampled_from(["en", "de", "zh", "th", "ru", None]))
def test_any_text_has_terms_without_white_space(text: str, language: str | None) -> None:
    assert all(stem and not stem.isspace() for stem in stems(text, language))

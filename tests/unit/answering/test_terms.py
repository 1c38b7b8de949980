"""Terms of questions and of units in other languages."""

from __future__ import annotations

import pytest

from argosy.answering.terms import related
from tests.unit.answering.asking import ask

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("question", "text", "said"),
    [
        ("Wie hoch ist der Preis für den Eintritt?", "Der Eintrittspreis beträgt acht Euro.", "acht"),
        ("Wann ist die Hauptversammlung?", "Die Jahreshauptversammlung findet im März statt.", "März"),
        ("Wo lagert die Rose?", "| Pflanze | Lager |\n|---|---|\n| Rose; rot | Halle 3 |\n| Farn | Hof |", "Halle 3"),
        ("У кого ключи?", "Ключи хранит Зинаида.", "Зинаида"),
        ("¿Se admiten perros?", "No se admiten perros. La entrada cuesta ocho euros.", "No se admiten"),
        ("犬は入れますか？", "犬は入れません。公園は五時に閉まります。", "入れません"),
        ("丢了钥匙要罚多少钱？", "丢失钥匙罚款五十元。", "五十元"),
    ],
)
def test_other_forms_of_a_word_are_found(question: str, text: str, said: str) -> None:
    assert said in ask(question, text).text


def test_parts_and_heads_of_compounds_are_related() -> None:
    assert related("preis", ["eintrittspreis"], "")
    assert related("tagesmiete", ["miete"], "")
    assert not related("preis", ["speise"], "")
    assert not related("rad", ["radio"], "")

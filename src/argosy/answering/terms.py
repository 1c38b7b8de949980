"""Comparable terms of a question and of the units, by the language of the question."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from argosy.answering.words import stems
from argosy.text.analysis import terms as indexed_terms
from argosy.text.analysis import words
from argosy.text.folding import folded
from argosy.text.identifiers import MARK
from argosy.text.languages import language_of
from argosy.text.scripts import SYLLABIC, UNSPACED
from argosy.text.visible import visible_text

ENGLISH = "en"
LEAST_PART = 4
"""Least number of letters of a part of a compound."""
_RUN = re.compile(f"[{UNSPACED}{SYLLABIC}ー]+")
_LATIN = re.compile(r"[A-Za-z0-9]+")
_CAMEL = re.compile(r"([a-z])([A-Z])")
_QUESTION_WORDS = re.compile(
    "是多少|多少钱|多少錢|多少|什么|什麼|怎么|怎麼|怎样|怎樣|如何|哪里|哪裡|哪儿|哪个|哪個|几点|幾點|谁|誰ですか|誰|何時|何ですか|何|いくら|いつ|どこ|どのくらい|どれくらい|どんな|"
    "どう|どのように|ですか|ますか|でしょうか|です|ます|ください|ありますか|은|는|이|가|을|를|의|에서|에|얼마|누구|언제|어디|무엇|"
    "입니까|인가요|인가|까|요|了|要|我|你|您|请问|請問|可以|多久|多大|これ|それ|この|その|เท่าไร|เท่าไหร่|ใคร|ที่ไหน|เมื่อไร|เมื่อไหร่|อะไร|คือ|อย่างไร|是|的|吗|嗎|呢|有|在|の|は|が|を|に|で|と|も|へ|か"
)
"""Words of questions and particles in languages without spaces; they say nothing about the subject."""
_SMALL_WORDS = """
    kostet kosten heißt heisst heißen nennt coûte coutent coûtent cuesta cuestan costa costano custa custam kost
    kostar koster est sont fait faut peut il elle on y se gibt kann man muss darf стоит стоят нужно можно kosztuje
    kosztują stojí maksaa maksavat kerül kerülnek κοστίζει κοστίζουν ne هل يكلف تكلف עולה עולים
"""
_INTERROGATIVE_WORDS = """
    combien quel quelle quels quelles comment quand pourquoi où qui que quoi wie viel viele wieviel hoch lang oft
    wer wen wem was wo wann warum wieso welche welcher welches welchen qué cuál cuáles cuánto cuánta cuántos cuántas
    quién quiénes cómo dónde cuándo qual quais quanto quanta quantos quem como onde quando che chi cosa dove come
    perché quale quali wat waar wanneer waarom hoeveel welke vad vem var när hur varför vilken vilka hvad hvem hvor
    hvornår hvordan hva når kto gdzie kiedy ile jak co кто что кого кем где куда когда сколько какой какая какое
    какие каком какую каких как почему зачем чему чем кому чей чья чье paljonko kuinka paljon mikä kuka missä
    milloin mennyibe mennyi ki hol mikor πόσο ποιος πού πότε τι kadar kim nerede nasıl hangi кой колко къде кога kdo
    kde kdy kolik ما من متى أين كم كيف מה מי איפה מתי כמה איך क्या कौन कब कहाँ कितना कितनी कैसे
"""
_INTERROGATIVES = frozenset(_INTERROGATIVE_WORDS.split())
_ASKING = _INTERROGATIVES.union(_SMALL_WORDS.split())
"""Words of questions in languages with spaces that the lists of stop words lack."""
_IRREGULAR_FORMS = (
    "lead led|keep kept|pay paid|hold held|sell sold|buy bought|build built|make made|run ran|"
    "write wrote written|give gave given|take took taken|begin began begun|become became|win won|lose lost|"
    "find found|leave left|send sent|spend spent|teach taught|think thought|bring brought|catch caught|"
    "choose chose chosen|speak spoke spoken|break broke broken|drive drove driven|rise rose risen|"
    "fall fell fallen|grow grew grown|know knew known|draw drew drawn|fly flew flown|meet met|feed fed|"
    "fight fought|get got gotten|sing sang sung|see saw seen|go went gone|die death dead|child children|man men|"
    "woman women|person people|foot feet|use used usage|set setting|shut shutting|eat ate eaten"
)


def _irregular() -> dict[str, str]:
    forms: dict[str, str] = {}
    for line in _IRREGULAR_FORMS.split("|"):
        base, *others = line.split()
        root = (stems(base) or [base])[0]
        forms.update({(stems(other) or [other])[0]: root for other in others})
    return forms


_IRREGULAR = _irregular()


def has_asking_word(text: str) -> bool:
    """Return whether a word of questions stands in a text in another language than English."""
    return any(word in _INTERROGATIVES for word in words(text)) or (
        _RUN.search(text) is not None and _QUESTION_WORDS.search(text) is not None
    )


def question_language(question: str, indexed: str = "") -> str:
    """Return the language of a question; English when it is unclear. `indexed` is the language that retrieval found."""
    return indexed or language_of(question) or ("es" if "¿" in question else ENGLISH)


@lru_cache(maxsize=4096)
def terms_of(text: str, language: str) -> tuple[str, ...]:
    """Return the terms of a text in order, with repetitions, read in the language of the question.

    English words become stems, of irregular words that of their base form. Runs without spaces become pairs of
    characters. Words of other languages become stems without accents.
    """
    text = _CAMEL.sub(r"\1\2", visible_text(text))
    if language == ENGLISH and text.isascii():
        return tuple(_IRREGULAR.get(stem, stem) for stem in stems(text))
    if _RUN.search(text):
        pairs = _pairs(text)
        rest = tuple(word.lower() for word in _LATIN.findall(text))
        return (*pairs, *rest)
    if language == ENGLISH:
        return tuple(_IRREGULAR.get(stem, folded(stem)) for stem in stems(text))
    found = indexed_terms(text, language)
    return tuple(
        folded(term.stem)
        for term in found
        if not term.stem.startswith(MARK)
        and (term.surface or term.stem) not in _ASKING
        and (len(term.stem) > 1 or term.stem.isdigit())
    )


def _pairs(text: str) -> tuple[str, ...]:
    found: list[str] = []
    for run in _RUN.findall(text):
        for piece in _QUESTION_WORDS.sub(" ", run).split():
            found += [piece] if len(piece) == 1 else [piece[at : at + 2] for at in range(len(piece) - 1)]
    return tuple(found)


def related(term: str, words: Iterable[str], text: str) -> bool:
    """Return whether a term of the question stands in another form among the words of a unit.

    It may be inflected, a part of a compound, or a compound of which the unit has the last part. A single character of
    an unspaced script may stand anywhere in `text`.
    """
    if len(term) == 1:
        return _RUN.fullmatch(term) is not None and term in text
    if len(term) < LEAST_PART or not term.isalpha():
        return False
    return any(alike(term, word) or _part_of(term, word) or _head_of(word, term) for word in words)


def _part_of(part: str, compound: str) -> bool:
    return len(part) < len(compound) and (compound.startswith(part) or compound.endswith(part))


def _head_of(head: str, compound: str) -> bool:
    return LEAST_PART <= len(head) < len(compound) and compound.endswith(head)


def surfaces(text: str) -> set[str]:
    """Return the words of a text in lower case, without accents, as they stand."""
    return {folded(word) for word in words(text)}


def alike(a: str, b: str) -> bool:
    """Return whether two words of an inflected language share a long beginning, so that they may be one word."""
    if a == b:
        return True
    shared = next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return shared >= max(4, min(len(a), len(b)) - 3)

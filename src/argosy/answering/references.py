"""Words by which a question refers to an earlier turn, in the languages where they are cheap to tell.

The language of a question is the one most of whose small words it holds; English wins a tie.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Wording:
    """Small words of one language: how a continuation opens, what refers back, and what carries no topic."""

    opening: re.Pattern[str]
    reference: re.Pattern[str]
    small: frozenset[str]


def _wording(opening: str, reference: str, small: str, *, spaced: bool = True) -> Wording:
    edge = r"\b" if spaced else ""
    return Wording(
        re.compile(rf"^\W*(?:{opening}){edge}[\s,:]*", re.IGNORECASE),
        re.compile(rf"{edge}(?:{reference}){edge}", re.IGNORECASE),
        frozenset(small.split()),
    )


WORDINGS: Mapping[str, Wording] = {
    "en": _wording(
        "and|or|but|also|what about|how about|same (?:question )?(?:for|with)|what else|anything else|any others?",
        r"it|its|they|them|their|theirs|he|him|his|she|her|hers|these|those|"
        r"this|the (?:same|former|latter|others?|first|second|third|last|next|previous)(?: ones?)?(?=\s*\?|\s*$)|"
        r"(?:the|that|this|which|each|another|other) ones?|"
        r"(?:is|was|are|were|does|did|do|can|of|about|with|for|in|after|before|since|like|than|by|from|to) that"
        r"(?=\s*\?|\s*$|\s+(?:mean|work|happen|cost|take|include|apply|called|so)\w*)|(?<!is )(?<!are )(?<!was )"
        r"(?<!were )there(?=\s*\?|\s*$)|do(?:es|ing)? so",
        "the a an and or but of in on at to for from by with as what who when where why how which whose whom is are "
        "was were be been do does did has have had can could will would should may might must i we you my our your it "
        "its they them their he him his she her hers this that these those there not no any some many much more most "
        "long old far also about same one ones than then so if into more details else "
        "hello hi hey thanks thank please ok okay yes tell show explain describe",
    ),
    "de": _wording(
        "und|oder|aber|auch|wie sieht es (?:mit|bei)|was ist mit",
        "er|sie|ihn|ihm|ihr|ihre|ihren|ihrer|ihrem|sein|seine|seinen|seiner|seinem|dessen|deren|diese[rsnm]?|dies|"
        "davon|dafür|damit|dort|dabei|"
        r"(?:gilt|ist|geht|kostet|macht|heißt|bedeutet|kann|wird|war) das"
        r"(?=\s*\?|\s*$|\s+(?:auch|noch|nur|immer|schon)\b)",
        "der die das den dem des ein eine einen einem einer und oder aber von in im an am zu zum zur für mit auf aus "
        "bei nach als was wer wann wo warum wie welche welcher welches wessen wem ist sind war waren sein wird werden "
        "hat haben hatte kann muss nicht kein es er sie ihn ihm ihr ihre viel viele lange auch man ich wir",
    ),
    "fr": _wording(
        "et|ou|mais|aussi|qu'en est-il (?:de|du|des)",
        "il|elle|ils|elles|lui|leur|leurs|celui-ci|celle-ci|ceux-ci|sa|ses|cela|ça|y",
        "le la les l un une des du de d et ou mais en dans à au aux par pour avec sur que qui quoi quand où comment "
        "pourquoi quel quelle quels quelles est sont était a ont il elle ils elles ne pas se sa son ses leur combien",
    ),
    "es": _wording(
        "y|o|pero|también|qué hay de|qué pasa con",
        "él|ella|ellos|ellas|este|esta|esto|estos|ese|esa|eso|esos|esas|su|sus|suyo|allí",
        "el la los las un una unos unas de del y o pero en a al por para con que qué quién cuándo dónde cómo cuál "
        "cuánto cuánta cuántos cuántas es son fue fueron se no su sus lo le ha han hay está",
    ),
    "it": _wording(
        "e|o|ma|anche|che ne è di",
        "lui|lei|loro|esso|essa|essi|esse|questo|questa|questi|queste|quello|quella|suo|sua|suoi|sue",
        "il lo la i gli le un uno una di del della dei e o ma in nel nella a al da per con che chi quando dove come "
        "quale quali quanto quanti è sono era non si suo sua ha hanno perché cosa",
    ),
    "ru": _wording(
        "и|а|но|или|а как насчёт",
        "он|она|оно|они|его|её|ее|их|ему|ей|им|этот|эта|это|эти|там",
        "и а но или в на с по для из от до к о об у что кто когда где почему как какой какая какие сколько это не "
        "ли был была были есть он она они его её их",
    ),
}
SOCIAL = frozenset(
    ("hello", "hi", "hey", "thanks", "thank", "you", "ok", "okay", "yes", "please", "good", "morning", "danke", "merci")
)
"""Words of messages that ask nothing."""
UNSPACED = _wording(
    "那么?|还有|それでは|では|그리고|그럼", "[它他她]们?|这个|那个|それ|これ|彼女?|그것|그녀|그는", "", spaced=False
)
_UNSPACED_SCRIPT = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def wording_of(question: str) -> Wording:
    """Return the wording of the question's language; English when no other language has more of its words."""
    if _UNSPACED_SCRIPT.search(question):
        return UNSPACED
    words = [word.lower() for word in _WORD.findall(question)]
    return max(WORDINGS.values(), key=lambda wording: sum(word in wording.small for word in words))

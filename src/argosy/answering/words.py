"""Normalised words for comparison: lower case, without stop words, reduced to their stems."""

from __future__ import annotations

import re
import threading

import Stemmer

_WORD = re.compile(r"\d+(?:[.,]\d+)+|[^\W_]+(?:['’][^\W_]+)*")
_POSSESSIVE = re.compile(r"['’]s?$")
_STOP_LIST = """
    a about above after again against all am an and any are aren't as at be because been before being below between
    both but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each few for from
    further had hadn't has hasn't have haven't having he her here hers herself him himself his how i if in into is
    isn't it its itself just me more most mustn't my myself no nor not now of off on once only or other our ours
    ourselves out over own same shan't she should shouldn't so some such than that the their theirs them themselves
    then there these they this those through to too under until up very was wasn't we were weren't what when where
    which while who whom whose why will with won't would wouldn't you your yours yourself yourselves
"""
_STOP_WORDS = frozenset(_STOP_LIST.split())
_local = threading.local()


def _stemmer() -> Stemmer.Stemmer:
    # A stemmer keeps state while it works, so each thread has its own.
    if not hasattr(_local, "stemmer"):
        _local.stemmer = Stemmer.Stemmer("english")
    stemmer: Stemmer.Stemmer = _local.stemmer
    return stemmer


def stems(text: str) -> list[str]:
    """Return the stems of the words of `text` in order, including repeated ones, without stop words."""
    lowered = (match.lower().replace("’", "'") for match in _WORD.findall(text))
    bare = (_POSSESSIVE.sub("", word) for word in lowered)
    return list(_stemmer().stemWords([word for word in bare if word and word not in _STOP_WORDS]))


def is_stop_word(word: str) -> bool:
    """Return whether the word is among the English stop words."""
    return word.lower() in _STOP_WORDS

"""Sample of a few hundred short English texts, on which a quantised model is tuned and compared with the exact one.

Other passages share the subject or the question of each passage, so its query is easily misled.
"""

from __future__ import annotations

_SUBJECTS = (
    "harbour office", "city library", "night train to the coast", "swimming pool", "museum of clocks",
    "repair workshop", "weather station", "botanical garden", "ferry terminal", "reading room of the archive",
    "mountain hut", "machine hall", "observatory", "music school", "cold store", "research vessel",
)  # fmt: skip
_FACTS = (
    (
        "The {} opens at six in the morning and closes at nine in the evening, except on public holidays.",
        "When is the {} open?",
    ),
    (
        "Entry to the {} costs 12.50 for adults; children under seven and students with a card pay nothing.",
        "How much does a visit to the {} cost?",
    ),
    (
        "Since the fire of 1987 the roof of the {} rests on steel beams, which are inspected every second year.",
        "What happened to the roof of the {}?",
    ),
    (
        "Dr. Amara Lindqvist has led the {} for eleven years and answers for its staff of forty-two.",
        "Who is in charge of the {}?",
    ),
    (
        "If the power fails, a diesel generator supplies the {} for about eight hours at full load.",
        "What does the {} do in a blackout?",
    ),
    (
        "Dogs, glass bottles and open flames are not allowed inside the {}; a fine of up to 200 may be imposed.",
        "Which things may I not bring into the {}?",
    ),
    (
        "To book the {}, fill in the form at least three days ahead and wait for a confirmation by e-mail.",
        "How can a group reserve the {}?",
    ),
    (
        "The error E-47 on the display of the {} means that a sensor is disconnected: check cable X3, then restart.",
        "How do I clear error E-47 at the {}?",
    ),
)

PASSAGES = tuple(fact.format(subject) for subject in _SUBJECTS for fact, _ in _FACTS)
QUERIES = tuple(question.format(subject) for subject in _SUBJECTS for _, question in _FACTS)
"""Queries, each at the index of its passage."""

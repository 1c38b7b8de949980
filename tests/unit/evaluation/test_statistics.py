"""Bootstrap intervals and the paired randomisation test."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.evaluation.statistics import bootstrap_interval, compare, mean

pytestmark = pytest.mark.unit

SHARES = st.floats(0, 1, allow_nan=False, width=16)


@settings(max_examples=25, deadline=None)
@given(st.lists(SHARES, min_size=1, max_size=40))
def test_an_interval_lies_within_the_values_and_is_always_the_same(values: list[float]) -> None:
    low, high = bootstrap_interval(values)

    assert min(values) <= low <= high <= max(values)
    assert bootstrap_interval(values) == (low, high)


def test_an_interval_holds_the_mean_and_narrows_with_more_questions() -> None:
    few, many = [0.0, 1.0] * 10, [0.0, 1.0] * 500
    few_low, few_high = bootstrap_interval(few)
    many_low, many_high = bootstrap_interval(many)

    assert few_low < mean(few) < few_high
    # The standard error of a share of one half over 20 questions is 0.112; 1.96 of it on either side.
    assert few_high - few_low == pytest.approx(2 * 1.96 * 0.112, abs=0.06)
    assert many_high - many_low < (few_high - few_low) / 4


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=8))
def test_p_is_the_share_of_exchanges_with_at_least_the_observed_difference(pairs: list[tuple[float, float]]) -> None:
    a, b = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    differences = [second - first for first, second in pairs]
    observed = abs(sum(differences))
    sums = [
        abs(sum(sign * difference for sign, difference in zip(signs, differences, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(differences))
    ]

    found = compare(a, b)

    assert found.p == pytest.approx(sum(total >= observed - 1e-9 for total in sums) / len(sums))
    assert found.difference == pytest.approx(sum(differences) / len(differences))
    assert found.better == sum(d > 0 for d in differences)
    assert found.worse == sum(d < 0 for d in differences)


def test_many_questions_are_tested_by_random_exchanges() -> None:
    same = compare([0.0, 1.0] * 50, [1.0, 0.0] * 50)
    better = compare([0.0] * 60 + [1.0] * 40, [1.0] * 30 + [0.0] * 30 + [1.0] * 40)

    assert same.p > 0.9
    assert better.p < 0.001
    assert better.interval[0] > 0


def test_equal_results_do_not_differ() -> None:
    found = compare([0.25, 0.5], [0.25, 0.5])

    assert (found.difference, found.interval, found.p) == (0.0, (0.0, 0.0), 1.0)


def test_sides_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="same questions"):
        compare([1.0], [1.0, 0.0])

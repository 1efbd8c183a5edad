"""Tests for harness.generate.dispatch.choosing: few problems in which every three conditions co-occur."""

from __future__ import annotations

import itertools
import random

from harness.generate.dispatch.choosing import choose, list_narrow


def _triples(rows):
    return {three for row in rows for three in itertools.combinations([n for n, flag in enumerate(row) if flag], 3)}


def _draw(number, width, seed=0):
    draw = random.Random(seed)
    return [bytes(draw.random() < 0.4 for _ in range(width)) for _ in range(number)]


def test_every_triple_of_the_candidates_is_met_by_fewer_of_them():
    candidates = _draw(400, 14)
    chosen = choose(candidates, (), least=1)
    assert _triples(candidates[n] for n in chosen) == _triples(candidates)
    assert len(chosen) < 120
    assert len(set(chosen)) == len(chosen)


def test_each_chosen_one_has_most_new_triples_of_all_that_are_left_and_at_least_as_many_as_are_asked_for():
    candidates, met = _draw(60, 12), _draw(5, 12, seed=1)
    known, gains = _triples(met), []
    for number in choose(candidates, met, least=4):
        best = max(len(_triples([row]) - known) for row in candidates)
        gains.append(len(_triples([candidates[number]]) - known))
        assert gains[-1] == best
        known |= _triples([candidates[number]])
    assert gains == sorted(gains, reverse=True)
    assert gains[-1] >= 4
    assert max(len(_triples([row]) - known) for row in candidates) < 4


def test_what_is_met_already_is_not_chosen():
    row = bytes((1, 1, 1, 0, 1))
    assert choose([row], (), least=1) == [0]
    assert choose([row, row], (), least=1) == [0]
    assert choose([row], [bytes((1, 1, 1, 1, 1))], least=1) == []
    assert choose([bytes((1, 1, 0, 0, 0))], (), least=1) == []  # two conditions are no triple
    assert choose([], (), least=1) == []


def test_narrower_conditions_of_a_factor_stand_for_wider_ones():
    names = ("= 4", "= 8", "a multiple of 4", "odd", ">= 8", "same as = 8", "never")
    tests = ((4).__eq__, (8).__eq__, lambda n: n % 4 == 0, lambda n: n % 2, lambda n: n >= 8, (8).__eq__, (99).__eq__)
    candidates = [bytes(bool(test(count)) for test in tests) for count in (4, 8, 3, 5, 10)]
    assert [names[n] for n in list_narrow(candidates, ["C"] * 7)] == ["= 4", "= 8", "odd", ">= 8"]
    apart = ["C", "C", "other", "C", "C", "other", "C"]  # of another factor, nothing stands for a condition
    assert [names[n] for n in list_narrow(candidates, apart)] == [
        "= 4", "= 8", "a multiple of 4", "odd", ">= 8", "same as = 8"
    ]  # fmt: skip

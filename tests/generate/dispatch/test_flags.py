"""Tests for harness.generate.dispatch.flags: cached results equal the conditions' own."""

from __future__ import annotations

import pytest

from harness.generate.dispatch.conditions import conditions_for
from harness.generate.dispatch.flags import LOOKS_AT, flags_of
from harness.generate.dispatch.problems import dispatch_problems
from harness.problems.operator import Operator


@pytest.fixture(scope="module")
def problems():
    return [one.problem for one in dispatch_problems()][::7]


def test_flags_are_those_of_the_conditions(problems):
    for problem in problems:
        wanted = bytes(one.holds(problem) for one in conditions_for(problem.operator))
        assert flags_of(problem) == wanted, problem.line


def test_every_factor_says_what_it_looks_at():
    factors = {one.factor for operator in Operator for one in conditions_for(operator)}
    assert factors == set(LOOKS_AT)

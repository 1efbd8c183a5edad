"""Tests for harness.generate.dispatch.reach."""

from __future__ import annotations

from harness import parse_line
from harness.generate.dispatch.reach import measure_reach

ASKED = ("conv x=2x8x9x9 w=16x8x3x3 pad=1,1", "conv x=1x4x5x5 w=4x4x1x1 stride=2,2")
REACH = measure_reach(map(parse_line, ASKED))


def test_what_is_asked_is_within_reach():
    assert [REACH.list_misses(parse_line(line)) for line in ASKED] == [[], []]


def test_two_conditions_that_no_problem_has_together_are_named():
    misses = REACH.list_misses(parse_line("conv x=1x4x5x5 w=4x4x3x3 stride=2,2"))
    assert "stride 2 with kernel 3x3" in misses
    assert not any(miss.startswith("C = 4 with stride 2") for miss in misses)


def test_a_size_beyond_all_that_is_asked_is_named():
    assert "size 10" in REACH.list_misses(parse_line("conv x=2x8x10x10 w=16x8x3x3 pad=1,1"))


def test_an_operator_that_is_not_asked_is_named():
    assert REACH.list_misses(parse_line("max_pool x=1x1x4 kernel=2")) == ["max_pool is not asked"]

"""Problems that a plan leaves out, and their reasons."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness import NamedProblem, Suite, parse_line
from harness.plan.planner import plan_run
from harness.plugins.manager import load_plugins

LAW = "agrees-with-reference"
LINES = ("conv x=1x2x9 w=3x2x3 data=integer", "conv x=8x64x64x64 w=64x64x3x3 data=integer")


@pytest.fixture(scope="module")
def registry():
    registry = load_plugins()
    asked = NamedProblem(name="always", problem=parse_line("conv x=1x2x8 w=3x2x3 data=integer"))
    optional = tuple(NamedProblem(name=line, problem=parse_line(line), laws=(LAW,), optional=True) for line in LINES)
    registry.suites["s"] = Suite(
        name="s", kind="correctness", description="s", problems=lambda: (asked, *optional), laws=(LAW,), breadth_s=0.1
    )
    return registry


def _left_out(registry, depth):
    plan = plan_run(registry, ["s"], ["numpy-direct"], depth=depth)
    return {cell.label: cell.reason for cell in plan.cells if cell.decided == "skipped"}


def test_the_cheapest_optional_problems_are_asked_by_default(registry):
    assert _left_out(registry, "default") == {
        LINES[1]: "the optional problems would take more than 0.1 s (--depth full)"
    }


def test_quick_leaves_out_every_optional_problem_and_says_so(registry):
    assert _left_out(registry, "quick") == dict.fromkeys(LINES, "left out by --depth quick")


def test_full_leaves_out_none(registry):
    assert _left_out(registry, "full") == {}


def test_a_suite_without_a_limit_asks_all(registry):
    registry.suites["s"] = replace(registry.suites["s"], breadth_s=float("inf"))
    assert _left_out(registry, "default") == {}


@pytest.mark.parametrize(("depth", "asked"), [("quick", 0), ("default", 0), ("full", 1)])
def test_a_law_is_asked_of_a_problem_that_is_spared_it_only_at_depth_full(registry, depth, asked):
    spared = NamedProblem(name="spared", problem=parse_line(LINES[0]), spared=(LAW,))
    other = NamedProblem(name="other", problem=parse_line(LINES[0] + " seed=1"))
    registry.suites["t"] = replace(registry.suites["s"], name="t", problems=lambda: (spared, other))
    plan = plan_run(registry, ["t"], ["numpy-direct"], depth=depth)
    assert [cell.label for cell in plan.cells] == ["spared"] * asked + ["other"]

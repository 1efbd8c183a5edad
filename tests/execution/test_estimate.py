"""The expected duration of a run, from which the progress bar counts."""

from dataclasses import replace

from harness.capture.workload import name_problems
from harness.execution.context import estimate_run
from harness.plan.arm import parse_arm
from harness.plan.gate import Gate
from harness.plan.planner import plan_run
from harness.plugins.manager import load_plugins

LINE = "conv x=1x1x8x8 w=1x1x3x3"


def _cells(*suites):
    registry = load_plugins()
    plan = plan_run(registry, suites, problems=name_problems([LINE]), arms=[parse_arm("im2col")], gate=Gate())
    return registry, plan.cells


def test_a_gate_of_laws_alone_is_expected_to_take_as_long_as_its_laws_whatever_its_budget():
    registry, cells = _cells("correctness")
    seconds = estimate_run(registry, Gate(whole=True, budget_s=300.0), cells)
    assert 0 < seconds < 300.0
    assert seconds == estimate_run(registry, None, cells)


def test_a_gate_that_times_is_expected_to_take_its_budget():
    registry, cells = _cells("correctness", "speed-short")
    assert estimate_run(registry, Gate(whole=True, budget_s=300.0), cells) == 300.0
    laws_s = estimate_run(registry, None, [cell for cell in cells if cell.kind != "speed"])
    assert estimate_run(registry, Gate(budget_s=300.0), cells) == laws_s + 300.0
    decided = [replace(cell, decided="skipped") for cell in cells if cell.kind == "speed"]
    assert estimate_run(registry, Gate(whole=True, budget_s=300.0), decided) == 0.0

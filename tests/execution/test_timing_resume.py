"""Timed passes are kept pass by pass: a resumed run times what is missing, and the arms of a problem stay in turns."""

import time
from types import SimpleNamespace

import pytest

from harness.capture.workload import name_problems
from harness.execution import looking, timing_stage
from harness.execution.pipeline import run_plan
from harness.execution.progress import Silent
from harness.plan.arm import Arm
from harness.plan.gate import Gate
from harness.plan.planner import plan_run
from harness.plan.suite import Suite, Timing
from harness.plugins.manager import load_plugins
from harness.record.journal import PassEntry, read_journal
from tests.execution.interrupted import cut, read_outcomes

LINES = ("conv x=1x1x8x8 w=1x1x3x3", "conv x=1x2x8x8 w=2x2x3x3")
ARMS = (Arm(name="a", backend="im2col"), Arm(name="b", backend="numpy-direct"))


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))


def race(folder, *, passes=2, gate=None, resume=False):
    """Time two arms on two problems."""
    registry = load_plugins()
    registry.suites["turns"] = Suite(
        name="turns", kind="speed", description="short turns", timing=Timing(passes=passes, sample_s=0.002)
    )
    plan = plan_run(registry, ["turns"], (), name_problems(LINES), arms=ARMS, gate=gate)
    if not resume:
        (folder / "workers").mkdir(parents=True)
    return run_plan(plan, registry, folder, Silent(), command="", threads=1, resume=resume)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return race(tmp_path_factory.mktemp("whole") / "run")


def read_entries(folder):
    return read_journal((folder / "journal.jsonl").read_bytes()).entries


def list_passes(folder):
    """Return cell and number of every pass, in the order of the journal."""
    return [(e.cell, e.samples.number) for e in read_entries(folder) if isinstance(e, PassEntry)]


def find_line(folder, wanted):
    """Return the number of lines up to that of a pass.

    wanted: how many passes come before it.
    """
    places = [n for n, entry in enumerate(read_entries(folder), 1) if isinstance(entry, PassEntry)]
    return places[wanted]


def test_the_passes_of_a_problem_are_written_together(whole):
    passes = [entry for entry in read_entries(whole.path) if isinstance(entry, PassEntry)]
    assert [entry.more for entry in passes] == [1, 0] * 4
    assert all({one.cell for one in passes[n : n + 2]} in ({0, 2}, {1, 3}) for n in range(0, 8, 2))
    spent = [entry.spent_s for entry in passes]
    assert spent == sorted(spent) and spent[0] > 0
    assert all(entry.deviation is not None for entry in passes)


# in the second turn, of which one arm is written; in the first of the second pass; after the last one
@pytest.mark.parametrize(
    ("written", "kept"), [(3, 2), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((5, 4), (8, 8)))]
)
def test_passes_that_were_recorded_are_not_timed_again(tmp_path, whole, written, kept):
    folder = cut(whole.path, tmp_path / "run", find_line(whole.path, written - 1), b'{"type":"pass","ce')
    before = list_passes(whole.path)[:kept]
    run = race(folder, resume=True)
    assert run.complete and read_outcomes(run) == read_outcomes(whole)
    after = list_passes(folder)
    assert after[:kept] == before and sorted(after) == sorted(list_passes(whole.path))
    assert [one.number for r in run.results for one in r.measurement.passes] == [0, 1] * 4
    old = {(r.cell, one.number): one for r in whole.results for one in r.measurement.passes}
    for result in run.results:
        for one in result.measurement.passes:
            assert (one == old[result.cell, one.number]) == ((result.cell, one.number) in before)


@pytest.mark.parametrize("results", [1, 3])
def test_a_run_killed_while_it_writes_its_results_times_nothing(tmp_path, whole, results, monkeypatch):
    lines = len(read_entries(whole.path))  # the last line is the end
    folder = cut(whole.path, tmp_path / "run", lines - 1 - 4 + results)
    monkeypatch.setattr(timing_stage, "run_pass", None)
    run = race(folder, resume=True)
    assert run.complete and read_outcomes(run) == read_outcomes(whole)
    assert [r.measurement for r in run.results] == [r.measurement for r in whole.results]
    assert list_passes(folder) == list_passes(whole.path)


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    gate = Gate(budget_s=0.001, blocks=2, block_s=0.001)  # enough for one pass
    return gate, race(tmp_path_factory.mktemp("gated") / "run", gate=gate)


def test_a_spent_budget_stays_spent(tmp_path, gated, monkeypatch):
    gate, whole = gated
    folder = cut(whole.path, tmp_path / "run", find_line(whole.path, 3))
    monkeypatch.setattr(timing_stage, "run_pass", None)
    run = race(folder, gate=gate, resume=True)
    assert run.complete and [len(r.measurement.passes) for r in run.results] == [1] * 4


def test_what_is_left_of_a_budget_is_used(whole, monkeypatch):
    """The clock of the stage begins as long ago as passes were recorded to have spent."""
    entries = [entry for entry in read_entries(whole.path) if isinstance(entry, PassEntry)]
    passes = {number: [e for e in entries if e.cell == number] for number in range(4)}
    cells = [SimpleNamespace(number=number) for number in range(4)]
    execution = SimpleNamespace(
        recorded=SimpleNamespace(results={1: SimpleNamespace(outcome="crashed")}, passes=passes),
        cells_of=lambda kind: cells,
    )
    state = timing_stage.TimingState(execution, begun=time.monotonic())
    spent_s = timing_stage.restore_passes(state)
    assert spent_s == max(entry.spent_s for entry in entries)
    assert sum(state.took_s) == pytest.approx(spent_s) and len(state.took_s) == 2
    assert state.failed == {1} and sorted(state.measured) == [0, 2, 3] and state.restored[0] == {0, 1}
    blocks = [block.control_ns for n in (0, 2, 3) for e in passes[n] for block in e.samples.blocks]
    assert state.control_ns == sorted(blocks)


@pytest.mark.slow
def test_decisions_of_earlier_looks_follow_from_the_passes(tmp_path, monkeypatch):
    def agree(base, new):  # what a quiet machine would say of two equal arms, pass by pass
        return [0.01 * (-1) ** number for number in range(min(len(base), len(new)))]

    monkeypatch.setattr(looking, "log_ratios", agree)
    monkeypatch.setattr("harness.analysis.arm_comparison.log_ratios", agree)
    gate = Gate(delta=0.9, looks=(3, 4, 5, 40), level=0.4, budget_s=600, blocks=2, block_s=0.001)
    whole = race(tmp_path / "whole", gate=gate)
    passes = {len(r.measurement.passes) for r in whole.results}
    assert passes <= {3, 4, 5}
    folder = cut(whole.path, tmp_path / "run", find_line(whole.path, 4 * max(passes) - 1))
    monkeypatch.setattr(timing_stage, "run_pass", None)
    run = race(folder, gate=gate, resume=True)
    assert run.complete and read_outcomes(run) == read_outcomes(whole)

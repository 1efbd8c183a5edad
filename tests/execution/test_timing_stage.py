"""Order of passes: palindromic turns, fresh processes, decided cells, arms that die."""

import os
import random
import signal

import pytest

import harness
from harness.analysis.arm_comparison import compare_to_base
from harness.capture.workload import name_problems
from harness.execution.pipeline import run_plan
from harness.execution.progress import Silent
from harness.execution.timing_stage import drop_rounds, order_blocks
from harness.plan.arm import Arm
from harness.plan.gate import Gate
from harness.plan.planner import plan_run
from harness.plan.suite import NamedProblem, Suite, Timing
from harness.plugins.manager import load_plugins
from harness.record.directory import new_directory
from harness.record.passes import Block
from tests.conftest import DYING

LINES = ("conv x=1x1x8x8 w=1x1x3x3", "conv x=1x2x8x8 w=2x2x3x3")


@pytest.mark.parametrize("blocks", [2, 4, 6])
@pytest.mark.parametrize("arms", [("a", "b"), ("a", "b", "c")])
def test_arms_take_turns_in_an_order_that_reads_the_same_from_both_ends(arms, blocks):
    order = list(order_blocks(arms, blocks, random.Random(3)))
    assert all(order.count(arm) == blocks for arm in arms)
    turns = [order[i : i + 2 * len(arms)] for i in range(0, len(order), 2 * len(arms))]
    assert all(turn == turn[::-1] for turn in turns)
    assert len({"".join(next(order_blocks(arms, 2, random.Random(seed)))) for seed in range(20)}) == len(arms)


def test_every_pass_has_fresh_processes_one_for_each_arm_and_shuffled_problems(tmp_path):
    run = _race(tmp_path, ("numpy-direct", "im2col"), passes=2)
    passes = {r.arm: [one for r2 in run.results if r2.arm == r.arm for one in r2.measurement.passes]
              for r in run.results}  # fmt: skip
    processes = {arm: {(one.number, one.process) for one in found} for arm, found in passes.items()}
    assert all(len(found) == 2 for found in processes.values())
    assert len({process for found in processes.values() for _, process in found}) == 4
    for result in run.results:
        for one in result.measurement.passes:
            assert len(one.blocks) == 2
            assert sum(block.count for block in one.blocks) == len(one.samples_ns)
            assert all(block.wall_ns > 0 and block.control_ns > 0 for block in one.blocks)
            assert one.memory_bytes >= 0


def test_an_isolated_problem_has_processes_of_its_own(tmp_path):
    items = [NamedProblem(name=f"p/{n}", problem=harness.parse_line(line), isolate=n == 0)
             for n, line in enumerate(LINES)]  # fmt: skip
    run = _race(tmp_path, ("im2col",), problems=items)
    (alone,), (other,) = ([one.process for one in result.measurement.passes] for result in run.results)
    assert alone != other


def test_passes_are_added_until_cells_are_decided_and_then_they_stop(tmp_path, monkeypatch):
    def agree(base, new):  # what a quiet machine would say of two equal arms, pass by pass
        return [0.01 * (-1) ** number for number in range(min(len(base), len(new)))]

    monkeypatch.setattr("harness.execution.looking.log_ratios", agree)
    monkeypatch.setattr("harness.analysis.arm_comparison.log_ratios", agree)
    arms = (Arm(name="a", backend="im2col"), Arm(name="b", backend="im2col"))
    gate = Gate(delta=0.9, looks=(3, 4, 5, 40), level=0.4, budget_s=600, blocks=2, block_s=0.001)
    run = _race(tmp_path, arms=arms, gate=gate)
    arm_comparison = compare_to_base(run)
    assert arm_comparison.counts["SAME"] == len(LINES) == len(arm_comparison.rows)
    assert {len(r.measurement.passes) for r in run.results} <= {3, 4, 5}


def test_a_spent_budget_ends_the_passes_and_says_so(tmp_path):
    arms = (Arm(name="a", backend="im2col"), Arm(name="b", backend="im2col"))
    run = _race(tmp_path, arms=arms, gate=Gate(budget_s=0.001, blocks=2, block_s=0.001))
    rows = compare_to_base(run).rows
    assert {row.judgement.verdict for row in rows} == {"INCONCLUSIVE"}
    # A pass that the machine disturbed is said first.
    told = {"1 of the 6 passes before the first look", "both sides were timed, but all of their blocks were disturbed"}
    assert {row.judgement.reason for row in rows} <= told
    assert {len(result.measurement.passes) for result in run.results} == {1}
    assert run.complete


def test_an_arm_that_dies_is_missing_and_costs_the_others_nothing(tmp_path):
    line = "conv x=7x2x9 w=3x2x3 data=integer"
    run = _race(tmp_path, ("numpy-direct", "dying:crashes"), problems=name_problems([line]), plugins=[DYING])
    outcomes = {result.arm: result.outcome for result in run.results}
    assert outcomes == {"numpy-direct": "passed", "dying:crashes": "crashed"}
    assert [row.judgement.verdict for row in compare_to_base(run).rows] == ["MISSING"]


def test_a_disturbed_block_takes_its_round_with_it_and_no_other():
    blocks = {n: [] for n in (1, 2)}
    for visit, number in enumerate((1, 2, 2, 1, 2, 1, 1, 2)):
        blocks[number].append((Block(visit=visit, count=1, dropped="steal" if visit == 5 else None), None))
    found = drop_rounds(blocks, 4)
    reasons = {block.visit: block.dropped for mine in found.values() for block, _ in mine}
    assert [reasons[visit] for visit in range(4)] == [None] * 4
    assert reasons[5] == "steal"
    assert {reasons[visit] for visit in (4, 6, 7)} == {"visit 5 of its round was disturbed"}


def test_cold_caches_are_asked_for_and_recorded(tmp_path):
    run = _race(tmp_path, ("im2col",), mode="cold", problems=name_problems(LINES[:1]))
    (one,) = run.results[0].measurement.passes
    assert (one.mode, one.loops) == ("cold", 1)


def test_a_worker_that_dies_while_it_frees_its_arrays_costs_nothing_that_was_timed(tmp_path):
    from harness.execution.worker_supervisor import WorkerSupervisor

    supervisor = WorkerSupervisor(load_plugins(), "im2col", tmp_path, 2**40, 1, ())
    try:
        os.kill(supervisor.launch()[0].pid, signal.SIGKILL)
        supervisor.release()
        assert supervisor.launch()[1].reason is None
    finally:
        supervisor.close()


def test_what_only_the_other_arm_can_do_is_timed_once_and_new(tmp_path):
    line = "max_pool x=1x1x8x8 kernel=2x2"
    arms = (Arm(name="a", backend="fft"), Arm(name="b", backend="im2col"))
    run = _race(tmp_path, arms=arms, gate=Gate(budget_s=600, blocks=2, block_s=0.001), problems=name_problems([line]))
    assert [result.outcome for result in run.results] == ["unsupported", "passed"]
    assert len(run.results[1].measurement.passes) == 1
    assert [row.judgement.verdict for row in compare_to_base(run).rows] == ["NEW"]


def _race(tmp_path, backends=(), *, passes=1, problems=None, arms=(), gate=None, plugins=(), mode=None):
    registry = load_plugins(plugins)
    registry.suites["turns"] = Suite(
        name="turns", kind="speed", description="short turns", timing=Timing(passes=passes, sample_s=0.002)
    )
    items = name_problems(LINES) if problems is None else problems
    plan = plan_run(registry, ["turns"], backends, items, arms=arms, gate=gate, mode=mode)
    path = new_directory(str(tmp_path / "run"), ("turns",))
    return run_plan(plan, registry, path, Silent(), command="", extra=tuple(plugins), threads=1)

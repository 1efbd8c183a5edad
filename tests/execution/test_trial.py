"""Trials: a lie that a fresh process shows again is an error; one seen once is no accusation, and no success."""

import random
import re
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest

import harness
from harness.analysis.exit_code import find_exit_code
from harness.capture.workload import name_problems
from harness.execution import trial
from harness.execution.pipeline import run_plan
from harness.execution.progress import Silent
from harness.execution.trial import Accusation, Trial, find_accusation, hold_trial
from harness.execution.worker_supervisor import WorkerSupervisor
from harness.exit_codes import ExitCode
from harness.plan.planner import plan_run
from harness.plan.suite import Suite, Timing
from harness.plugins.manager import load_plugins
from harness.record.directory import new_directory
from harness.record.passes import Block, Pass
from harness.worker.hosted.examiner import mark_untold
from harness.worker.protocol import Checked, Sampled

MS = 1_000_000
LINE = "conv x=1x1x8x8 w=1x1x3x3"
TIMING = Timing(passes=1, sample_s=0.1)
FACTS = Pass(number=0, process=2, loops=1, warmups=0, clock="host", device="cpu", prepare_ns=1, first_call_ns=1,
             samples_ns=())  # fmt: skip
PASSED = Checked("passed", None, samples=FACTS)
CLOCK = Accusation("its clock runs behind", "clock")


class FreshWorkers:
    """A supervisor whose next worker prepares a cell with this outcome."""

    def __init__(self, reply):
        self.reply, self.closed, self.asked = reply, 0, []

    def close(self):
        self.closed += 1

    def prepare(self, cell, number, mode, *, probe):
        assert self.closed, "the accused process was asked again"
        self.asked.append(probe)
        return self.reply, 1.0, 7

    def suspend(self):
        pass


def _state(threads=1):
    watch = SimpleNamespace(working=lambda *_: None)
    backend = SimpleNamespace(device="cpu")
    return SimpleNamespace(
        execution=SimpleNamespace(watch=watch, threads=threads), last={}, backend=lambda cell: backend
    )


def _hold(monkeypatch, accusation, reply=PASSED, take=None, threads=1):
    cell, workers = SimpleNamespace(arm="a", label="b", number=3), FreshWorkers(reply)
    monkeypatch.setattr(trial, "time_block", lambda state, cell, supervisor, timing, visit: take(timing))
    found = hold_trial(
        Trial(state=_state(threads), cell=cell, timing=TIMING, supervisor=workers, accusation=accusation)
    )
    assert workers.asked == [True]
    return found


def _block(wall=100, spent=90, cpu=90, span=90, waited=0, visit_cpu=95, visit_waited=0, samples=(1.0,)):
    block = Block(
        visit=0, count=len(samples), wall_ns=wall, cpu_ns=cpu, span_ns=span, waited_ns=waited, visit_cpu_ns=visit_cpu,
        visit_waited_ns=visit_waited, dropped="disturbed",
    )  # fmt: skip
    return block, Sampled(samples_ns=samples, host_ns=1, warmups=0, timed_ns=span, verify_ns=0, spent_ns=spent)


@pytest.mark.parametrize("kind", ["shown", "clock", "threads", "speed"])
def test_what_a_fresh_process_shows_again_is_an_error(monkeypatch, kind):
    again = Checked("error", "answers are remembered", accuses=True)
    found = _hold(monkeypatch, Accusation("results are computed late", kind), again)
    assert found.outcome == "error"
    assert found.reason == "results are computed late; in a fresh process: answers are remembered"


def test_what_a_block_of_a_fresh_process_shows_is_an_error(monkeypatch):
    again = Checked("error", "its clock runs ahead", accuses=True)
    assert _hold(monkeypatch, Accusation("late"), take=lambda _: again).outcome == "error"
    assert _hold(monkeypatch, CLOCK, take=lambda _: again).outcome == "error"


@pytest.mark.parametrize("kind", ["shown", "clock", "threads", "threads outside"])
def test_what_was_seen_once_has_no_time_and_is_no_accusation(monkeypatch, kind):
    found = _hold(monkeypatch, Accusation("it looks fast", kind), take=lambda _: _block())
    assert found == Checked(
        "skipped",
        "the machine cannot tell whether its times are true: it looks fast; a fresh process did not show it again",
    )


@pytest.mark.parametrize("outcome", ["failed", "error", "crashed", "timeout"])
def test_what_is_wrong_in_a_fresh_process_is_wrong(monkeypatch, outcome):
    assert _hold(monkeypatch, CLOCK, Checked(outcome, "why")) == Checked(
        outcome, "its clock runs behind; in a fresh process: why"
    )


@pytest.mark.parametrize("outcome", ["unsupported", "unavailable", "skipped"])
def test_what_cannot_be_asked_again_has_no_time(monkeypatch, outcome):
    found = _hold(monkeypatch, CLOCK, Checked(outcome, "why"))
    assert found.outcome == "skipped"
    assert found.reason.startswith("the machine cannot tell")
    assert found.reason.endswith(f"in a fresh process: {outcome}, why")


def _machine(rng, *, clock=1.0, cores=1.0, elsewhere=0.0):
    """A busy machine: a block takes several times its work, and messages take as long again, more or less.

    clock: rate of the process's clock. cores: that work in calls. elsewhere: cores used outside of the calls' thread.
    """

    def take(timing):
        work = timing.block_s * 1e9 + 10 * MS
        waited = work * rng.expovariate(0.3)
        span = work + waited
        messages = rng.expovariate(1 / (60 * MS))
        cpu = work * cores + elsewhere * span
        return _block(
            wall=span + messages, spent=clock * span, cpu=cpu, span=span, waited=waited,
            visit_cpu=cpu + rng.uniform(0, 5 * MS), visit_waited=waited + rng.uniform(0, 1) * messages,
        )  # fmt: skip

    return take


@pytest.mark.parametrize("kind", ["clock", "threads", "threads outside"])
def test_a_busy_machine_accuses_nobody(monkeypatch, kind):
    for seed in range(200):
        found = _hold(monkeypatch, Accusation("why", kind), take=_machine(random.Random(seed)))
        assert found.outcome == "skipped", found


@pytest.mark.parametrize(
    ("kind", "lie"),
    [("clock", {"clock": 0.1}), ("threads", {"cores": 2.0}), ("threads", {"elsewhere": 0.5}),
     ("threads outside", {"elsewhere": 0.5})],
)  # fmt: skip
def test_a_cheat_is_found_on_a_busy_machine(monkeypatch, kind, lie):
    found = _hold(monkeypatch, Accusation("why", kind), take=_machine(random.Random(5), **lie))
    assert found.outcome == "error"
    assert re.fullmatch(r"why; \d+ of \d+ pairs in a fresh process showed the same", found.reason)


@pytest.mark.parametrize("kind", ["threads", "threads outside"])
def test_without_a_number_of_threads_nobody_has_too_many(monkeypatch, kind):
    take = _machine(random.Random(5), cores=9.0)
    assert _hold(monkeypatch, Accusation("why", kind), take=take, threads=None).outcome == "skipped"


@pytest.mark.parametrize(("fast", "outcome"), [([True] * 99, "error"), ([True] * 3 + [False] * 9, "skipped")])
def test_the_machine_is_measured_before_or_after_every_block(monkeypatch, fast, outcome):
    steps, left = [], iter(fast)

    @contextmanager
    def machine(state, device):
        yield lambda quick: steps.append("quick peak" if quick else "peak")

    def impossible(state, cell, passes):
        assert passes[0].kept, "a disturbed block counts in a pair"
        return "faster" if next(left) else None

    monkeypatch.setattr(trial, "open_machine", machine)
    monkeypatch.setattr(trial, "find_impossible", impossible)

    def take(timing):
        steps.append("block")
        return _block()

    found = _hold(monkeypatch, Accusation("faster than this machine", "speed"), take=take)
    assert found.outcome == outcome
    assert steps[:7] == ["peak", "quick peak", "block", "block", "quick peak", "quick peak", "block"]


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        (_block(wall=400 * MS, spent=90 * MS, cpu=90 * MS, span=90 * MS, visit_cpu=95 * MS), "clock"),
        (_block(wall=100 * MS, spent=90 * MS, cpu=180 * MS, span=90 * MS, visit_cpu=190 * MS), "threads"),
        (_block(wall=100 * MS, spent=90 * MS, cpu=90 * MS, span=90 * MS, visit_cpu=190 * MS), "threads outside"),
        (_block(wall=100 * MS, spent=90 * MS, cpu=90 * MS, span=90 * MS, visit_cpu=95 * MS), None),
    ],
)
def test_a_pass_is_accused_of_what_its_counting_blocks_show(block, kind):
    disturbed, reply = block
    counting = replace(disturbed, dropped=None)
    found = find_accusation([(counting, reply)], 1)
    assert (None if found is None else found.kind) == kind
    assert find_accusation([(disturbed, reply)], 1) is None


def test_a_refusal_to_say_a_time_is_no_success_whatever_its_reason():
    for reason in ("I would rather not", None, "the machine cannot tell whether answers are remembered"):
        found = mark_untold(Checked("skipped", reason))
        assert found.reason.startswith("the machine cannot tell")
        assert (reason or "without a reason") in found.reason
    assert mark_untold(Checked("unsupported", "why")) == Checked("unsupported", "why")
    assert mark_untold(PASSED) is PASSED


def _time(tmp_path):
    registry = load_plugins()
    registry.suites["once"] = Suite(name="once", kind="speed", description="one pass", timing=TIMING)
    plan = plan_run(registry, ["once"], ["im2col"], name_problems([LINE, "conv x=1x2x8x8 w=2x2x3x3"]))
    return run_plan(plan, registry, new_directory(str(tmp_path / "run"), ("once",)), Silent(), command="", threads=1)


@pytest.mark.parametrize(("lies", "outcome", "code"), [(1, "skipped", ExitCode.CANNOT_TELL), (2, "error", 1)])
def test_a_run_with_an_accused_cell_is_no_success(tmp_path, monkeypatch, lies, outcome, code):
    prepare, processes = WorkerSupervisor.prepare, []

    def accuse(self, cell, *more, **named):
        reply, seconds, pid = prepare(self, cell, *more, **named)
        if cell.line == LINE and len(processes) < lies:
            processes.append(self.pids)
            reply = Checked("error", "a noise", accuses=True)
        return reply, seconds, pid

    monkeypatch.setattr(WorkerSupervisor, "prepare", accuse)
    run = _time(tmp_path)
    result = next(one for one in run.results if one.problem == harness.parse_line(LINE).line)
    assert (result.outcome, result.measurement) == (outcome, None)
    assert result.untold == (outcome == "skipped")
    assert find_exit_code(run) == code
    assert len({pid for pair in processes for pid in pair}) == 2 * lies, "each time a new judge and a new host"
    assert next(one for one in run.results if one is not result).outcome == "passed"

"""Suite `limits`: what it asks, and what its law makes of memory that is short."""

import math

import pytest

from harness import Operator, parse_line
from harness.laws.sampling.beyond import check_exact
from harness.laws.sampling.held import dtype_bytes
from harness.problems.numerics import Numerics
from harness.record.run import CANNOT_TELL
from suites.laws import limits
from suites.limits import limit_problems
from tests.asking import ask
from tests.faulty.right import Right

PROBLEMS = [named.problem for named in limit_problems()]
LINE = "conv x=3x8x13x17 w=1x8x1x1 stride=2 data=integer"


def _large(problem, name):
    size = math.prod(problem.shapes[name])
    return size > 2**31, size * dtype_bytes(problem, name) > 2**32


def test_every_array_of_every_operator_passes_both_limits():
    for operator in Operator:
        mine = [problem for problem in PROBLEMS if problem.operator is operator]
        for name in (*operator.inputs, *operator.outputs):
            if name not in ("b", "db"):
                seen = [_large(problem, name) for problem in mine if name in problem.shapes]
                assert any(elements and size for elements, size in seen), (operator, name)


def test_every_operator_passes_the_limit_of_bytes_alone():
    for operator in Operator:
        mine = [p for p in PROBLEMS if p.operator is operator]
        assert any(_large(problem, name) == (False, True) for problem in mine for name in problem.shapes), operator


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.line)
def test_sums_are_exact_and_work_is_small(problem):
    check_exact(problem, Numerics(), "any")
    assert limits.agrees_beyond_limits.applies(problem)
    assert problem.flops <= 12 * max(math.prod(shape) for shape in problem.shapes.values()) * 2


NEED = int(1.3 * parse_line(LINE).bytes)


def _ask(monkeypatch, backend=None, free=2**40, later=None, gpu=None):
    """Apply the law where `free` bytes are free at its start, and `later` bytes when it ends."""
    told = iter((free,))
    monkeypatch.setattr(limits, "read_free_memory", lambda: next(told, free if later is None else later))
    monkeypatch.setattr(limits, "read_tree_resident", lambda pid: 0)
    monkeypatch.setattr(limits, "read_gpu_memory", lambda: gpu)
    monkeypatch.setattr("harness.problems.tile.PERIOD", 65_521)
    return ask(backend or Right(), limits.agrees_beyond_limits, LINE)


def _greedy(error, device="cpu"):
    class Greedy(Right):
        def conv(self, x, w, b, window):
            raise error

    Greedy.device = device
    return Greedy()


def test_the_law_measures_what_it_holds(monkeypatch):
    reply = _ask(monkeypatch)
    assert reply.outcome == "passed"
    figures = reply.deviation.attachments.figures
    assert figures["array bytes"] == parse_line(LINE).bytes
    assert figures["peak while checking"] >= figures["bytes of the process before"] > 0


def test_memory_that_was_planned_and_is_gone_is_no_success(monkeypatch):
    reply = _ask(monkeypatch, free=100)
    assert reply.outcome == "skipped"
    assert reply.reason.startswith(f"{CANNOT_TELL} whether memory was short: estimated ")
    assert "are free now" in reply.reason


@pytest.mark.parametrize(
    "error",
    [MemoryError("Unable to allocate 4 GiB"), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")],
)
def test_an_allocator_that_refuses_is_a_fault_where_there_was_what_the_backend_needs(monkeypatch, error):
    reply = _ask(monkeypatch, _greedy(error), NEED)
    assert reply.outcome == "error"
    assert str(error) in reply.reason
    assert "a backend that needs more declares it in workspace()" in reply.reason


def test_memory_that_others_took_is_no_fault_and_no_success(monkeypatch):
    reply = _ask(monkeypatch, _greedy(MemoryError("no more")), NEED, later=NEED // 2)
    assert reply.outcome == "skipped"
    assert reply.reason.startswith(f"{CANNOT_TELL} whether memory was short")


def test_what_the_processes_of_the_cell_took_themselves_is_no_excuse(monkeypatch):
    grown = iter((0, NEED))
    told = iter((NEED, 5))
    monkeypatch.setattr(limits, "read_free_memory", lambda: next(told))
    monkeypatch.setattr(limits, "read_tree_resident", lambda pid: next(grown))
    monkeypatch.setattr("harness.problems.tile.PERIOD", 65_521)
    assert ask(_greedy(MemoryError("no more")), limits.agrees_beyond_limits, LINE).outcome == "error"


def test_a_limit_of_the_user_leaves_open_how_much_there_was(monkeypatch):
    monkeypatch.setattr(limits.resource, "getrlimit", lambda kind: (2**40, 2**40))
    reply = _ask(monkeypatch, _greedy(MemoryError("no more")))
    assert reply.reason.startswith(CANNOT_TELL)


@pytest.mark.parametrize(
    ("gpu", "outcome", "begins"),
    [
        ((2 * NEED, 2 * NEED), "error", "OutOfMemoryError"),
        ((2 * NEED - 2, 2 * NEED), "skipped", CANNOT_TELL),  # others may have taken some
        ((NEED - 1, 2 * NEED), "skipped", CANNOT_TELL),
        ((5, NEED - 1), "skipped", "estimated "),  # the estimate explains it
        (None, "skipped", CANNOT_TELL),
    ],
)
def test_another_device_is_judged_by_its_own_memory(monkeypatch, gpu, outcome, begins):
    reply = _ask(monkeypatch, _greedy(RuntimeError("CUDA out of memory"), "cuda"), 100, gpu=gpu)
    assert (reply.outcome, reply.reason.startswith(begins)) == (outcome, True), reply.reason


def test_another_device_is_not_judged_by_the_memory_of_the_host(monkeypatch):
    class Elsewhere(Right):
        device = "cuda"

    assert _ask(monkeypatch, Elsewhere(), 100).outcome == "passed"


def test_a_wrong_answer_is_never_skipped(monkeypatch):
    class Wrong(Right):
        def conv(self, x, w, b, window):
            return super().conv(x, w, b, window) + 1

    assert _ask(monkeypatch, Wrong()).outcome == "failed"

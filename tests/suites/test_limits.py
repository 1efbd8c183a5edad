"""Suite `limits`: what it asks, and what its law makes of memory that is short."""

import math

import pytest

from harness import Operator, parse_line
from harness.laws.sampling.beyond import check_exact
from harness.laws.sampling.held import dtype_bytes
from harness.problems.numerics import Numerics
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


def _ask(monkeypatch, backend=None, free=2**40):
    monkeypatch.setattr(limits, "read_free_memory", lambda: free)
    monkeypatch.setattr("harness.problems.tile.PERIOD", 65_521)
    return ask(backend or Right(), limits.agrees_beyond_limits, LINE)


def test_the_law_measures_what_it_holds(monkeypatch):
    reply = _ask(monkeypatch)
    assert reply.outcome == "passed"
    figures = reply.deviation.attachments.figures
    assert figures["array bytes"] == parse_line(LINE).bytes
    assert figures["peak while checking"] >= figures["bytes of the process before"] > 0


def test_too_little_memory_is_skipped_with_the_estimate(monkeypatch):
    reply = _ask(monkeypatch, free=100)
    assert reply.outcome == "skipped"
    assert reply.reason.startswith("estimated ")
    assert "are free now" in reply.reason


@pytest.mark.parametrize(
    "error",
    [MemoryError("Unable to allocate 4 GiB"), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")],
)
def test_an_allocator_that_refuses_is_a_fault_only_where_there_was_twice_as_much(monkeypatch, error):
    class Greedy(Right):
        def conv(self, x, w, b, window):
            raise error

    need = int(1.3 * parse_line(LINE).bytes)
    reply = _ask(monkeypatch, Greedy(), 2 * need - 2)
    assert reply.outcome == "skipped"
    assert reply.reason.startswith("out of memory (estimated ")
    assert str(error) in reply.reason
    assert _ask(monkeypatch, Greedy(), 2 * need).outcome == "error"


def test_another_device_is_not_judged_by_the_memory_of_the_host(monkeypatch):
    class Elsewhere(Right):
        device = "cuda"

    assert _ask(monkeypatch, Elsewhere(), 100).outcome == "passed"


def test_a_wrong_answer_is_never_skipped(monkeypatch):
    class Wrong(Right):
        def conv(self, x, w, b, window):
            return super().conv(x, w, b, window) + 1

    assert _ask(monkeypatch, Wrong()).outcome == "failed"

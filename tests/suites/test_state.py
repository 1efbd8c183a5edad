"""The laws on state and concurrency: what they ask, what they find, and what they must let pass."""

import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import harness
from harness import Operator, parse_line
from harness.analysis.analyse import analyse
from harness.laws import overlapping
from reports.rows import semantics_rows
from suites.laws import all_laws, neighbours
from suites.laws.alone import is_chosen
from tests.asking import ask
from tests.faulty import state
from tests.faulty.right import Right
from tests.reports.made import make_run, result
from tests.suites.asked import ASKED
from tests.suites.killers import FOUND_BY

NAMES = (
    "batches-leave-no-trace", "plans-are-told-apart", "contents-are-told-apart", "refused-calls-leave-no-trace",
    "prepared-calls-stay-apart", "calls-at-once-agree",
)  # fmt: skip
LAWS = {law.name: law for law in all_laws() if law.name in NAMES}
CHOSEN = [problem for problem in ASKED if is_chosen(problem)]
AT_ONCE = LAWS["calls-at-once-agree"]
CONV = "conv x=2x3x11x14 w=5x3x3x2 bias stride=2,1 pad=1:0,2:1 dilation=1,2 data=integer"
FAULTS = {fault.name: fault for fault in state.FAULTS}


class ThreadLocalScratch(Right):
    """Every thread has a scratch of its own."""

    def __init__(self):
        self.own = threading.local()

    def conv(self, x, w, b, window):
        kept = self.own.__dict__.setdefault((x.shape, x.dtype), np.empty_like(x))
        kept[...] = x
        return super().conv(kept, w, b, window)


class LocksAll(state.SharedScratch):
    """One scratch, and a lock around all that uses it."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()

    def conv(self, x, w, b, window):
        with self.lock:
            return super().conv(x, w, b, window)


class TakesScratch(Right):
    """Scratches are taken from a pool and given back."""

    def __init__(self):
        self.pool = []

    def conv(self, x, w, b, window):
        scratch = self.pool.pop() if self.pool else np.empty(0)
        scratch = np.resize(scratch, x.shape).astype(x.dtype)
        scratch[...] = x
        y = super().conv(scratch, w, b, window)
        self.pool.append(scratch)
        return y


class FullKey(Right):
    """Plans are kept by all that they depend on, and hold no data."""

    def __init__(self):
        self.plans = {}

    def conv(self, x, w, b, window):
        key = (x.shape, w.shape, x.dtype, x.strides, b is None, window)
        return super().conv(x, w, b, self.plans.setdefault(key, window))


class OwnOutput(Right):
    """A prepared call writes every answer into one output of its own."""

    def prepare(self, problem, arrays):
        call, kept = super().prepare(problem, arrays), []

        def write():
            result = call()
            if isinstance(result, tuple):
                return result
            kept[:] = kept or [result]
            kept[0][...] = result
            return kept[0]

        return write


class NotReentrant(state.SharedScratch):
    """One scratch for all, and it says so."""

    numerics = harness.Numerics(reentrant=False)


ODD = (ThreadLocalScratch, LocksAll, TakesScratch, FullKey, OwnOutput, NotReentrant)


def test_the_chosen_problems_are_few_and_of_every_operator():
    assert {problem.operator for problem in CHOSEN} == set(Operator)
    assert len(CHOSEN) <= 2 * len(Operator)


@pytest.mark.parametrize("law", NAMES)
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.__name__)
def test_right_but_odd_backends_pass(odd, law):
    asked = [CONV] if odd is not OwnOutput else [problem.line for problem in CHOSEN]
    for line in asked:
        done = ask(odd(), LAWS[law], line)
        assert done.outcome == "passed", done.reason
        assert not done.deviation.proves_nothing


def _pair_laws_and_faults():
    """Pair every fault with its law; the first one of each law is quick, since `test_laws` finds all of them once."""
    first = {law: fault for fault, law in reversed(FOUND_BY.items())}
    for fault, law in FOUND_BY.items():
        yield pytest.param(law, fault, marks=[] if first[law] == fault else [pytest.mark.slow])


@pytest.mark.parametrize(("law", "fault"), list(_pair_laws_and_faults()))
def test_a_law_finds_its_fault_each_time(law, fault):
    for _ in range(2):
        backend = FAULTS[fault]()
        asked = (ask(backend, LAWS[law], problem.line).outcome for problem in CHOSEN if LAWS[law].applies(problem))
        assert "failed" in asked


def test_every_fault_belongs_to_a_law():
    assert FOUND_BY.keys() == FAULTS.keys()
    assert set(FOUND_BY.values()) == set(NAMES)


def test_an_interrupted_call_is_found_at_its_line():
    done = ask(state.SharedDescriptor(), AT_ONCE, "max_pool x=2x3x9x11 kernel=3x2 stride=2,1 pad=1:0,0:1 data=integer")
    assert done.outcome == "failed" and done.deviation.observed == "not as alone"
    lines = Path(state.__file__).read_text().splitlines()
    where = next(n for n, line in enumerate(lines, 1) if "super().max_pool(x, self.descriptor)" in line)
    assert f"at state.py:{where}" in done.reason


def test_lines_of_a_first_call_alone_move_no_stop(tmp_path, monkeypatch):
    """A first call that runs hundreds of other lines, as an import does."""
    (tmp_path / "only_once.py").write_text("a = 1\n" * 400)
    monkeypatch.syspath_prepend(tmp_path)

    class Imports(state.SharedScratch):
        def conv(self, x, w, b, window):
            import only_once  # noqa: F401

            return super().conv(x, w, b, window)

    done = ask(Imports(), AT_ONCE, CONV)
    assert done.outcome == "failed" and "at state.py:" in done.reason


def test_what_is_declared_is_shown_and_not_asked():
    backend = NotReentrant()
    done = ask(backend, AT_ONCE, CONV)
    assert (done.outcome, done.deviation.observed) == ("passed", "asked one at a time, as declared")
    good = ask(Right(), AT_ONCE, CONV)
    backends, rows = semantics_rows(
        *_tables(
            make_run(
                result("mine", AT_ONCE.name, CONV, done.outcome, done.deviation),
                result("right", AT_ONCE.name, CONV, good.outcome, good.deviation),
            ),
            "semantics",
        )
    )
    assert backends == ["mine", "right"]
    assert rows[0].differs
    assert rows[0].cells["mine"] == (("asked one at a time, as declared",), False)
    assert rows[0].cells["right"] == (("as alone",), False)


def test_the_same_backend_fails_where_it_declares_nothing():
    backend = NotReentrant()
    backend.numerics = harness.Numerics()
    assert ask(backend, AT_ONCE, CONV).outcome == "failed"


def test_the_interpreter_is_as_before():
    before, traced, threads = sys.getswitchinterval(), sys.gettrace(), threading.active_count()
    for backend in (Right(), state.SharedScratch(), state.RefusesSecond()):
        for line in (CONV, CONV.replace("conv ", "conv_bias_grad ").replace(" bias", "")):
            ask(backend, AT_ONCE, line)
    assert (sys.getswitchinterval(), sys.gettrace(), threading.active_count()) == (before, traced, threads)


def test_calls_that_wait_for_each_other_are_an_answer(monkeypatch):
    class Waits(Right):
        """The second of two calls waits for ever."""

        inside = 0

        def conv(self, x, w, b, window):
            self.inside += 1
            while self.inside > 1 and threading.current_thread() is not threading.main_thread():
                if released.wait(0.01):
                    break
            y = super().conv(x, w, b, window)
            self.inside -= 1
            return y

    released = threading.Event()
    monkeypatch.setattr(overlapping, "PATIENCE_OF_ALL_S", 0.2)
    done = ask(Waits(), AT_ONCE, CONV)
    released.set()
    assert done.outcome == "failed" and "did not end within" in done.reason


@pytest.mark.parametrize("problem", CHOSEN, ids=lambda problem: problem.operator.value)
def test_neighbours_differ_in_what_their_name_says(problem):
    windows = dict(neighbours.near_windows(problem))
    assert {"another stride", "another dilation", "padding on the other side"} <= windows.keys()
    for name in ("another stride", "another dilation", "padding on the other side"):
        assert (windows[name].x, windows[name].w, windows[name].y) == (problem.x, problem.w, problem.y), name
    assert windows["another stride"].window.stride != problem.window.stride
    assert windows["another dilation"].window.dilation != problem.window.dilation
    assert [near.x[0] for _, near in neighbours.near_batches(problem)] == [1, 33, 2, 0, 5]
    forms = [near for _, near in neighbours.near_forms(problem)]
    assert {near.dtype for near in forms} == {"float64", "float32", "float16", "bfloat16"}
    assert forms[0].layout != problem.layout
    sizes = dict(neighbours.near_sizes(problem))
    assert sizes["a larger space"].kernel == problem.kernel and sizes["another kernel"].x == problem.x
    assert {near.axes for near in sizes.values()} == {1, 2, 3}
    if problem.w is not None:
        other = sizes["other groups"]
        assert other.w == problem.w and other.window.groups != problem.window.groups


def test_every_problem_of_a_walk_has_data_of_its_own():
    problem = parse_line(CONV)
    near = [
        *neighbours.near_batches(problem), *neighbours.near_forms(problem), *neighbours.near_windows(problem),
        *neighbours.near_sizes(problem), *neighbours.near_operators(problem),
    ]  # fmt: skip
    assert len({made.line for _, made in near}) == len(near) > 30
    assert all(made.seed != problem.seed for _, made in near)


def _tables(run, name):
    analysis = analyse(run)
    return analysis.results, getattr(analysis, name)

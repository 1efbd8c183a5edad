"""The law of threads: their number must not show in the answer, and it must have been turned."""

from __future__ import annotations

from dataclasses import replace

from harness import Backend, BackendUnderTest, Deviation, Operator, Problem, law, parse_line, statement, worst_of
from harness.backend import find_route
from harness.laws import Turning, check_outputs, has_thread_switch, nothing_to_show
from harness.plan import estimate_work
from harness.problems import make_arrays, reference

COUNTS = (1, 2, 3, 5, 8)
# Large enough to be shared out by libraries that leave small work to one thread; every count leaves a rest of the
# images, of the channels, of the rows, and of the maps of a batch.
CONVOLUTION, TRANSPOSED = "x=17x13x13x13 w=17x13x3x3 pad=1", "x=17x13x13x13 w=13x17x3x3 pad=1"
POOLING = "x=17x13x13x13 kernel=3x3 stride=2 pad=1"
DEAR_S = 1.0  # one call of it: then the problem that was asked about must do

_seen: dict[tuple[type[Backend], Operator], tuple[Problem, Turning, Deviation]] = {}  # once in a process for each


@law(tolerance="exact", when=lambda problem: problem.data == "integer" and not problem.flip)
def threads_agree(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """f(x) is the same with 1, 2, 3, 5 and 8 threads

    On whole numbers every order of summation is exact, so a difference is a race or a lost rest, not rounding. Asked of
    the problem, and once for each operator of one that is large enough to be shared out. There it is also seen whether
    the threads turn: other threads must spend processor time with several, and none with one. Where they do not, the
    law proves nothing and says so; a backend that has `set_threads` and does not obey it fails.
    """
    backend = subject.backend
    small = _compare(subject, problem)
    if not small.passed:
        return small
    if backend.device != "cpu":
        return nothing_to_show(f"threads of the processor do not do the work of {backend.name}")
    wide, turning, found = _look(subject, problem)
    if not found.passed:
        return found
    if turning.state == "turned":
        return worst_of(small, found)
    if turning.state == "alone":
        return nothing_to_show(f"{turning.what} in {wide.line}: none can be turned")
    if has_thread_switch(backend):
        return statement(False, f"set_threads(1) is ignored: {turning.what} in {wide.line}")
    return nothing_to_show(
        f"no limit reaches the threads of {backend.name}: with a limit of one {turning.what} of {wide.line}; "
        "a backend with threads of its own needs `set_threads`"
    )


def _look(subject: BackendUnderTest, problem: Problem) -> tuple[Problem, Turning, Deviation]:
    """A problem of the same operator that can be shared out, how its threads turned, and its answers."""
    key = type(subject.backend), problem.operator
    if key not in _seen:
        wide = _widen(subject.backend, problem)
        call = subject.plain(wide, subject.devices(wide, make_arrays(wide)))
        _seen[key] = wide, subject.watch_threads(call.run, COUNTS[1:]), _compare(subject, wide)
    return _seen[key]


def _widen(backend: Backend, problem: Problem) -> Problem:
    """The large problem of an operator; the given one where the backend has no native way to it, or a slow one."""
    transposed = problem.operator is Operator.conv_transpose
    text = POOLING if problem.operator.pools else TRANSPOSED if transposed else CONVOLUTION
    wide = parse_line(f"{problem.operator} {text} dtype=float32 data=integer")
    if find_route(backend, wide).kind == "unsupported" or estimate_work(backend, wide) > DEAR_S * backend.rate:
        return problem
    return wide


def _compare(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """Compare the answers with every number of threads with the reference."""
    arrays = make_arrays(problem)
    wanted = reference.compute(problem, arrays)
    call = subject.plain(problem, subject.devices(problem, arrays))
    numerics, parts = subject.numerics(problem), []
    for threads in COUNTS:
        with subject.limit_threads(threads):
            got = call.answer()
        found = check_outputs(problem, numerics, arrays, got, wanted)
        parts.append(found if found.passed else replace(found, what=f"{found.what} with {threads} threads"))
    return worst_of(*parts)

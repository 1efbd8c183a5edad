"""Laws of history: after any calls, preparations, errors and drops, a call returns the same answer as alone."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterable, Mapping

from harness import BackendUnderTest, Deviation, Operator, Problem, law, worst_of
from harness.backend import UnsupportedError, native_operators
from harness.laws import PreparedCall
from harness.problems import Array, DeviceArray, Outputs, bind_operator, make_arrays
from suites.laws import neighbours
from suites.laws.alone import Answers, Case, is_chosen, make_case, make_case_of
from suites.laws.refusals import illegal_windows


@law(tolerance="exact", when=is_chosen)
def batches_leave_no_trace(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """f(x) is the same before and after batches of 1, 33, 2, 0 and 5 images, and so are their own answers

    Buffers and block counts of a larger batch, and what an empty one leaves behind, must not reach the next call.
    """
    answers = Answers(subject)
    return _walk(answers, problem, answers.cases(neighbours.near_batches(problem)))


@law(tolerance="exact", when=is_chosen)
def plans_are_told_apart(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """f(x) is the same before and after any problem that differs from its own in one thing, and so are their answers

    The dtype, the layout, the bias, stride, dilation or padding with the same shapes, ceil mode, divisor, kernel,
    space, axes, channels, groups, or the operator: a plan that is found again must be that of the very problem.
    """
    answers = Answers(subject)
    near = (
        *neighbours.near_forms(problem), *neighbours.near_windows(problem), *neighbours.near_sizes(problem),
        *neighbours.near_operators(problem),
    )  # fmt: skip
    return _walk(answers, problem, answers.cases(near))


@law(tolerance="exact", when=is_chosen)
def contents_are_told_apart(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """f(z) is right after f(x), where z is x with one element changed, or the elements of x in another order

    For every array: what a backend made of one kernel must not serve another that has the same sum, the same first
    elements, or the same place in memory.
    """
    answers = Answers(subject)
    return _walk(answers, problem, list(_near_contents(problem)))


def _near_contents(problem: Problem) -> Iterable[Case]:
    """Cases whose arrays are nearly those of the problem."""
    arrays = make_arrays(problem)
    fixed = ("x", "indices") if problem.operator is Operator.max_pool_grad else ()  # these belong together
    for name, a in arrays.items():
        if name in fixed or not a.size:
            continue
        last, middle, turned = a.copy(order="K"), a.copy(order="K"), a.copy(order="K")
        last[(-1,) * a.ndim] = 1 if last[(-1,) * a.ndim] != 1 else -1
        at = tuple(n // 2 for n in a.shape)
        middle[at] = 1 if middle[at] != 1 else -1
        turned[...] = a[(slice(None, None, -1),) * a.ndim]
        for changed, how in ((last, "the last element changed"), (middle, "one changed"), (turned, "all reversed")):
            yield make_case_of(f"{name} with {how}", problem, {**arrays, name: changed})


def _walk(answers: Answers, problem: Problem, others: Iterable[Case]) -> Deviation:
    """Judge every case on its way, plain and prepared, and the problem itself after each of them.

    The arrays of each case are gone before the next one is made, so that they often lie in the same place.
    """
    base = make_case("the problem", problem)
    plain, prepared = answers.plain(base), answers.prepared(base)
    parts = [answers.ask(base, plain, "at first"), answers.ask(base, prepared, "at first, prepared")]
    for case in others:
        parts.append(answers.ask(case, answers.plain(case), "after the problem"))
        if answers.plans(case.problem):
            parts.append(answers.ask(case, answers.prepared(case), "after the problem, prepared"))
        parts.append(answers.ask(base, plain, f"after {case.what}"))
    return worst_of(*parts, answers.ask(base, prepared, "at the end, prepared at the begin"))


def _has_refusals(problem: Problem) -> bool:
    return is_chosen(problem) and problem.operator is not Operator.conv_bias_grad


@law(tolerance="exact", when=_has_refusals)
def refused_calls_leave_no_trace(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """f(x) is the same after calls with impossible windows as before

    What was set up, locked or counted before the refusal must be undone by it.
    """
    if problem.operator not in native_operators(subject.backend):
        raise UnsupportedError(f"{problem.operator} is derived: the harness refuses before the backend is asked")
    answers, base = Answers(subject), make_case("the problem", problem)
    plain, prepared = answers.plain(base), answers.prepared(base)
    parts = [answers.ask(base, plain, "at first")]
    for what, illegal in illegal_windows(problem):
        with contextlib.suppress(Exception):  # whether it is refused is the matter of another law
            bind_operator(subject.backend, illegal, answers.own(base))()
        parts.append(answers.ask(base, plain, f"after {what}"))
    return worst_of(*parts, answers.ask(base, prepared, "at the end, prepared at the begin"))


# --- several prepared calls ----------------------------------------------------------------------------------------


class _Plans:
    """Prepared calls that are alive at once, with their arrays, their cases and the last result of each."""

    def __init__(self, answers: Answers) -> None:
        self.answers, self.subject = answers, answers.subject
        self.cases: dict[str, Case] = {}
        self.devices: dict[str, dict[str, DeviceArray]] = {}
        self.calls: dict[str, PreparedCall] = {}
        self.results: dict[str, Outputs] = {}
        self.parts: list[Deviation] = []

    def add(self, name: str, case: Case) -> None:
        """Prepare a call under a name."""
        self.cases[name], self.devices[name] = case, self.answers.own(case)
        self.calls[name] = self.subject.prepare_devices(case.problem, self.devices[name])

    def drop(self, name: str) -> None:
        """Drop a call, its arrays and its result, and collect cycles of references."""
        for held in (self.cases, self.devices, self.calls, self.results):
            held.pop(name, None)
        gc.collect(1)

    def run(self, name: str, how: str) -> None:
        """Run one call and look at its result."""
        self.results[name] = self.calls[name].run()
        self.look(name, how)

    def look_at_all(self, how: str) -> None:
        """Look at the last result of every call again."""
        for name in self.results:
            self.look(name, f"looked at again {how}")

    def look(self, name: str, how: str) -> None:
        """Compare the last result of a call with its answer."""
        got = self.answers.fetch(self.cases[name], self.calls[name], self.results[name])
        self.parts.append(self.answers.judge(self.cases[name], got, how))

    def fill(self, name: str, arrays: Mapping[str, Array]) -> None:
        """Give the arrays that a call must read anew other contents, in place."""
        case = self.cases[name]
        changed = {k: a for k, a in arrays.items() if k not in ("w", "b")}
        self.cases[name] = make_case_of(case.what, case.problem, {**case.arrays, **changed})
        self.results.pop(name, None)
        for k, fresh in self.subject.devices(case.problem, changed).items():
            self.devices[name][k][...] = fresh


@law(tolerance="exact", when=is_chosen)
def prepared_calls_stay_apart(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """prepared calls of f, g, ... give f(x), g(z), ... in any order, also after one of them is gone

    Alive at once: other data of the same shapes, other windows, dtypes, layouts, batches and operators. A prepared
    call may write into an output of its own, so its result counts until it is called again; no other call may change
    it. One is then dropped, another takes its place, and arrays are filled again in place.
    """
    answers = Answers(subject)
    plans = _Plans(answers)
    near = (
        ("other data", problem.with_(seed=problem.seed + 7)),
        *neighbours.near_windows(problem)[:3],
        *neighbours.near_forms(problem)[:2],
        *neighbours.near_batches(problem)[1:3],
        *neighbours.near_operators(problem)[:2],
    )
    plans.add("the problem", make_case("the problem", problem))
    others = answers.cases(near)
    for case in others:
        plans.add(case.what, case)
    for case in others:  # A B A, A C A, ...
        plans.run("the problem", f"before that of {case.what}")
        plans.run(case.what, "after that of the problem")
        plans.look("the problem", f"looked at again after that of {case.what}")
        plans.run("the problem", f"after that of {case.what}")
    plans.look_at_all("after all others")
    gone = others[0].what
    plans.drop(gone)
    rest = ["the problem", *(case.what for case in others[1:])]
    for name in rest:
        plans.run(name, f"after that of {gone} was dropped")
    plans.add("a later one", make_case("a later one", problem.with_(seed=problem.seed + 8)))
    plans.run("a later one", "first run")
    plans.fill("the problem", make_arrays(problem.with_(seed=problem.seed + 9)))
    for name in (*rest, "a later one", *reversed(rest)):
        plans.run(name, "after a later one was prepared")
    plans.look_at_all("at the end")
    return worst_of(*plans.parts)

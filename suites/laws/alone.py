"""Answers of problems that are called alone, for comparison with calls that follow each other or overlap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from harness import BackendUnderTest, Deviation, Problem, statement
from harness.backend import find_route
from harness.laws import PreparedCall, check_outputs
from harness.problems import (
    Array,
    DeviceArray,
    DeviceArrays,
    dtype_of,
    make_arrays,
    name_outputs,
    reference,
)

FEW_ELEMENTS = 1000  # of x: these laws make some hundred calls each, so they take small problems
Outputs = Mapping[str, Array]


def is_chosen(problem: Problem) -> bool:
    """Return True for problems of laws with many calls: small, on integers, and without symmetry.

    Several images, an odd number of channels, a stride, and different padding at both ends: a change of one property
    then
    makes a different problem, not the same one by a symmetry.
    """
    window = problem.window
    return (
        problem.data == "integer"
        and not problem.flip
        and problem.dtype == "float32"
        and problem.layout == "channels-first"
        and problem.axes == 2
        and problem.x[0] > 1
        and problem.x[1] % 2 == 1
        and problem.x[1] > 1
        and int(np.prod(problem.x)) <= FEW_ELEMENTS
        and max(window.stride) > 1
        and any(begin != end for begin, end in window.padding)
    )


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A problem with arrays on the host and the float64 answer; `what` tells it from others in a message."""

    what: str
    problem: Problem
    arrays: Outputs
    wanted: Outputs


@lru_cache(maxsize=128)
def make_case(what: str, problem: Problem) -> Case:
    """A case on the problem's own data."""
    return make_case_of(what, problem, make_arrays(problem))


def make_case_of(what: str, problem: Problem, arrays: Outputs) -> Case:
    """Return a case on given arrays.

    what: its name, for messages. problem: the problem. arrays: inputs by name, n c *s.
    """
    return Case(what, problem, arrays, reference.compute(problem, arrays))


@dataclass(frozen=True, slots=True)
class Answers:
    """Judge of one backend's answers; an answer that was right once is compared by its bits from then on.

    case: problem with its arrays. call: computes the outputs. how: circumstances of the call, for the message.
    """

    subject: BackendUnderTest
    known: dict[Case, dict[str, Array]] = field(default_factory=dict)
    alone: dict[Case, dict[str, Array]] = field(default_factory=dict)

    def plans(self, problem: Problem) -> bool:
        """Return True if a prepared call differs from the plain method bound to its arrays."""
        return self.subject.plans and find_route(self.subject.backend, problem).kind == "native"

    def takes(self, problem: Problem) -> bool:
        """Return True if the backend computes the problem, according to its declaration."""
        if 0 in problem.x[:1] and not self.subject.numerics(problem).empty_batch:
            return False
        return find_route(self.subject.backend, problem).kind != "unsupported"

    def cases(self, problems: Iterable[tuple[str, Problem]]) -> list[Case]:
        """Cases of the problems that the backend takes."""
        return [make_case(what, problem) for what, problem in problems if self.takes(problem)]

    def own(self, case: Case) -> dict[str, DeviceArray]:
        """Device arrays of a case, which share no memory with the case."""
        return self.subject.devices(case.problem, {name: a.copy(order="K") for name, a in case.arrays.items()})

    def plain(self, case: Case, devices: DeviceArrays | None = None) -> PreparedCall:
        """A call of plain methods on these device arrays, or on new ones."""
        given = self.own(case) if devices is None else devices
        native = find_route(self.subject.backend, case.problem).kind == "native"
        return (self.subject.native if native else self.subject.plain)(case.problem, given)

    def prepared(self, case: Case) -> PreparedCall:
        """A prepared call on new device arrays."""
        return self.subject.prepare_devices(case.problem, self.own(case))

    def fetch(self, case: Case, call: PreparedCall, result: Outputs) -> dict[str, Array]:
        """Return outputs on the host; if their form is the answer's, the problem is not asked for it again.

        case: problem with its arrays. call: computes outputs. result: of the call.
        """
        dtype = dtype_of(case.problem.dtype)
        host = {k: np.array(self.subject.backend.to_host(a)) for k, a in name_outputs(case.problem, result).items()}
        if all(a.shape == case.wanted[k].shape and (k == "indices" or a.dtype == dtype) for k, a in host.items()):
            return host
        return call.fetch(result)

    def ask(self, case: Case, call: PreparedCall, how: str) -> Deviation:
        """Make a call and judge its outputs."""
        return self.judge(case, call.answer(), how)

    def judge(self, case: Case, got: Outputs, how: str) -> Deviation:
        """Compare outputs with the answer.

        got: outputs by name.
        """
        known = self.known.get(case)
        if _equal(got, case.wanted) or (known is not None and _equal(got, known)):
            return _right(case, got)
        found = check_outputs(case.problem, self.subject.numerics(case.problem), case.arrays, got, case.wanted)
        if not found.passed:
            return replace(found, what=f"{found.what} of {case.what} {how}".rstrip())
        self.known.setdefault(case, dict(got))
        return found

    def judge_alone(self, case: Case, got: Outputs) -> Deviation:
        """Judge an answer of a call that nothing disturbs, and keep its bits for `judge_bits`."""
        self.alone[case] = dict(got)
        return self.judge(case, got, "alone")

    def judge_bits(self, case: Case, got: Outputs, how: str) -> Deviation:
        """Judge an answer; for a deterministic backend, by the bits of the call alone if there was one.

        got: outputs by name.
        """
        alone = self.alone.get(case)
        if alone is not None and _equal(got, alone):
            return _right(case, got)
        found = self.judge(case, got, how)
        if not found.passed or alone is None or not self.subject.numerics(case.problem).deterministic:
            return found
        return statement(False, f"{', '.join(got)} of {case.what} {how}: other bits than alone")


def _equal(got: Outputs, wanted: Outputs) -> bool:
    return all(np.array_equal(a, wanted[name]) for name, a in got.items())


def _right(case: Case, got: Outputs) -> Deviation:
    compared = sum(a.size for a in got.values())
    return Deviation(kind="exact", worst=0.0, compared=compared, what=f"{', '.join(got)} of {case.what}")

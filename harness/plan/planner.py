"""Planning: a pure function from what is wanted to cells; nothing is run and nothing is dropped."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.checking.law import Law
from harness.errors import UsageError
from harness.network.problem import NetworkProblem
from harness.plan.arm import Arm
from harness.plan.cell import MAJORITY, Cell, Limits, Plan
from harness.plan.gate import Gate
from harness.plan.suite import NamedProblem, Suite
from harness.plan.task import Task, estimate_work, estimate_workspace
from harness.plugins.backend import Backend
from harness.plugins.manager import Registry
from harness.plugins.route import Route, resolve

COPIES_CHECKED, COPIES_TIMED = 6, 12  # of all arrays that a worker holds at once, those in float64 counted twice
# Timed, nothing of a network but one layer at a time is in float64. Resident memory of a worker in a step, in units of
# the network's bytes: 2.9 for ResNet-152, 3.0 for ResNet-50, 4.2 for ResNet-34, 5.4 for AlexNet.
COPIES_OF_NETWORK = 5
CALLS_PER_LAW = 4  # a law runs an operator a few times and the reference beside it
CALLS_PER_PASS = 6  # first call, warm-up, three samples, and the verification


def plan_run(
    registry: Registry,
    suites: Sequence[str],
    backends: Sequence[str] = (),
    problems: Sequence[NamedProblem] = (),
    laws: Sequence[str] = (),
    limits: Limits | None = None,
    arms: Sequence[Arm] = (),
    gate: Gate | None = None,
    mode: Literal["hot", "cold"] | None = None,
    networks: Sequence[str] = (),
) -> Plan:
    """Plan suites x arms x problems x laws. Raises UsageError for unknown names and for an empty plan.

    backends: names, all of them where neither they nor arms are given. problems, laws: replace the suite's own.
    networks: only problems of these, which are those named NETWORK/ANYTHING.
    """
    limits = limits or Limits()
    names = tuple(dict.fromkeys(backends or registry.backends))
    chosen = tuple(arms) or tuple(Arm(name=name, backend=name) for name in names)
    for arm in chosen:
        registry.backend(arm.backend)
    wanted = [registry.law(name) for name in laws]
    parts, known = _expand(registry, suites), tuple(registry.networks.values())
    for network in networks:
        registry.network(network)
    if wanted and not any(suite.kind == "correctness" for suite in parts):
        raise UsageError(f"laws belong to suites of correctness: got {', '.join(suites)}, wanted such as correctness")
    cells: list[Cell] = []
    numbers = itertools.count()
    for suite in parts:
        applied = wanted or [registry.law(name) for name in suite.laws]
        asked = _of_networks(suite.take_all(problems) if problems else suite.all_problems(known), networks)
        _check_partners(registry, problems or asked)
        items = _once(asked, applied)
        bases = {arm.family: arm.name for arm in reversed(chosen)}
        for arm in chosen:
            answers = _Answers(suite, registry.backend(arm.backend), arm.name, limits)
            if bases[arm.family] != arm.name:
                answers.slowdown = suite.timing.slowdown
            answers.elsewhere = arm.environment.elsewhere
            cells.extend(_plan_cells(answers, items, numbers))
    if not cells:
        raise UsageError(_nothing(parts, wanted, problems))
    return Plan(
        cells=tuple(cells), suites=tuple(s.name for s in parts), backends=tuple(arm.name for arm in chosen),
        limits=limits, arms=tuple(arms), gate=gate, mode=mode,
    )  # fmt: skip


def _of_networks(problems: Sequence[NamedProblem], networks: Sequence[str]) -> Sequence[NamedProblem]:
    return [one for one in problems if one.name.partition("/")[0] in networks] if networks else problems


def _check_partners(registry: Registry, problems: Sequence[NamedProblem]) -> None:
    """Raise UsageError where a mixed network names a backend that nobody knows."""
    for named in problems:
        if isinstance(named.problem, NetworkProblem) and named.problem.mixed:
            registry.backend(named.problem.mixed)


def _expand(registry: Registry, names: Sequence[str]) -> list[Suite]:
    """Suites by name, a whole replaced by its parts, each once."""
    found: dict[str, Suite] = {}
    for name in names:
        suite = registry.suite(name)
        for part in [registry.suite(p) for p in suite.parts] or [suite]:
            found[part.name] = part
    return list(found.values())


@dataclass(frozen=True, slots=True)
class _Item:
    """A problem with what does not depend on the backend: its line, a number for its geometry, the laws that apply."""

    named: NamedProblem
    line: str
    geometry: int
    laws: tuple[Law, ...]


def _once(items: Sequence[NamedProblem], laws: Sequence[Law]) -> list[_Item]:
    """Each problem once, under its first name: a problem line is the key of its results."""
    first: dict[str, _Item] = {}
    known: dict[tuple[Any, ...], int] = {}
    for named in items:
        problem = named.problem
        line = problem.line
        if line not in first:
            applied = tuple(law for law in laws if law.applies(problem))
            first[line] = _Item(named, line, known.setdefault(geometry(problem), len(known)), applied)
    return list(first.values())


def geometry(problem: Task) -> tuple[Any, ...]:
    """Everything of a problem that routes and costs depend on: all but the data and its seed."""
    if isinstance(problem, NetworkProblem):
        return (problem.with_(seed=0),)
    return (
        problem.operator, problem.x, problem.w, problem.window, problem.output_padding, problem.bias, problem.dtype,
        problem.math, problem.layout,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a cell is estimated to cost, and the reason to skip it."""

    seconds: float = 0.0
    need_bytes: int = 0
    reason: str = ""


class _Answers:
    """What one backend answers to the problems of one suite; each geometry is asked once."""

    def __init__(self, suite: Suite, backend: Backend, arm: str, limits: Limits) -> None:
        self.suite, self.backend, self.arm, self.limits = suite, backend, arm, limits
        self.slowdown, self.elsewhere = 0.0, False
        self.budget_s = limits.time_s or suite.budget_s
        self.time_limit_s = limits.time_s or suite.time_limit_s
        self.calls = CALLS_PER_PASS * suite.timing.passes if suite.kind == "speed" else CALLS_PER_LAW
        self.memory_bytes = limits.free_bytes if suite.fills_memory and limits.free_bytes else limits.memory_bytes
        self.costs: dict[tuple[int, float | None], _Cost] = {}
        self.routes: dict[tuple[int, str], Route] = {}

    def route(self, item: _Item, law: Law | None) -> Route:
        """Route of the problem, or the weakest of those that a law needs."""
        key = (item.geometry, law.name if law else "")
        if key not in self.routes:
            problem = item.named.problem
            if isinstance(problem, NetworkProblem) and self.suite.kind == "consensus":
                return Route(kind="unsupported", reason="votes are held on operators, not on networks")
            try:
                route = law.route(self.backend, problem) if law else resolve(self.backend, problem)
            except Exception as error:  # a backend's own answer; what it raises is its reason, not the end of the plan
                route = Route(kind="unsupported", reason=f"planning raised {type(error).__name__}: {error}")
            self.routes[key] = route
        return self.routes[key]

    def cost(self, item: _Item, law: Law | None) -> _Cost:
        """Estimated seconds and bytes, and the reason to skip (empty where there is none)."""
        copies = law.copies if law else None
        key = (item.geometry, copies)
        if key not in self.costs:
            self.costs[key] = self._estimate(item.named.problem, copies)
        return self.costs[key]

    def _estimate(self, problem: Task, copies: float | None) -> _Cost:
        try:
            work, workspace = estimate_work(self.backend, problem), estimate_workspace(self.backend, problem)
            seconds = self.calls * work / self.backend.rate
            need = int((copies or self._copies(problem)) * problem.bytes + workspace)
            if copies and self.backend.device != "cpu":  # which holds the arrays itself, and what it needs for them
                need -= problem.bytes + workspace
        except Exception as error:  # as above
            return _Cost(reason=f"its estimate raised {type(error).__name__}: {error}")
        reason = ""
        if seconds > self.budget_s:
            reason = f"estimated {seconds:.3g} s, above the limit of {self.budget_s:g} s a cell (--time-limit)"
        elif need > self.memory_bytes:
            free = "free here, " if self.suite.fills_memory and self.limits.free_bytes else ""
            limit = f"{self.memory_bytes / 2**30:.3g} GiB ({free}--memory-limit)"
            reason = f"estimated {need / 2**30:.3g} GiB, above the limit of {limit}"
        return _Cost(seconds, need, reason)

    def _copies(self, problem: Task) -> float:
        """How many times all of a problem's arrays a worker holds at once."""
        if self.suite.kind == "speed" and isinstance(problem, NetworkProblem):
            return COPIES_OF_NETWORK
        copies = COPIES_TIMED if self.suite.kind == "speed" else COPIES_CHECKED
        return copies / 2 if problem.dtype == "float64" else copies  # what is wider than it costs no more


def _plan_cells(answers: _Answers, items: Sequence[_Item], numbers: Iterator[int]) -> Iterator[Cell]:
    for item in items:
        for law in item.laws if answers.suite.kind == "correctness" else (None,):
            yield _cell(answers, item, law, next(numbers))


def _cell(answers: _Answers, item: _Item, law: Law | None, number: int) -> Cell:
    route, named, kind = answers.route(item, law), item.named, answers.suite.kind
    assert kind != "whole", "a whole is expanded before it is planned"
    # Another version of the backend may have what this one lacks: its worker is asked.
    unsupported = route.kind == "unsupported" and not answers.elsewhere
    cost = _Cost() if unsupported else answers.cost(item, law)
    fills = answers.suite.fills_memory
    return Cell(
        number=number,
        suite=answers.suite.name,
        kind=kind,
        backend=answers.arm,
        label=named.name,
        problem=named.problem,
        line=item.line,
        law=law.name if law else MAJORITY if kind == "consensus" else "",
        multiplicity=named.multiplicity,
        route=route,
        decided="unsupported" if unsupported else "skipped" if cost.reason else None,
        reason=cost.reason or route.reason,
        estimate_s=cost.seconds,
        time_limit_s=answers.time_limit_s,
        slowdown=answers.slowdown,
        isolate=named.isolate or fills,
        memory_bytes=answers.memory_bytes if fills else 0,
        need_bytes=cost.need_bytes if fills else 0,
    )


def _nothing(parts: list[Suite], laws: list[Law], problems: Sequence[NamedProblem]) -> str:
    names = ", ".join(suite.name for suite in parts)
    if laws and problems:
        return (
            f"nothing to do: law {', '.join(law.name for law in laws)} does not apply to the given problem; "
            f"exact laws need data=integer; see `python -m harness list laws`"
        )
    return f"nothing to do: suite {names} has no problem for the given choice; see `python -m harness list problems`"

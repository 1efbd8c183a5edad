"""Planner: a pure function from a selection to cells; it runs nothing and drops nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, get_args

from harness.backend.base import Backend, native_operators
from harness.backend.routing import Route, RoutedBackend, find_route
from harness.errors import UsageError, say_error
from harness.laws.law import Law
from harness.machine.threads import ONE, THREAD_VARIABLES, deal_threads
from harness.networks.problem import NetworkProblem
from harness.plan.arm import Arm, check_settings
from harness.plan.bug import AskedBug
from harness.plan.catalog import Catalog
from harness.plan.cell import DECLINED, MAJORITY, Cell, Limits, Plan
from harness.plan.gate import Gate
from harness.plan.suite import Depth, Mode, NamedProblem, Suite
from harness.plan.task import Task, check_estimate, check_numerics, estimate_work, estimate_workspace, operators_of
from harness.problems.problem import Problem
from harness.problems.validation import check_one_of

COPIES_CHECKED, COPIES_TIMED = 6, 12  # of all arrays, held by a worker at once; those in float64 count twice
# While timing, only one layer of a network at a time is in float64. Resident memory of a worker in a step, in units of
# the network's bytes: 2.9 for ResNet-152, 3.0 for ResNet-50, 4.2 for ResNet-34, 5.4 for AlexNet.
COPIES_OF_NETWORK = 5
CALLS_PER_LAW = 4  # a law runs an operator a few times, and the reference
CALL_S = 2e-4  # overhead of a backend's method that the harness calls once for each group
LEAST_S = 0.002  # duration of a cell with a tiny problem
CALLS_PER_PASS = 6  # first call, warm-up, three samples, and the verification


def plan_run(
    catalog: Catalog,
    suites: Sequence[str],
    backends: Sequence[str] = (),
    problems: Sequence[NamedProblem] = (),
    laws: Sequence[str] = (),
    limits: Limits | None = None,
    arms: Sequence[Arm] = (),
    gate: Gate | None = None,
    mode: Mode | None = None,
    networks: Sequence[str] = (),
    depth: Depth = "default",
    threads: int | None = None,
    flags: frozenset[str] | None = None,
) -> Plan:
    """Plan suites x arms x problems x laws. Raises UsageError for unknown names and for an empty plan.

    suites: names.
    backends: names; if neither they nor arms are given, all that are tested by default.
    problems, laws: replace those of the suites.
    limits: of a cell; None for the defaults.
    arms: replace `backends`.
    gate: decides when there are enough passes; None for the suites' fixed number.
    mode: of the caches while timing; None for the suites' own.
    networks: only problems of these networks, which are named NETWORK/ANYTHING.
    depth: `quick` leaves out optional problems; `full` adds each suite's deeper problems and leaves out none.
    threads: of every worker; None plans half of the laws with one and half with all, and leaves times to the libraries.
    flags: of the processor; None if unknown.
    catalog: backends, suites, laws and networks by name.
    """
    check_one_of("depth", depth, get_args(Depth))
    if mode is not None:
        check_one_of("mode of the caches", mode, get_args(Mode))
    limits = limits or Limits()
    names = tuple(dict.fromkeys(backends or catalog.listed))
    chosen = tuple(arms) or tuple(Arm(name=name, backend=name) for name in names)
    for arm in chosen:
        catalog.backend(arm.backend)
    wanted = [catalog.law(name) for name in laws]
    parts, known = _expand(catalog, suites), tuple(catalog.networks.values())
    if threads is not None or any(suite.kind != "speed" for suite in parts):
        check_settings(chosen, THREAD_VARIABLES)
    check_settings(chosen, ())
    for network in networks:
        catalog.network(network)
    if wanted and not any(suite.kind == "correctness" for suite in parts):
        raise UsageError(f"laws belong to suites of correctness: got {', '.join(suites)}, wanted such as correctness")
    cells: list[Cell] = []
    asked_bugs: list[AskedBug] = []
    numbers = itertools.count()
    for suite in parts:
        if _of_bugs(suite, problems, networks):
            _check_bugs(suite, arms)
            asked_bugs += _plan_bugs(catalog, suite, backends, wanted, limits, cells, numbers, flags, threads)
            continue
        applied = wanted or [catalog.law(name) for name in suite.laws]
        asked = _of_networks(suite.take_all(problems) if problems else suite.all_problems(known, depth), networks)
        _check_partners(catalog, problems or asked)
        items = _once(asked, applied, depth)
        bases = {arm.family: arm.name for arm in reversed(chosen)}
        for arm in chosen:
            if arm.switch and suite.kind != "correctness":  # such an arm is for laws only
                continue
            answers = _Answers(suite, catalog.backend(arm.backend), arm.name, limits, threads)
            if suite.timing.slowdown is not None:
                answers.slowdown = suite.timing.slowdown if bases[arm.family] != arm.name else 0.0
            answers.elsewhere = arm.environment.elsewhere
            answers.foresee(items)
            left_out = _leave_out(answers, items, "full" if problems else depth)
            cells.extend(_plan_cells(answers, items, numbers, left_out))
    if not cells:
        raise UsageError(_nothing(parts, wanted, problems))
    planned = (arm.name for arm in chosen) if not all(_of_bugs(suite, problems, networks) for suite in parts) else ()
    return Plan(
        cells=tuple(cells), suites=tuple(s.name for s in parts),
        arm_names=tuple(dict.fromkeys((*planned, *(one.arm for one in asked_bugs if one.cells)))),
        limits=limits, arms=tuple(arms), gate=gate, bugs=tuple(asked_bugs), mode=mode,
    )  # fmt: skip


def _of_bugs(suite: Suite, problems: Sequence[NamedProblem], networks: Sequence[str]) -> bool:
    """Return True if a suite tests its known bugs; given problems are instead tested on any backend."""
    return suite.bugs is not None and not (problems or networks)


def _check_bugs(suite: Suite, arms: Sequence[Arm]) -> None:
    if arms:
        raise UsageError(
            f"suite {suite.name} asks the backends that its table names: got arms, wanted `python -m harness run "
            f"{suite.name}`, or --problem"
        )


def _plan_bugs(
    catalog: Catalog, suite: Suite, backends: Sequence[str], laws: Sequence[Law], limits: Limits,
    cells: list[Cell], numbers: Iterator[int], flags: frozenset[str] | None, threads: int | None,
) -> Iterator[AskedBug]:  # fmt: skip
    """Add the cells of every known bug on each selected backend that it names; yield each bug with its backend.

    Cells of a bug that needs a missing processor flag are not run: its lines may show another bug here.
    """
    assert suite.bugs is not None
    for bug in suite.bugs():
        items = [NamedProblem(name=bug.id, problem=problem, isolate=bug.alone) for problem in bug.problems]
        applied = [law for name in bug.laws for law in (catalog.law(name),) if not laws or law in laws]
        for name in bug.backends:
            if (backends and name not in backends) or not applied:
                continue
            if name not in catalog.backends:
                yield AskedBug(bug=bug, backend=name, hindrance=f"no backend '{name}' is registered")
                continue
            answers = _Answers(suite, catalog.backend(name), bug.arm(name), limits, threads or bug.threads or None)
            lacks = bool(bug.flag) and flags is not None and bug.flag not in flags
            hindrance = f"this processor has no {bug.flag}" if lacks else None
            once = _once(items, applied)
            answers.foresee(once)
            made = list(_plan_cells(answers, once, numbers, {}))
            cells.extend(replace(cell, decided="unsupported", reason=hindrance) if lacks else cell for cell in made)
            yield AskedBug(bug=bug, backend=name, cells=len(made), hindrance=hindrance)


def _of_networks(problems: Sequence[NamedProblem], networks: Sequence[str]) -> Sequence[NamedProblem]:
    return [one for one in problems if one.name.partition("/")[0] in networks] if networks else problems


def _check_partners(catalog: Catalog, problems: Sequence[NamedProblem]) -> None:
    """Raise UsageError if a mixed network names an unknown backend."""
    for named in problems:
        if isinstance(named.problem, NetworkProblem) and named.problem.mixed:
            catalog.backend(named.problem.mixed)


def _expand(catalog: Catalog, names: Sequence[str]) -> list[Suite]:
    """Return suites by name without duplicates, with each whole replaced by its parts."""
    found: dict[str, Suite] = {}
    for name in names:
        suite = catalog.suite(name)
        for part in [catalog.suite(p) for p in suite.parts] or [suite]:
            found[part.name] = part
    return list(found.values())


@dataclass(frozen=True, slots=True)
class _Item:
    """A problem with its line, a number for its geometry, and the laws that apply: all that no backend changes."""

    named: NamedProblem
    line: str
    geometry: int
    laws: tuple[Law, ...]


def _once(items: Sequence[NamedProblem], laws: Sequence[Law], depth: Depth = "default") -> list[_Item]:
    """Return each problem once, under its first name: a problem line is the key of its results."""
    first: dict[str, _Item] = {}
    known: dict[tuple[Any, ...], int] = {}
    for named in items:
        problem = named.problem
        line = problem.line
        if line not in first:
            asked = [law for law in laws if law.name in named.laws] if named.laws else laws
            spared = frozenset(named.spared if depth != "full" else ())
            applied = tuple(law for law in asked if law.name not in spared and law.applies(problem))
            first[line] = _Item(named, line, known.setdefault(geometry(problem), len(known)), applied)
    return list(first.values())


def geometry(problem: Task) -> tuple[Any, ...]:
    """Return everything that routes and costs of a problem depend on: all but the data and its seed."""
    if isinstance(problem, NetworkProblem):
        return (problem.with_(seed=0),)
    return (
        problem.operator, problem.x, problem.w, problem.window, problem.output_padding, problem.bias, problem.dtype,
        problem.math, problem.layout,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Cost:
    """Estimated cost of a cell, and the reason to skip it; None without one."""

    seconds: float = 0.0
    need_bytes: int = 0
    reason: str | None = None
    raised: bool = False  # by the backend's own estimate


class _Answers:
    """Answers of one backend for the problems of one suite, computed once for each geometry."""

    def __init__(self, suite: Suite, backend: Backend, arm: str, limits: Limits, threads: int | None) -> None:
        self.suite, self.backend, self.arm, self.limits, self.threads = suite, backend, arm, limits, threads
        self.elsewhere = False
        self.slowdown: float | None = None
        self.budget_s = limits.time_s or suite.budget_s
        self.time_limit_s = limits.time_s or suite.time_limit_s
        self.calls = CALLS_PER_PASS * suite.timing.passes if suite.kind == "speed" else CALLS_PER_LAW
        self.memory_bytes = limits.free_bytes if suite.fills_memory and limits.free_bytes else limits.memory_bytes
        self.costs: dict[tuple[int, float | None], _Cost] = {}
        self.routes: dict[tuple[int, str], Route] = {}

    def foresee(self, items: Sequence[_Item]) -> None:
        """Let a backend of another process know all problems that it will be asked about."""
        if not isinstance(self.backend, RoutedBackend) or not self.backend.answers_for_problems:
            return
        found: dict[Problem, None] = {}
        seen: set[tuple[int, str]] = set()
        for item in items:
            problem = item.named.problem
            found |= dict.fromkeys(operators_of(problem))
            for law in item.laws:
                if isinstance(problem, Problem) and (item.geometry, law.name) not in seen:
                    seen.add((item.geometry, law.name))
                    with suppress(Exception):  # it will be raised again, in the place that knows what it stands for
                        found |= dict.fromkeys(law.asks(problem).values())
        self.backend.foresee(found)

    def route(self, item: _Item, law: Law | None) -> Route:
        """Return the route of the problem, or the weakest of the routes that a law needs."""
        key = (item.geometry, law.name if law else "")
        if key not in self.routes:
            problem = item.named.problem
            if isinstance(problem, NetworkProblem) and self.suite.kind == "consensus":
                return Route(kind="unsupported", reason="votes are held on operators, not on networks")
            try:
                route = law.route(self.backend, problem) if law else find_route(self.backend, problem)
                if route.kind != "unsupported" and not isinstance(problem, NetworkProblem):
                    check_numerics(self.backend, problem)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # a backend may raise anything, and must not end the planning
                route = Route(kind="unsupported", reason=f"planning raised {say_error(error)}", raised=True)
            self.routes[key] = route
        return self.routes[key]

    def cost(self, item: _Item, law: Law | None) -> _Cost:
        """Return estimated seconds and bytes, and the reason to skip; None without one."""
        copies = law.copies if law else None
        key = (item.geometry, copies)
        if key not in self.costs:
            self.costs[key] = self._estimate(item.named.problem, copies)
        return self.costs[key]

    def _estimate(self, problem: Task, copies: float | None) -> _Cost:
        try:
            work, workspace = estimate_work(self.backend, problem), estimate_workspace(self.backend, problem)
            check_estimate("work", work)
            check_estimate("workspace", workspace)
            seconds = self.calls * (work / self.backend.rate + CALL_S * _count_calls(self.backend, problem))
            need = int((copies or self._copies(problem)) * problem.bytes + workspace)
            if copies and self.backend.device != "cpu":  # the device holds the arrays and its workspace itself
                need -= problem.bytes + workspace
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # as above
            return _Cost(reason=f"its estimate raised {say_error(error)}", raised=True)
        reason = None
        if seconds > self.budget_s:
            reason = f"estimated {seconds:.3g} s, above the limit of {self.budget_s:g} s a cell (--time-limit)"
        elif need > self.memory_bytes:
            free = "free here, " if self.suite.fills_memory and self.limits.free_bytes else ""
            limit = f"{self.memory_bytes / 2**30:.3g} GiB ({free}--memory-limit)"
            reason = f"estimated {need / 2**30:.3g} GiB, above the limit of {limit}"
        if reason and self._would_do(problem, need - workspace):
            reason = f"{reason}, {DECLINED}"
        return _Cost(seconds, need, reason)

    def _would_do(self, problem: Task, need: int) -> bool:
        """Return True if a cell would be within its limits, did its backend declare nothing of its costs.

        need: bytes without a workspace.
        """
        plain = sum(count * Backend.work(self.backend, one) for one, count in operators_of(problem).items())
        calls_s = plain / max(self.backend.rate, Backend.rate) + CALL_S * _count_calls(self.backend, problem)
        return self.calls * calls_s <= self.budget_s and need <= self.memory_bytes

    def _copies(self, problem: Task) -> float:
        """Return how many times a worker holds all of a problem's arrays at once."""
        if self.suite.kind == "speed" and isinstance(problem, NetworkProblem):
            return COPIES_OF_NETWORK
        copies = COPIES_TIMED if self.suite.kind == "speed" else COPIES_CHECKED
        return copies / 2 if problem.dtype == "float64" else copies  # copies in float64 are then no wider


def _count_calls(backend: Backend, problem: Task) -> int:
    """Return how many single-group calls the harness makes for a problem; 0 if the backend takes it as a whole."""
    if backend.grouped or isinstance(problem, NetworkProblem):
        return 0
    derived_pool = problem.operator.pools and problem.operator not in native_operators(backend)
    groups = problem.x[1] if derived_pool else problem.window.groups  # means are depthwise convolutions
    return groups if groups > 1 else 0


def _leave_out(answers: _Answers, items: Sequence[_Item], depth: Depth) -> Mapping[str, str]:
    """Return the optional problems that are left out at a depth, by line, with the reason.

    At the default depth, the cheapest problems are kept until the suite's time for them is used up.
    """
    breadth_s = answers.suite.breadth_s
    if depth == "full" or (depth == "default" and breadth_s == math.inf):
        return {}
    optional = [item for item in items if item.named.optional and answers.route(item, None).kind != "unsupported"]
    if depth == "quick":
        return {item.line: "left out by --depth quick" for item in optional}
    spent, left_out = 0.0, {}
    for item in sorted(optional, key=lambda item: answers.cost(item, None).seconds):
        spent += len(item.laws) * (answers.cost(item, None).seconds + LEAST_S)
        if spent > breadth_s:
            left_out[item.line] = f"the optional problems would take more than {breadth_s:g} s (--depth full)"
    return left_out


def _plan_cells(
    answers: _Answers, items: Sequence[_Item], numbers: Iterator[int], left_out: Mapping[str, str]
) -> Iterator[Cell]:
    for item in items:
        for law in item.laws if answers.suite.kind == "correctness" else (None,):
            yield _cell(answers, item, law, next(numbers), left_out.get(item.line))


def _cell(answers: _Answers, item: _Item, law: Law | None, number: int, left_out: str | None = None) -> Cell:
    route, named, kind = answers.route(item, law), item.named, answers.suite.kind
    assert kind != "whole", "a whole is expanded before it is planned"
    dealt = deal_threads(item.line, law.name) if law is not None and kind == "correctness" else ONE
    # Another version of the backend may support what this one lacks, so its worker decides.
    unsupported = route.kind == "unsupported" and not answers.elsewhere
    cost = _Cost() if unsupported else answers.cost(item, law)
    skip, fills = cost.reason or left_out, answers.suite.fills_memory
    raised = (route.raised and unsupported) or cost.raised
    return Cell(
        number=number,
        suite=answers.suite.name,
        kind=kind,
        arm=answers.arm,
        backend=answers.backend.name,
        label=named.name,
        problem=named.problem,
        line=item.line,
        law=law.name if law else MAJORITY if kind == "consensus" else "",
        multiplicity=named.multiplicity,
        route=route,
        decided="error" if raised else "unsupported" if unsupported else "skipped" if skip else None,
        reason=skip or route.reason,
        estimate_s=cost.seconds,
        time_limit_s=answers.time_limit_s,
        role=law.role if law else "",
        slowdown=answers.slowdown,
        isolate=named.isolate or fills,
        threads=answers.threads or dealt,
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

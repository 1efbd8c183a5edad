"""Planning: a pure function from what is wanted to cells; nothing is run and nothing is dropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.checking.law import Law
from harness.errors import UsageError
from harness.plan.cell import Cell, Limits, Plan
from harness.plan.suite import NamedProblem, Suite
from harness.plugins.backend import Backend
from harness.plugins.manager import Registry
from harness.plugins.route import Route, resolve

CALLS_PER_LAW = 4  # a law runs an operator a few times and the reference beside it
CALLS_PER_PASS = 6  # first call, warm-up, three samples, and the verification


def plan_run(
    registry: Registry,
    suites: Sequence[str],
    backends: Sequence[str] = (),
    problems: Sequence[NamedProblem] = (),
    laws: Sequence[str] = (),
    limits: Limits | None = None,
) -> Plan:
    """Plan suites x backends x problems x laws. Raises UsageError for unknown names and for an empty plan.

    backends: names, all of them where none is given. problems, laws: replace the suite's own.
    """
    limits = limits or Limits()
    chosen = [registry.backend(name) for name in dict.fromkeys(backends or registry.backends)]
    wanted = [registry.law(name).name for name in laws]
    parts = _expand(registry, suites)
    cells: list[Cell] = []
    for suite in parts:
        items = tuple(problems) or suite.problems()
        for backend in chosen:
            costs = _Costs(backend, limits, limits.time_s or suite.time_limit_s)
            if suite.kind == "speed":
                rows = _speed_cells(suite, backend, items, costs)
            else:
                applied = [registry.law(name) for name in wanted or suite.laws]
                rows = _law_cells(suite, backend, items, applied, costs)
            cells.extend(rows)
    if not cells:
        raise UsageError(_nothing(parts, [registry.law(name) for name in wanted], problems))
    numbered = tuple(_number(cell, number) for number, cell in enumerate(cells))
    names = tuple(backend.name for backend in chosen)
    return Plan(cells=numbered, suites=tuple(s.name for s in parts), backends=names, limits=limits)


def _number(cell: Cell, number: int) -> Cell:
    object.__setattr__(cell, "number", number)  # the cell has not left this module; a copy would double the cost
    return cell


def _expand(registry: Registry, names: Sequence[str]) -> list[Suite]:
    """Suites by name, a whole replaced by its parts, each once."""
    found: dict[str, Suite] = {}
    for name in names:
        suite = registry.suite(name)
        for part in [registry.suite(p) for p in suite.parts] or [suite]:
            found[part.name] = part
    return list(found.values())


class _Costs:
    """Estimates of one backend, each problem once."""

    def __init__(self, backend: Backend, limits: Limits, time_limit_s: float) -> None:
        self.backend, self.limits, self.time_limit_s = backend, limits, time_limit_s
        self.known: dict[int, tuple[str, float, str]] = {}

    def of(self, item: NamedProblem, calls: int) -> tuple[str, float, str]:
        """Line, estimated seconds, and the reason to skip (empty where there is none)."""
        key = id(item)
        if key not in self.known:
            self.known[key] = self._estimate(item, calls)
        return self.known[key]

    def _estimate(self, item: NamedProblem, calls: int) -> tuple[str, float, str]:
        problem = item.problem
        seconds = calls * self.backend.work(problem) / self.backend.rate
        need = 6 * problem.bytes + self.backend.workspace(problem)
        reason = ""
        if seconds > self.time_limit_s:
            reason = f"estimated {seconds:.3g} s, above the limit of {self.time_limit_s:g} s a cell (--time-limit)"
        elif need > self.limits.memory_bytes:
            limit = f"{self.limits.memory_bytes / 2**30:g} GiB (--memory-limit)"
            reason = f"estimated {need / 2**30:.3g} GiB, above the limit of {limit}"
        return problem.line, seconds, reason


def _speed_cells(suite: Suite, backend: Backend, items: Sequence[NamedProblem], costs: _Costs) -> Iterator[Cell]:
    for item in items:
        line, seconds, skip = costs.of(item, CALLS_PER_PASS * suite.timing.passes)
        route = resolve(backend, item.problem)
        yield _cell(suite, backend, item, line, "", route, seconds, skip, costs.time_limit_s)


def _law_cells(
    suite: Suite, backend: Backend, items: Sequence[NamedProblem], laws: Sequence[Law], costs: _Costs
) -> Iterator[Cell]:
    for item in items:
        for law in laws:
            if law.applies(item.problem):
                line, seconds, skip = costs.of(item, CALLS_PER_LAW)
                route = _joint_route(law, backend, item)
                yield _cell(suite, backend, item, line, law.name, route, seconds, skip, costs.time_limit_s)


def _joint_route(law: Law, backend: Backend, item: NamedProblem) -> Route:
    """The weakest of the routes that a law needs: one unsupported operator makes the law unsupported."""
    routes = law.routes(backend, item.problem)
    for route in routes.values():
        if route.kind == "unsupported":
            return route
    derived = [f"{operator} via {route.via}" for operator, route in routes.items() if route.kind == "derived"]
    restated = any(route.kind == "derived" and operator in law.restates for operator, route in routes.items())
    if derived:
        note = "true by construction" if restated else ""
        return Route(kind="derived", via="; ".join(derived), reason=note)
    return Route(kind="native")


def _cell(
    suite: Suite,
    backend: Backend,
    item: NamedProblem,
    line: str,
    law: str,
    route: Route,
    seconds: float,
    skip: str,
    time_limit_s: float,
) -> Cell:
    unsupported = route.kind == "unsupported"
    return Cell(
        number=-1,
        suite=suite.name,
        kind="speed" if suite.kind == "speed" else "correctness",
        backend=backend.name,
        label=item.name,
        problem=item.problem,
        line=line,
        law=law,
        multiplicity=item.multiplicity,
        route=route,
        decided="unsupported" if unsupported else "skipped" if skip else None,
        reason=route.reason if unsupported or not skip else skip,
        estimate_s=seconds,
        time_limit_s=time_limit_s,
    )


def _nothing(parts: list[Suite], laws: list[Law], problems: Sequence[NamedProblem]) -> str:
    names = ", ".join(suite.name for suite in parts)
    if laws and problems:
        return (
            f"nothing to do: law {', '.join(law.name for law in laws)} does not apply to the given problem; "
            f"its conditions are shown by `python -m harness list laws`"
        )
    return f"nothing to do: suite {names} has no problem for the given choice; see `python -m harness list problems`"

"""The law: a named statement with its formula, the operators that it needs and when it applies."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

from harness.backend.base import Backend
from harness.backend.routing import Route, find_route
from harness.laws.deviation import Deviation, Kind
from harness.laws.subject import BackendUnderTest
from harness.networks.problem import NetworkProblem
from harness.problems.operator import Operator
from harness.problems.problem import Problem
from harness.problems.validation import check_callable, check_one_of, check_word
from harness.problems.window import Window

Check = Callable[[BackendUnderTest, Problem], Deviation]
Role = Literal["", "reference", "arithmetic", "network"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """A statement about operators that an implementation keeps or breaks.

    needs: operators that the statement speaks of, for a given problem.
    applies: whether its conditions hold for a problem, of an operator or of a network.
    restates: operators whose derivation from the others is this very statement; it is then true by construction.
    copies: how many times all arrays of a problem are held at once, beside what the backend needs; None where the law
        is for small problems, and the planner's own estimate holds.
    role: what else reads its results: `reference` knows every element of the answer, so that it says that an answer is
        wrong and not why, `arithmetic` measures how a backend rounds, `network` the error of a whole network.
    """

    name: str
    formula: str
    remarks: str
    tolerance: Kind
    applies: Callable[[Any], bool]
    needs: Callable[[Problem], tuple[Operator, ...]]
    check: Check
    restates: frozenset[Operator] = frozenset()
    copies: float | None = None
    role: Role = ""

    def __post_init__(self) -> None:
        """Refuse a law that could not be planned or shown."""
        check_word("law", self.name)
        check_one_of(f"tolerance of law '{self.name}'", self.tolerance, get_args(Kind))
        check_one_of(f"role of law '{self.name}'", self.role, get_args(Role))
        for name in ("applies", "needs", "check"):
            check_callable(f"law '{self.name}', {name}", getattr(self, name), "a function")

    def routes(self, backend: Backend, problem: Problem) -> dict[Operator, Route]:
        """How the backend gets each operator that the law needs, on this problem's geometry."""
        return {operator: find_route(backend, _as(problem, operator)) for operator in self.needs(problem)}

    def route(self, backend: Backend, problem: Problem | NetworkProblem) -> Route:
        """The weakest of these routes: one unsupported operator makes the law unsupported."""
        if isinstance(problem, NetworkProblem):
            return find_route(backend, problem)
        routes = self.routes(backend, problem)
        for route in routes.values():
            if route.kind == "unsupported":
                return route
        derived = [f"{operator} via {route.via}" for operator, route in routes.items() if route.kind == "derived"]
        restated = any(route.kind == "derived" and operator in self.restates for operator, route in routes.items())
        if derived:
            note = "true by construction" if restated else ""
            return Route(kind="derived", via="; ".join(derived), reason=note)
        return Route(kind="native")


def law(
    *,
    tolerance: Kind,
    when: Callable[[Problem], bool],
    needs: tuple[Operator, ...] | None = None,
    restates: tuple[Operator, ...] = (),
    copies: float | None = None,
    role: Role = "",
) -> Callable[[Check], Law]:
    """Make a Law of a function; its name is the function's, its formula the first line of the docstring.

    tolerance: how its comparisons are made, a kind of `Deviation`. when: whether the law applies to a problem.
    needs: operators that it calls; None for the problem's own. restates: operators whose derivation is this very
    statement. copies: arrays that a law for large problems holds at once, in copies of all. role: of `Law.role`; most
    laws have none.
    """
    return partial(
        _make_law,
        tolerance=tolerance,
        applies=lambda problem: isinstance(problem, Problem) and when(problem),
        needs=lambda problem: (problem.operator,) if needs is None else needs,
        restates=frozenset(restates),
        copies=copies,
        role=role,
    )


def network_law(
    *, tolerance: Kind, when: Callable[[NetworkProblem], bool], role: Role = ""
) -> Callable[[Any], Law]:  # fmt: skip
    """Make a Law about whole networks of a function that takes a NetworkUnderTest and a NetworkProblem.

    tolerance: how its comparisons are made, a kind of `Deviation`. when: whether the law applies to a network's
    problem. role: of `Law.role`; most laws have none.
    """
    return partial(
        _make_law,
        tolerance=tolerance,
        applies=lambda problem: isinstance(problem, NetworkProblem) and when(problem),
        needs=lambda problem: (),
        role=role,
    )


def _make_law(check: Any, **conditions: Any) -> Law:
    """The law of the function that checks it, with its name, formula and remarks."""
    text = inspect.getdoc(check)
    if not text:
        raise ValueError(f"law {check.__name__} has no docstring, wanted its formula in the first line")
    first, *rest = text.splitlines()
    remarks = " ".join(" ".join(rest).split())
    return Law(name=check.__name__.replace("_", "-"), formula=first, remarks=remarks, check=check, **conditions)


def _as(problem: Problem, operator: Operator) -> Problem:
    """The same geometry under another operator, for resolving its route."""
    if operator is problem.operator:
        return problem
    if problem.operator is Operator.conv_transpose:
        return problem.with_(operator=operator, x=problem.y, output_padding=None, bias=False)
    if operator is Operator.conv_transpose:
        return problem.with_(operator=operator, x=problem.y, output_padding=(0,) * problem.axes)
    if problem.operator.pools and not operator.pools:
        channels = problem.x[1]
        window = problem.window
        return problem.with_(
            operator=operator,
            w=(channels, 1, *problem.kernel),
            window=Window(stride=window.stride, padding=window.padding, dilation=window.dilation, groups=channels),
        )
    return problem.with_(operator=operator)

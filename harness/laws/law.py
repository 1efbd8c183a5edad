"""Laws: named statements, each with its formula, the operators that it needs and its conditions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
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
    """A statement about operators that an implementation satisfies or violates.

    remarks: explanation after the formula.
    tolerance: kind of the comparison.
    needs: operators in the statement, for a given problem.
    applies: whether its conditions hold for a problem, of an operator or of a network.
    restates: operators whose derivation from the others is this very statement; it is then true by construction.
    copies: number of copies of all arrays of a problem held at once, in addition to the backend's workspace; None for a
        law on small problems, for which the planner's own estimate holds.
    role: further use of its results. `reference`: it knows every element of the answer, so it says that an answer is
        wrong but not why. `arithmetic`: it measures how a backend rounds. `network`: it measures the error of a whole
        network.
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
        """Reject a law that could not be planned or reported."""
        check_word("law", self.name)
        check_one_of(f"tolerance of law '{self.name}'", self.tolerance, get_args(Kind))
        check_one_of(f"role of law '{self.name}'", self.role, get_args(Role))
        for name in ("applies", "needs", "check"):
            check_callable(f"law '{self.name}', {name}", getattr(self, name), "a function")

    def routes(self, backend: Backend, problem: Problem) -> dict[Operator, Route]:
        """Return the backend's route to each operator that the law needs, for this problem's geometry."""
        return {operator: find_route(backend, one) for operator, one in self.asks(problem).items()}

    def asks(self, problem: Problem) -> dict[Operator, Problem]:
        """Return the problems whose routes decide, by operator: this geometry with each operator that the law needs."""
        return {operator: _as(problem, operator) for operator in self.needs(problem)}

    def route(self, backend: Backend, problem: Problem | NetworkProblem) -> Route:
        """Return the weakest of these routes: one unsupported operator makes the law unsupported."""
        if isinstance(problem, NetworkProblem):
            return find_route(backend, problem)
        routes = self.routes(backend, problem)
        for operator, route in routes.items():
            if route.kind == "unsupported":
                return route if operator is problem.operator else replace(route, lacks=operator.value)
        derived = [f"{operator} via {route.via}" for operator, route in routes.items() if route.kind == "derived"]
        restated = any(route.kind == "derived" and operator in self.restates for operator, route in routes.items())
        if derived:
            note = "true by construction" if restated else None
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
    """Make a Law from a function: its name is the function's, its formula the first line of the docstring.

    tolerance: kind of the comparison.
    when: conditions on a problem of an operator.
    needs: operators in the statement; None for the problem's own.
    restates, copies, role: as in `Law`.
    The decorator raises ValueError if the function has no docstring.
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
    """Make a Law about whole networks from a function that takes a NetworkUnderTest and a NetworkProblem.

    tolerance: kind of the comparison.
    when: conditions on a network problem.
    role: as in `Law`.
    """
    return partial(
        _make_law,
        tolerance=tolerance,
        applies=lambda problem: isinstance(problem, NetworkProblem) and when(problem),
        needs=lambda problem: (),
        role=role,
    )


def _make_law(check: Any, **conditions: Any) -> Law:
    """Return the law of a checking function, with name, formula and remarks taken from it."""
    text = inspect.getdoc(check)
    if not text:
        raise ValueError(f"law {check.__name__} has no docstring, wanted its formula in the first line")
    first, *rest = text.splitlines()
    remarks = " ".join(" ".join(rest).split())
    return Law(name=check.__name__.replace("_", "-"), formula=first, remarks=remarks, check=check, **conditions)


def _as(problem: Problem, operator: Operator) -> Problem:
    """Return the same geometry with another operator, to resolve its route."""
    if operator is problem.operator:
        return problem
    if problem.operator.spec.transposed:
        return problem.with_(operator=operator, x=problem.y, output_padding=None, bias=False)
    if operator.spec.transposed:
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

"""Routes of a backend to an operator: native, derived (via what) or unsupported (why); and the resulting call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from harness.backend.base import Backend
from harness.backend.copying import bring_outputs
from harness.backend.derivations import derivations
from harness.errors import RefusalError
from harness.networks.problem import NetworkProblem
from harness.problems.arrays import Call, DeviceArray, DeviceArrays, Outputs
from harness.problems.calling import bind_operator, name_outputs
from harness.problems.operator import Operator
from harness.problems.operators.derivation import Derivation
from harness.problems.problem import Problem


class UnsupportedError(RefusalError):
    """A backend has no route to a problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The route to an operator: its kind, the operators it is derived via, or the reason why it is unsupported.

    reason: None without one.
    raised: True if there is no route because the backend raised an exception when it was asked, which is its error.
    lacks: operator without a route that a law needs in addition to the problem's own; empty if there is none.
    """

    kind: Literal["native", "derived", "unsupported"]
    via: str = ""
    reason: str | None = None
    raised: bool = False
    lacks: str = ""

    def __str__(self) -> str:
        """Short text for tables."""
        if self.kind == "unsupported" and self.reason:
            return f"unsupported: {self.reason}"
        return f"derived via {self.via}" if self.kind == "derived" else self.kind


class RoutedBackend(Backend):
    """A backend in another process, which is asked there for its routes where it decides about them."""

    @property
    def decides(self) -> bool:
        """True if routes do not follow from what its class declares."""
        raise NotImplementedError

    @property
    def answers_for_problems(self) -> bool:
        """True if a plan's questions about problems are better asked at once."""
        return False

    def find_route(self, problem: Problem) -> Route:
        """Return the route of a problem."""
        raise NotImplementedError

    def refusal_reason(self, problem: Problem) -> str | None:
        """Return the reason why a problem is not computed by the backend's own method, or None."""
        raise NotImplementedError

    def foresee(self, problems: Iterable[Problem]) -> None:
        """Take note of problems that a plan will ask about, to ask about them at once."""


def find_route(backend: Backend, problem: Problem | NetworkProblem) -> Route:
    """Find the route of a problem, or of all operators of a network.

    Pure: it only uses declarations of the backend.
    """
    if isinstance(problem, NetworkProblem):
        return _resolve_network(backend, problem)
    if isinstance(backend, RoutedBackend) and backend.decides:
        return backend.find_route(problem)
    found = _find(backend, problem)
    if found is None:
        return Route(kind="native")
    if isinstance(found, str):
        return Route(kind="unsupported", reason=found)
    return Route(kind="derived", via=found.via)


def _resolve_network(backend: Backend, problem: NetworkProblem) -> Route:
    """Route of a network: native if all operators are; unsupported if one is and no partner replaces it."""
    derived: dict[str, str] = {}
    for layer in problem.network.layers(problem.work):
        route = find_route(backend, layer)
        if route.kind == "unsupported" and not problem.mixed:
            return route
        if route.kind == "derived":
            derived[layer.operator] = f"{layer.operator} via {route.via}"
    if problem.mixed == backend.name:
        return Route(kind="unsupported", reason=f"{backend.name} is not mixed with itself")
    return Route(kind="derived", via="; ".join(derived.values())) if derived else Route(kind="native")


def refusal_reason(backend: Backend, problem: Problem) -> str | None:
    """Return the reason why a problem is not computed by the backend's own method, or None.

    Raises TypeError if `supports` returns neither text nor None, such as True for what is supported.
    """
    if isinstance(backend, RoutedBackend) and backend.decides:
        return backend.refusal_reason(problem)
    if not callable(getattr(backend, problem.operator.value, None)):
        return f"{backend.name} has no {problem.operator}"
    if problem.dtype not in backend.dtypes:
        return f"{backend.name} has no {problem.dtype}, only {', '.join(backend.dtypes)}"
    if problem.axes not in backend.axes:
        return f"{backend.name} has no {problem.axes}-D {problem.operator}"
    if problem.window.groups > 1 and not backend.grouped:
        return f"{backend.name} has no groups"
    if problem.math == "tf32" and backend.numerics_for(problem).rounds_input_to != "tf32":
        return f"{backend.name} has no TF32 arithmetic"
    refused: object = backend.supports(problem)
    if refused is not None and not isinstance(refused, str):
        raise TypeError(f"supports gave {refused!r:.80}, wanted the reason why not as text, or None")
    return f"{backend.name} does not support it and gives no reason" if refused == "" else refused


def _find(backend: Backend, problem: Problem, seen: frozenset[Operator] = frozenset()) -> Derivation | str | None:
    """None for native, a Derivation whose own problem has a route, or the reason why there is no route.

    seen: operators on the path to here, so that two operators never derive each other.
    """
    reason = refusal_reason(backend, problem)
    if reason is None or problem.dtype not in backend.dtypes:
        return reason
    for derivation in derivations(problem.operator):
        inner = derivation.needs(problem)
        if inner is None or inner.operator in seen:
            continue
        deeper = seen if inner.operator is problem.operator else seen | {problem.operator}
        if not isinstance(_find(backend, inner, deeper), str):
            return derivation
    return reason


def prepare(backend: Backend, problem: Problem, arrays: DeviceArrays) -> Call:
    """Return the call that is timed: from the backend's own `prepare` for a native operator, else the derivation.

    backend: its own methods compute the result. problem: the operator and shapes.
    arrays: inputs on the device, by name.
    The call returns one array, or two for max_pool. A call without a route raises UnsupportedError.
    """
    found = _find(backend, problem)
    if found is None:
        return backend.prepare(problem, arrays)
    return partial(run, backend, problem, arrays)


def run(backend: Backend, problem: Problem, arrays: DeviceArrays, seen: frozenset[Operator] = frozenset()) -> Outputs:
    """Run a problem on device arrays by its route, with the plain methods of the backend.

    backend: computes all parts. problem: the operator and shapes. arrays: inputs on the device, by name.
    seen: operators on the path to here, which no derivation uses again.
    Returns one array, or a tuple of arrays.
    Raises UnsupportedError if there is no route.
    """
    found = _find(backend, problem, seen)
    if isinstance(found, str):
        raise UnsupportedError(found)
    if found is None:
        return bind_operator(backend, problem, arrays)()

    def inner(sub: Problem, parts: DeviceArrays) -> tuple[DeviceArray, ...]:
        deeper = seen if sub.operator is problem.operator else seen | {problem.operator}
        return tuple(bring_outputs(backend, name_outputs(sub, run(backend, sub, parts, deeper))).values())

    outputs = found.compute(inner, problem, arrays)
    return outputs if len(outputs) > 1 else outputs[0]

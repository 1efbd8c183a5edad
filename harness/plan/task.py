"""Subject of a cell: one operator on one shape, or a whole network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from harness.backend.base import Backend
from harness.backend.routing import find_route
from harness.networks.architecture import Architecture
from harness.networks.problem import NetworkProblem, is_network_line, parse_network
from harness.problems.line import parse_line
from harness.problems.numerics import Numerics
from harness.problems.problem import Problem

Task = Problem | NetworkProblem
REMEMBERED = 1024  # problems


def parse_task(line: str, networks: Mapping[str, Architecture]) -> Task:
    """Parse a problem line of either kind. Raises LineError with the column, or GeometryError."""
    return parse_network(line, networks) if is_network_line(line) else _parse_line(line)


_parse_line = lru_cache(maxsize=REMEMBERED)(parse_line)  # many laws are asked about one problem


def estimate_work(backend: Backend, problem: Task) -> float:
    """Return the operations that a backend executes; element-wise work between layers of a network is not counted."""
    return sum(backend.work(one) * count for one, count in operators_of(problem).items())


def estimate_workspace(backend: Backend, problem: Task) -> int:
    """Return the workspace in bytes that a backend declares; for a network, the largest of all layers."""
    return max(map(backend.workspace, operators_of(problem)), default=0)


def check_estimate(name: str, value: object) -> None:
    """Raise TypeError or ValueError if an estimate of a backend is no finite number of at least 0.

    name: of the method that gave it. value: what it gave.
    """
    if not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} gave {type(value).__name__}, wanted a number")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} gave {value:g}, wanted a finite number of at least 0")


def check_numerics(backend: Backend, problem: Problem) -> None:
    """Raise TypeError if `numerics_for` of a backend returns no Numerics; votes and times ask for it after the plan."""
    given: object = backend.numerics_for(problem)
    if not isinstance(given, Numerics):
        raise TypeError(f"numerics_for gave {type(given).__name__}, wanted a harness.Numerics")


def list_numerics(backend: Backend, problem: Task) -> tuple[Numerics, ...]:
    """Return the numerics by which answers to a problem are judged: one, or for a network those of each operator.

    backend: says what it declares. Raises what its method raises.
    """
    asked = list(operators_of(problem))
    if isinstance(problem, NetworkProblem) and problem.mixed:  # the rest is computed by its partner
        asked = [one for one in asked if find_route(backend, one).kind != "unsupported"]
    return tuple(map(backend.numerics_for, asked))


def operators_of(problem: Task) -> Mapping[Problem, int]:
    """Return the distinct operators with the number of their occurrences."""
    return problem.network.layers(problem.work) if isinstance(problem, NetworkProblem) else {problem: 1}

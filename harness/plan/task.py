"""What a cell is about: one operator on one shape, or a whole network."""

from __future__ import annotations

from collections.abc import Mapping

from harness.backend.base import Backend
from harness.networks.architecture import Architecture
from harness.networks.problem import NetworkProblem, is_network_line, parse_network
from harness.problems.line import parse_line
from harness.problems.problem import Problem

Task = Problem | NetworkProblem
GENEROUS = 2  # times the estimate: with so much memory, running out of it is the backend's fault


def parse_task(line: str, networks: Mapping[str, Architecture]) -> Task:
    """Read a problem line of either kind. Raises LineError with the column, or GeometryError."""
    return parse_network(line, networks) if is_network_line(line) else parse_line(line)


def estimate_work(backend: Backend, problem: Task) -> float:
    """Operations that a backend executes; glue between the layers of a network is not counted."""
    return sum(backend.work(one) * count for one, count in operators_of(problem).items())


def estimate_workspace(backend: Backend, problem: Task) -> int:
    """Bytes that a backend declares to need beside the arrays; of a network the most that any layer needs."""
    return max(map(backend.workspace, operators_of(problem)), default=0)


def operators_of(problem: Task) -> Mapping[Problem, int]:
    """Distinct operators, and how often each occurs."""
    return problem.network.layers(problem.work) if isinstance(problem, NetworkProblem) else {problem: 1}


def is_memory_short(free_bytes: int, need_bytes: int) -> bool:
    """Whether running out of memory says nothing of a backend: there was less than twice what was to be needed.

    Where there was more, it took what it did not declare. False where nothing is known of either.
    """
    return 0 < free_bytes < GENEROUS * need_bytes

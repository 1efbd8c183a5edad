"""What a cell is about: one operator on one shape, or a whole network."""

from __future__ import annotations

from collections.abc import Mapping

from harness.network.graph import Architecture
from harness.network.problem import NetworkProblem, is_network_line, parse_network
from harness.spec.line import parse_line
from harness.spec.problem import Problem

Task = Problem | NetworkProblem


def parse_task(line: str, networks: Mapping[str, Architecture]) -> Task:
    """Read a problem line of either kind. Raises LineError with the column, or GeometryError."""
    return parse_network(line, networks) if is_network_line(line) else parse_line(line)

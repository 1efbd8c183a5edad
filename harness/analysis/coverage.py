"""What a run asked: conditions of the model of dispatch by backend and operator."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from harness.networks.problem import is_network_line
from harness.problems.operator import Operator
from harness.record.run import RAN

if TYPE_CHECKING:
    from harness.generate.dispatch.coverage import Coverage
    from harness.record.run import Result, Run


def run_coverage(
    run: Run, law: str | None = None, backends: Collection[str] = (), operators: Collection[str] = ()
) -> dict[str, dict[Operator, Coverage]]:
    """Return the coverage of every backend and operator that the run has cells of, in the order of the run.

    A problem was asked where one of its cells ran and did not pass by a comparison that proves nothing. Layers inside
    of whole networks do not count: their answers are not looked at one by one.
    law, backends, operators: the only ones whose cells count, all where nothing is given.
    """
    from harness.generate.dispatch.coverage import measure_coverage

    asked: dict[tuple[str, str], set[str]] = defaultdict(set)
    planned: dict[tuple[str, str], set[str]] = defaultdict(set)
    for result in cells_of_operators(run):
        key = (result.backend, operator_of(result))
        wanted = (law is None or result.law == law) and (not backends or key[0] in backends)
        if wanted and (not operators or key[1] in operators):
            planned[key].add(result.problem)
            if result.outcome in RAN and not result.vacuous:
                asked[key].add(result.problem)
    present = {backend for backend, _ in planned}
    return {
        backend: {
            operator: measure_coverage(operator, asked[backend, operator], planned[backend, operator])
            for operator in Operator
            if (backend, operator) in planned
        }
        for backend in dict.fromkeys((*run.header.backends, *sorted(present)))
        if backend in present
    }


def cells_of_operators(run: Run) -> Iterator[Result]:
    """Return the results of a run that are about an operator, not about a network."""
    return (result for result in run.results if not is_network_line(result.problem))


def operator_of(result: Result) -> str:
    """Return the name of the operator that a result is about."""
    return result.problem.partition(" ")[0]

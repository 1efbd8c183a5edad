"""What a run asked: conditions of the model of dispatch by backend and operator."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from harness.network.problem import is_network_line
from harness.record.run import RAN
from harness.spec.operator import Operator

if TYPE_CHECKING:
    from harness.generate.dispatch.coverage import Coverage
    from harness.record.run import Run


def run_coverage(run: Run, law: str | None = None) -> dict[str, dict[Operator, Coverage]]:
    """Return the coverage of every backend and operator that the run has cells of, in the order of the run.

    A problem was asked where one of its cells ran and did not pass by a comparison that proves nothing. Layers inside
    of whole networks do not count: their answers are not looked at one by one. law: the only law whose cells count.
    """
    from harness.generate.dispatch.coverage import measure_coverage

    asked: dict[tuple[str, str], set[str]] = defaultdict(set)
    planned: dict[tuple[str, str], set[str]] = defaultdict(set)
    for result in run.results:
        if (law is not None and result.law != law) or is_network_line(result.problem):
            continue
        key = (result.backend, result.problem.partition(" ")[0])
        planned[key].add(result.problem)
        if result.outcome in RAN and not result.vacuous:
            asked[key].add(result.problem)
    backends = dict.fromkeys((*run.header.backends, *(backend for backend, _ in planned)))
    return {
        backend: {
            operator: measure_coverage(operator, asked[backend, operator], planned[backend, operator])
            for operator in Operator
            if (backend, operator) in planned
        }
        for backend in backends
        if any(name == backend for name, _ in planned)
    }

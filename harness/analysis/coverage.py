"""Coverage of a run: tested conditions of the model of dispatch, by arm and operator."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from harness.analysis.schemas import GAP_COLUMNS
from harness.networks.problem import is_network_line
from harness.problems.operator import Operator
from harness.record.run import RAN

if TYPE_CHECKING:
    from harness.generate.dispatch.coverage import Coverage
    from harness.record.run import Result, Run

Found = Mapping[str, Mapping[Operator, "Coverage"]]  # by arm and operator


def run_coverage(
    run: Run, law: str | None = None, arms: Collection[str] = (), operators: Collection[str] = ()
) -> dict[str, dict[Operator, Coverage]]:
    """Return the coverage of every arm and operator that the run has cells of, in the order of the run.

    A problem counts as asked if one of its cells ran, unless that cell passed by a comparison that proves nothing.
    Layers inside whole networks do not count, because their results are not checked one by one.
    run: the run to count. law, arms, operators: count only their cells; all cells by default.
    """
    from harness.generate.dispatch.coverage import measure_coverage

    planned: dict[str, set[str]] = defaultdict(set)
    asked: dict[str, set[str]] = defaultdict(set)
    for result in run.results:
        if (law is None or result.law == law) and (not arms or result.arm in arms):
            arm, problem = result.arm, result.problem
            planned[arm].add(problem)
            if result.outcome in RAN and problem not in asked[arm] and not result.vacuous:
                asked[arm].add(problem)
    name_of = {line: line.partition(" ")[0] for lines in planned.values() for line in lines}
    found: dict[str, dict[Operator, Coverage]] = {}
    for arm in dict.fromkeys((*run.header.arm_names, *sorted(planned))):
        lines, done = _by_operator(planned[arm], name_of), _by_operator(asked[arm], name_of)
        coverages = {
            operator: measure_coverage(operator, done[operator.value], lines[operator.value])
            for operator in Operator if lines[operator.value] and (not operators or operator.value in operators)
        }  # fmt: skip
        if coverages:
            found[arm] = coverages
    return found


def _by_operator(lines: Iterable[str], name_of: Mapping[str, str]) -> dict[str, list[str]]:
    """Sort problem lines by the first word of each, which is the name of its operator, or "network"."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        found[name_of[line]].append(line)
    return found


def cells_of_operators(run: Run) -> Iterator[Result]:
    """Return the results of a run that belong to an operator, not to a network."""
    return (result for result in run.results if not is_network_line(result.problem))


def operator_of(result: Result) -> str:
    """Return the name of the operator of a result."""
    return result.problem.partition(" ")[0]


def coverage_rows(found: Found, backend_of: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield records of the table `coverage`: one for each arm, operator and condition.

    found: coverage by arm and operator. backend_of: backend of each arm.
    """
    import numpy as np

    for arm, coverages in found.items():
        for operator, one in coverages.items():
            others = one.possible & ~np.eye(len(one.conditions), dtype=bool)
            pairs_asked, pairs_possible = (others & (one.asked > 0)).sum(axis=1).tolist(), others.sum(axis=1).tolist()
            for n, condition in enumerate(one.conditions):
                yield {
                    "arm": arm, "backend": backend_of.get(arm, arm), "operator": operator.value,
                    "factor": condition.factor, "condition": condition.name, "state": one.state(n, n),
                    "asked": int(one.asked[n, n]), "planned": int(one.planned[n, n]),
                    "pairs_asked": pairs_asked[n], "pairs_possible": pairs_possible[n],
                }  # fmt: skip


def gap_columns(found: Found, backend_of: Mapping[str, str]) -> dict[str, list[Any]]:
    """Return the columns of the table `coverage-pairs`: a row for each pair of conditions that was not asked together.

    By column, because runs have 10^5 such pairs. found: coverage by arm and operator. backend_of: backend of each arm.
    """
    made: dict[str, list[Any]] = {column.name: [] for column in GAP_COLUMNS}
    for arm, coverages in found.items():
        for operator, one in coverages.items():
            pairs, names = one.missing, [condition.name for condition in one.conditions]
            for name, value in (("arm", arm), ("backend", backend_of.get(arm, arm)), ("operator", operator.value)):
                made[name] += [value] * len(pairs)
            first, second = [a for a, _ in pairs], [b for _, b in pairs]
            made["condition"] += [names[a] for a in first]
            made["other"] += [names[b] for b in second]
            planned = one.planned[first, second].tolist()  # the pair is possible and was not asked
            made["state"] += ["not run" if number else "never asked" for number in planned]
    return made

"""Run `correctness` on few problems, chosen so that every law is applied, with most of its operators and dtypes."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set

LINES = 144  # of 1023: cover all laws and 90 % of all facets (`facets_of`); 291 lines cover every facet


def main(arguments: Sequence[str]) -> None:
    """Replace this process by `harness run correctness` on the chosen problems.

    arguments: backends, then `--`, then further options.
    """
    split = list(arguments).index("--")
    backends, options = arguments[:split], arguments[split + 1 :]
    lines = choose_lines(facets_of(backends), LINES)
    words = [word for name in backends for word in ("--backend", name)]
    words += [word for line in lines for word in ("--problem", line)]
    command = [sys.executable, "-m", "harness", "run", "correctness", *words, *options]
    print(f"{len(lines)} problems", flush=True)
    os.execv(sys.executable, command)


def facets_of(backends: Sequence[str]) -> dict[str, set[tuple[str, ...]]]:
    """Return the facets of each problem line.

    Facets are each law that is applied to these backends, and each layout with its data, with the operator and dtype.
    """
    from harness.plan.planner import plan_run
    from harness.plugins.manager import load_plugins
    from harness.problems.line import parse_line

    facets: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for cell in plan_run(load_plugins(), ["correctness"], list(backends), depth="quick").cells:
        if cell.decided is None and cell.law is not None:
            problem = parse_line(cell.line)
            kind = (str(problem.operator), problem.dtype)
            facets[cell.line] |= {(cell.law, *kind), (problem.layout, problem.data, *kind)}
    return dict(facets)


def choose_lines(facets: Mapping[str, set[tuple[str, ...]]], most: int) -> list[str]:
    """Choose lines that cover all facets, or as many as `most` lines can: each time the line that adds most (greedy).

    Every law is covered if there are as many lines: the last lines are reserved for laws not covered before.
    """
    left, lines = set().union(*facets.values()) if facets else set(), dict(facets)
    missing = {facet[0] for facet in left}
    chosen: list[str] = []
    while left and len(chosen) < most:
        urgent = len(missing) >= most - len(chosen)
        best = max(lines, key=lambda line: _count_new(lines[line], left, missing if urgent else frozenset()))
        chosen.append(best)
        missing -= {facet[0] for facet in lines[best]}
        left -= lines.pop(best)
    return chosen


def _count_new(facets: Set[tuple[str, ...]], left: Set[tuple[str, ...]], missing: Set[str]) -> tuple[int, int]:
    """Count what a line adds: laws that are missing, and facets."""
    return len({facet[0] for facet in facets} & missing), len(facets & left)


if __name__ == "__main__":
    main(sys.argv[1:])

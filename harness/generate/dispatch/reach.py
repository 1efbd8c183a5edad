"""Check that problems like a given one are tested: its pairs of conditions co-occur, and its sizes are not exceeded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.generate.dispatch.conditions import Condition, conditions_for, count_inputs, count_outputs
from harness.generate.dispatch.coverage import count_together
from harness.generate.dispatch.flags import flags_of
from harness.problems.operator import Operator
from harness.problems.problem import Problem

if TYPE_CHECKING:
    from harness.problems.arrays import Flags


@dataclass(frozen=True, slots=True)
class Reach:
    """Range of a set of problems, by operator: conditions that co-occur, and the largest of every size."""

    together: Mapping[Operator, Flags]
    largest: Mapping[Operator, Mapping[str, int]]

    def list_misses(self, problem: Problem) -> list[str]:
        """Name all that a problem has and no problem of its operator in the set has; empty if it is within range."""
        if problem.operator not in self.together:
            return [f"{problem.operator} is not asked"]
        largest = self.largest[problem.operator]
        beyond = [f"{name} {n}" for name, n in _sizes(problem).items() if n > largest[name]]
        return beyond + [f"{a.name} with {b.name}" for a, b in self._unmet(problem)]

    def _unmet(self, problem: Problem) -> Iterator[tuple[Condition, Condition]]:
        conditions, together = conditions_for(problem.operator), self.together[problem.operator]
        held = [number for number, flag in enumerate(flags_of(problem)) if flag]
        for place, a in enumerate(held):
            yield from ((conditions[a], conditions[b]) for b in held[:place] if not together[a, b])


def measure_reach(problems: Iterable[Problem]) -> Reach:
    """Measure the range of a set of problems."""
    lines: dict[Operator, list[str]] = defaultdict(list)
    largest: dict[Operator, dict[str, int]] = defaultdict(dict)
    for problem in problems:
        lines[problem.operator].append(problem.line)
        known = largest[problem.operator]
        known.update({name: max(n, known.get(name, 0)) for name, n in _sizes(problem).items()})
    return Reach({operator: count_together(operator, asked) > 0 for operator, asked in lines.items()}, largest)


def _sizes(problem: Problem) -> dict[str, int]:
    """Sizes for which counters of 8 to 16 bits overflow, or other code is chosen."""
    images, channels = problem.x[:2]
    return {
        "images": images, "channels": channels, "maps": images * channels, "channels of a group": count_inputs(problem),
        "outputs of a group": count_outputs(problem), "taps on an axis": max(problem.kernel),
        "stride": max(problem.window.stride), "size": max(problem.x[2:]),
    }  # fmt: skip

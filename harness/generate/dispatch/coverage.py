"""Which conditions of the model problems meet, alone and in pairs, and which they never do."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from harness.generate.dispatch.conditions import Condition, conditions_for
from harness.generate.dispatch.possible import find_possible
from harness.spec.line import parse_line
from harness.spec.operator import Operator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REMEMBERED = 1 << 17  # problems; several formats of a report, and several backends, ask for the same ones

State = Literal["asked", "not run", "never asked", "impossible"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How often conditions of one operator were met, by distinct problems.

    conditions: of the operator, factor by factor; the order of both axes of all arrays, shape (conditions,) * 2.
    asked: problems that meet two conditions and were asked; on the diagonal, problems that meet one.
    planned: the same for problems that were in the plan, whether they were asked or not.
    possible: whether two conditions of different factors can meet in a problem; on the diagonal, whether one can hold.
    """

    operator: Operator
    problems_asked: int
    problems_planned: int
    conditions: tuple[Condition, ...]
    asked: NDArray[np.int64]
    planned: NDArray[np.int64]
    possible: NDArray[np.bool_]

    def state(self, a: int, b: int) -> State:
        """Return what became of a pair of conditions, or of one where both numbers are the same."""
        if self.asked[a, b]:
            return "asked"
        if self.planned[a, b]:
            return "not run"
        return "never asked" if self.possible[a, b] else "impossible"

    @property
    def pairs(self) -> Iterator[tuple[int, int]]:
        """All pairs of conditions of different factors that can meet, in the order of the table."""
        for a, b in itertools.combinations(range(len(self.conditions)), 2):
            if self.possible[a, b]:
                yield a, b

    @property
    def pairs_possible(self) -> int:
        """Number of pairs of conditions of different factors that can meet."""
        return int(_upper(self.possible).sum())

    @property
    def pairs_asked(self) -> int:
        """Number of these pairs that were asked."""
        return int(_upper(self.possible & (self.asked > 0)).sum())

    @property
    def missing(self) -> list[tuple[int, int]]:
        """Pairs that can meet and were not asked, in the order of the table."""
        return [(a, b) for a, b in self.pairs if not self.asked[a, b]]

    @property
    def missing_alone(self) -> list[int]:
        """Conditions that can hold and were not asked, in the order of the table."""
        return [n for n in range(len(self.conditions)) if self.possible[n, n] and not self.asked[n, n]]


def _upper(flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the part of a symmetric array above its diagonal, with zeros elsewhere."""
    import numpy as np

    return np.triu(flags, 1)


def measure_coverage(operator: Operator, asked: Collection[str], planned: Collection[str] = ()) -> Coverage:
    """Count the conditions that problems of one operator meet, given as their canonical lines.

    asked: lines that really were asked; planned: lines that were in the plan, those that were asked or more.
    A pair that any of the lines meets is possible, whatever `find_possible` says.
    """
    import numpy as np

    conditions, known = conditions_for(operator), find_possible(operator)
    apart = np.array([[a.factor != b.factor for b in conditions] for a in conditions]) | np.eye(
        len(conditions), dtype=bool
    )
    counted = count_together(operator, set(asked))
    left = set(planned) - set(asked)
    every = counted + count_together(operator, left)
    return Coverage(
        operator=operator, problems_asked=len(set(asked)), problems_planned=len(set(asked)) + len(left),
        conditions=conditions, asked=counted, planned=every, possible=(known.together | (every > 0)) & apart,
    )  # fmt: skip


def count_together(operator: Operator, lines: Collection[str]) -> NDArray[np.int64]:
    """Return how many of these problems meet each two conditions of the operator; on the diagonal, each one.

    Shape (conditions,) * 2. It is M^T M for the matrix M of problems by conditions that hold.
    """
    import numpy as np

    size = len(conditions_for(operator))
    met = np.zeros((len(lines), size), dtype=np.float32)  # exact: counts stay far below 2^24
    for row, line in zip(met, lines, strict=True):
        row[list(_met(line))] = 1
    return (met.T @ met).astype(np.int64)


@lru_cache(maxsize=REMEMBERED)
def _met(line: str) -> bytes:
    """Return the numbers of the conditions that the problem of a line meets, each one a byte."""
    problem = parse_line(line)
    return bytes(n for n, one in enumerate(conditions_for(problem.operator)) if one.holds(problem))

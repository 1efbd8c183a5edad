"""Coverage of the model's conditions by problems, one at a time and in pairs, with the gaps."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from harness.generate.dispatch.conditions import Condition, conditions_for
from harness.generate.dispatch.flags import flags_of
from harness.generate.dispatch.impossible import find_possible
from harness.generate.dispatch.possible import applies, representative
from harness.problems.line import parse_line
from harness.problems.operator import Operator

if TYPE_CHECKING:
    from harness.problems.arrays import Counts, Flags

DATA = re.compile(r" (?:data|seed)=\S+")  # fields of a line on which no condition depends
REMEMBERED = 1 << 17  # problems; reused by several report formats and backends
PLANS = 4 * len(Operator)  # sets of problems

CoverageState = Literal["asked", "not run", "never asked", "impossible"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A condition that was not tested together with `others`; if it is None, the others were not tested at all."""

    state: CoverageState
    condition: Condition | None
    others: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Number of distinct problems of one operator in which conditions hold, one at a time and in pairs.

    conditions: of the operator, factor by factor; the order of both axes of all arrays, shape (conditions,) * 2.
    asked: number of tested problems in which two conditions hold; on the diagonal, in which one holds.
    planned: the same for all problems of the plan, tested or not.
    possible: True if two conditions of different factors can co-occur in a problem; on the diagonal, if one can hold.
    """

    operator: Operator
    problems_asked: int
    problems_planned: int
    conditions: tuple[Condition, ...]
    asked: Counts
    planned: Counts
    possible: Flags

    def state(self, a: int, b: int) -> CoverageState:
        """Return the state of a pair of conditions, or of one if both indices are equal."""
        if self.asked[a, b]:
            return "asked"
        if self.planned[a, b]:
            return "not run"
        return "never asked" if self.possible[a, b] else "impossible"

    @property
    def pairs(self) -> Iterator[tuple[int, int]]:
        """Index pairs of conditions of different factors that can co-occur, in the order of the table."""
        return _index_pairs(self.possible)

    @property
    def pairs_possible(self) -> int:
        """Number of pairs of conditions of different factors that can co-occur."""
        return int(_upper(self.possible).sum())

    @property
    def pairs_asked(self) -> int:
        """Number of these pairs that were tested."""
        return int(_upper(self.possible & (self.asked > 0)).sum())

    @property
    def missing(self) -> list[tuple[int, int]]:
        """Pairs that can co-occur and were not tested, in the order of the table."""
        return list(_index_pairs(self.possible & (self.asked == 0)))

    @property
    def missing_alone(self) -> list[int]:
        """Conditions that can hold and were not tested, in the order of the table."""
        return [n for n in range(len(self.conditions)) if self.possible[n, n] and not self.asked[n, n]]

    def number_of(self, name: str) -> int | None:
        """Return the index of a condition; None if it does not apply to the operator."""
        return next((n for n, one in enumerate(self.conditions) if one.name == name), None)


def _upper(flags: Flags) -> Flags:
    """Part of a symmetric array above its diagonal, with zeros elsewhere."""
    import numpy as np

    return np.triu(flags, 1)


def _index_pairs(flags: Flags) -> Iterator[tuple[int, int]]:
    """Yield the index pairs above the diagonal where a flag is set, row by row."""
    import numpy as np

    rows, columns = np.nonzero(_upper(flags))
    return zip(rows.tolist(), columns.tolist(), strict=True)


def measure_coverage(operator: Operator, asked: Collection[str], planned: Collection[str] = ()) -> Coverage:
    """Count the conditions that hold in problems of one operator. Conditions that do not apply to it are omitted.

    asked: canonical lines of the problems that were tested. planned: those of the plan, usually more.
    A pair that co-occurs in any of the lines is possible, even if `find_possible` did not find it.
    """
    import numpy as np

    done = set(asked)
    left = set(planned) - done
    conditions = conditions_for(operator)
    kept = [number for number, one in enumerate(conditions) if applies(one, operator)]
    factors = np.array([conditions[number].factor for number in kept])
    apart = (factors[:, None] != factors[None, :]) | np.eye(len(kept), dtype=bool)
    chosen = np.ix_(kept, kept)
    every = _count_plan(operator, frozenset(done | left))
    counted = every - count_together(operator, left) if len(left) < len(done) else count_together(operator, done)
    every, counted = every[chosen], counted[chosen]
    return Coverage(
        operator=operator, problems_asked=len(done), problems_planned=len(done) + len(left),
        conditions=tuple(conditions[number] for number in kept), asked=counted, planned=every,
        possible=(find_possible(operator).together[chosen] | (every > 0)) & apart,
    )  # fmt: skip


def count_together(operator: Operator, lines: Collection[str]) -> Counts:
    """Count the problems in which each two conditions of `conditions_for` hold; on the diagonal, in which each holds.

    Shape (conditions,) * 2. It is M^T M for the matrix M of problems by conditions that hold, computed on bits: BLAS
    takes 50 times as long for matrices of this size, because its threads wait for each other.
    lines: canonical lines of problems of the operator.
    """
    import numpy as np

    flags = b"".join(map(_flags_of_line, lines))
    met = np.frombuffer(flags, dtype=np.uint8).reshape(len(lines), len(conditions_for(operator)))
    bits = np.packbits(np.pad(met, ((0, -len(lines) % 64), (0, 0))), axis=0)
    words = np.ascontiguousarray(bits.T).view(np.uint64)
    return np.array([np.bitwise_count(words & one).sum(axis=1, dtype=np.int64) for one in words])


@lru_cache(maxsize=PLANS)
def _count_plan(operator: Operator, lines: frozenset[str]) -> Counts:
    """Result of `count_together` for a plan, which most backends of a run have in common."""
    return count_together(operator, lines)


@lru_cache(maxsize=REMEMBERED)
def _flags_of_line(line: str) -> bytes:
    """A byte for every condition, for the line of any operator."""
    return _met(_shared_line(line))


def _shared_line(line: str) -> str:
    """Line of the forward problem of a gradient, without its data: the same conditions hold for it."""
    name, _, rest = DATA.sub("", line).partition(" ")
    operator = Operator(name)
    return line if operator.spec.transposed else f"{representative(operator)} {rest}"


@lru_cache(maxsize=REMEMBERED)
def _met(line: str) -> bytes:
    """A byte for every condition: 1 if it holds for the problem of a line, else 0."""
    return flags_of(parse_line(line))


def list_gaps(coverage: Coverage) -> list[Gap]:
    """Return the gaps, grouped: first conditions that no problem contains, then planned ones that were not run.

    Pairs with a condition that was not tested at all are omitted.
    """
    conditions, alone = coverage.conditions, set(coverage.missing_alone)
    pairs: dict[tuple[CoverageState, int | None], list[int]] = {}
    for n in sorted(alone):
        pairs.setdefault((coverage.state(n, n), None), []).append(n)
    for a, b in coverage.missing:
        if a not in alone and b not in alone:
            pairs.setdefault((coverage.state(a, b), a), []).append(b)
    found = [
        Gap(state=state, condition=None if a is None else conditions[a], others=tuple(conditions[b] for b in others))
        for (state, a), others in pairs.items()
    ]
    return sorted(found, key=lambda gap: gap.state != "never asked")  # stable


def list_conditions(coverages: Iterable[Coverage]) -> list[tuple[str, str]]:
    """Return factor and name of every condition of these operators, sorted by factor, without duplicates."""
    found = dict.fromkeys((one.factor, one.name) for coverage in coverages for one in coverage.conditions)
    factors = list(dict.fromkeys(factor for factor, _ in found))
    return sorted(found, key=lambda row: factors.index(row[0]))

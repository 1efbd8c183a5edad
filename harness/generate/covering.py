"""A fixed set of problems that covers every three values of different parameters (a covering array of strength 3).

Real faults need two or three conditions at once (groups with stride and padding, ceil mode with the divisor). All
triples are therefore enough, and a few hundred problems contain them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from harness.generate import domains
from harness.generate.build import Choices, build_problem, fitting_regimes
from harness.generate.dispatch.possible import reads_nothing
from harness.generate.domains import Pair, Value
from harness.plan.suite import NamedProblem
from harness.problems.numerics import DTYPES, Dtype
from harness.problems.operator import Operator
from harness.problems.problem import LAYOUTS, REGIMES, Problem, Regime
from harness.problems.validation import read_word

Row = dict[str, Value]


@cache
def covering_problems() -> tuple[NamedProblem, ...]:
    """Build the problems covering/000, covering/001, ...; deterministic in content and order."""
    rows = [
        *cover(domains.COVERED_CONVOLUTIONS, domains.FORBIDDEN), *cover(domains.COVERED_POOLS, domains.FORBIDDEN_POOLS)
    ]  # fmt: skip
    return tuple(
        NamedProblem(name=f"covering/{number:03d}", problem=problem_of(row, number)) for number, row in enumerate(rows)
    )


def problem_of(row: Row, number: int) -> Problem:
    """Build the problem of a row; values without a parameter (batch, remainder, other data) cycle with its number.

    The next remainder is taken where all windows would read nothing but padding.
    """
    strides = domains.STRIDES[row["stride"]]
    tries = (_build(row, number, number + further) for further in range(max(strides)))
    return next((one for one in tries if not reads_nothing(one)), None) or _build(row, number, number)


def _build(row: Row, number: int, remainder: int) -> Problem:
    operator, axes = Operator(str(row["operator"])), int(row["axes"])
    width, channels, groups = int(row["width"]), int(row["channels"]), row.get("groups", "one")
    depthwise, dtype = groups == "depthwise", read_word("dtype", row["dtype"], DTYPES)
    return build_problem(
        Choices(
            operator=operator,
            out=(*domains.OTHER_SIZES[: axes - 1], width),
            kernel=domains.KERNELS[row["kernel"]][-axes:],
            stride=domains.STRIDES[row["stride"]][-axes:],
            dilation=domains.DILATIONS[row["dilation"]][-axes:],
            begin=domains.BEGINS[row["begin"]][-axes:],
            end=domains.ENDS[row["end"]][-axes:],
            remainder=tuple(remainder + axis for axis in range(axes)),
            batch=1 + number % 2,
            channels=1 if depthwise else channels,
            groups=channels if depthwise else 2 if groups == "two" else 1,
            outputs=int(row.get("outputs", 1)),
            bias=row.get("extra") == "bias",
            flip=row.get("extra") == "flip",
            ceil=row.get("rounding") == "ceil",
            exclude_pad=row.get("divisor") == "exclude",
            dtype=dtype,
            layout=read_word("layout", row["layout"], LAYOUTS),
            data=_data(str(row["data"]), operator, dtype, number),
        )
    )


def _data(name: str, operator: Operator, dtype: Dtype, number: int) -> Regime:
    """Data regime of a row; "other" cycles through the regimes that no row names."""
    if name != "other":
        return read_word("data", name, REGIMES)
    named = domains.COVERED_CONVOLUTIONS["data"]
    others = [regime for regime in fitting_regimes(operator, dtype) if regime not in named]
    return others[number % len(others)]


def cover(parameters: Mapping[str, Sequence[Value]], forbidden: Iterable[Pair] = ()) -> list[Row]:
    """Build rows that contain every three values of different parameters and no forbidden pair.

    Algorithm: IPOG (Lei, Kacker, Kuhn, Okun and Lawrence, 2008). Rows of the first parameters are extended by one
    parameter at a time, each time with the value that covers most triples; rows for the missing triples are appended.
    Sets of pairs are bits of one integer.
    parameters: values by name. forbidden: pairs (name, value). Every parameter needs a value that no other one forbids.
    """
    names = sorted(parameters, key=lambda name: -len(parameters[name]))  # columns with many values first: fewer rows
    items = [(name, value) for name in names for value in parameters[name]]
    spots = {item: number for number, item in enumerate(items)}
    columns = [[spots[name, value] for value in parameters[name]] for name in names]
    banned = {frozenset((spots[a], spots[b])) for a, b in forbidden if a in spots and b in spots}
    array = _Array(columns, banned)
    return [dict(sorted((items[spot] for spot in row), key=lambda item: list(parameters).index(item[0])))
            for row in array.rows]  # fmt: skip


class _Array:
    """The covering array during construction; each value of each column has a number, its spot."""

    def __init__(self, columns: list[list[int]], banned: set[frozenset[int]]) -> None:
        self.columns, self.total = columns, sum(map(len, columns))
        spots = range(self.total)
        self.conflicts = [{b for b in spots if frozenset((a, b)) in banned} for a in spots]
        self.column_of = {spot: number for number, column in enumerate(columns) for spot in column}
        self.rows = [row for row in map(list, itertools.product(*columns[:3])) if not self.clash(row)]
        self.masks = [self.pairs(row) for row in self.rows]
        for number in range(3, len(columns)):
            self.grow(number)

    def clash(self, row: Sequence[int]) -> bool:
        return any(b in self.conflicts[a] for a, b in itertools.combinations(row, 2))

    def pairs(self, row: Sequence[int]) -> int:
        """Pairs of spots in a row, as bits."""
        return sum(1 << (a * self.total + b) for a, b in itertools.combinations(row, 2))

    def grow(self, number: int) -> None:
        """Extend every row by a spot of the next column, then append rows for the missing triples."""
        missing = {spot: self.missing(number, spot) for spot in self.columns[number]}
        for place, row in enumerate(self.rows):
            free = [spot for spot in self.columns[number] if self.conflicts[spot].isdisjoint(row)]
            free = free[place % len(free) :] + free[: place % len(free)]  # break ties in turn
            best = max(free, key=lambda spot: (self.masks[place] & missing[spot]).bit_count())
            missing[best] &= ~self.masks[place]
            self.masks[place] |= sum(1 << (spot * self.total + best) for spot in row)
            row.append(best)
        added: list[dict[int, int]] = []
        for spot, bits in missing.items():
            while bits:
                bit = bits.bit_length() - 1
                bits ^= 1 << bit
                self.place({number: spot} | {self.column_of[s]: s for s in divmod(bit, self.total)}, added)
        for partial in added:
            row = self.fill(partial, number)
            self.rows.append(row)
            self.masks.append(self.pairs(row))

    def missing(self, number: int, spot: int) -> int:
        """All pairs of spots in earlier columns that must occur together with this spot."""
        before = [[s for s in column if s not in self.conflicts[spot]] for column in self.columns[:number]]
        bits = 0
        for first, second in itertools.combinations(before, 2):
            for a in first:
                bits += sum(1 << (a * self.total + b) for b in second if b not in self.conflicts[a])
        return bits

    def place(self, triple: dict[int, int], added: list[dict[int, int]]) -> None:
        """Insert three spots into the first added row that admits them, or into a new one."""
        for partial in added:
            if all(partial.get(column, spot) == spot for column, spot in triple.items()):
                joined = partial | triple
                if not self.clash(sorted(joined.values())):
                    partial.update(triple)
                    return
        added.append(triple)

    def fill(self, partial: dict[int, int], number: int) -> list[int]:
        """Complete a row: empty columns take their values in turn."""
        for column in range(number + 1):
            if column not in partial:
                free = [s for s in self.columns[column] if self.conflicts[s].isdisjoint(partial.values())]
                partial[column] = free[len(self.rows) % len(free)]
        return [partial[column] for column in range(number + 1)]

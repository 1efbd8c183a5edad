"""A fixed set of problems in which every three values of different parameters meet, by a covering array.

Real faults need two or three things at once (groups with stride and padding, the ceil rule with the divisor), so that
every combination of three is enough, and a few hundred problems hold all of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from harness.generate import domains
from harness.generate.build import Choices, build_problem, fitting_regimes
from harness.generate.domains import Pair, Value
from harness.plan.suite import NamedProblem
from harness.problems.operator import Operator
from harness.problems.problem import Problem

Row = dict[str, Value]


@cache
def covering_problems() -> tuple[NamedProblem, ...]:
    """Problems named covering/000, covering/001, ...; the same ones in the same order every time."""
    rows = [
        *cover(domains.COVERED_CONVOLUTIONS, domains.FORBIDDEN), *cover(domains.COVERED_POOLS, domains.FORBIDDEN_POOLS)
    ]  # fmt: skip
    return tuple(
        NamedProblem(name=f"covering/{number:03d}", problem=problem_of(row, number)) for number, row in enumerate(rows)
    )


def problem_of(row: Row, number: int) -> Problem:
    """The problem of a row; what no parameter says (batch, remainder, which other data) goes round with its number."""
    operator, axes = Operator(str(row["operator"])), int(row["axes"])
    width, channels, groups = int(row["width"]), int(row["channels"]), row.get("groups", "one")
    depthwise = groups == "depthwise"
    return build_problem(
        Choices(
            operator=operator,
            out=(*domains.OTHER_SIZES[: axes - 1], width),
            kernel=domains.KERNELS[row["kernel"]][-axes:],
            stride=domains.STRIDES[row["stride"]][-axes:],
            dilation=domains.DILATIONS[row["dilation"]][-axes:],
            begin=domains.BEGINS[row["begin"]][-axes:],
            end=domains.ENDS[row["end"]][-axes:],
            remainder=tuple(number + axis for axis in range(axes)),
            batch=1 + number % 2,
            channels=1 if depthwise else channels,
            groups=channels if depthwise else 2 if groups == "two" else 1,
            outputs=int(row.get("outputs", 1)),
            bias=row.get("extra") == "bias",
            flip=row.get("extra") == "flip",
            ceil=row.get("rounding") == "ceil",
            exclude_pad=row.get("divisor") == "exclude",
            dtype=str(row["dtype"]),
            layout=str(row["layout"]),
            data=_data(str(row["data"]), operator, str(row["dtype"]), number),
        )
    )


def _data(name: str, operator: Operator, dtype: str, number: int) -> str:
    """The regime of a row; "other" goes round through those that no row names."""
    if name != "other":
        return name
    named = domains.COVERED_CONVOLUTIONS["data"]
    others = [regime for regime in fitting_regimes(operator, dtype) if regime not in named]
    return others[number % len(others)]


def cover(parameters: Mapping[str, Sequence[Value]], forbidden: Iterable[Pair] = ()) -> list[Row]:
    """Rows in which every three values of different parameters meet, without any forbidden pair.

    By IPOG (Lei, Kacker, Kuhn, Okun and Lawrence, 2008): the rows of the first parameters are lengthened by one
    parameter after the other, each time by the value that covers most; what is then missing is added below.
    Sets of pairs are the bits of one number. Every parameter must have a value that no other one forbids.
    """
    names = sorted(parameters, key=lambda name: -len(parameters[name]))  # long ones first: fewer rows
    items = [(name, value) for name in names for value in parameters[name]]
    spots = {item: number for number, item in enumerate(items)}
    columns = [[spots[name, value] for value in parameters[name]] for name in names]
    banned = {frozenset((spots[a], spots[b])) for a, b in forbidden if a in spots and b in spots}
    array = _Array(columns, banned)
    return [dict(sorted((items[spot] for spot in row), key=lambda item: list(parameters).index(item[0])))
            for row in array.rows]  # fmt: skip


class _Array:
    """The array while it grows; a value is a spot, numbered through all columns."""

    def __init__(self, columns: list[list[int]], banned: set[frozenset[int]]) -> None:
        self.columns, self.total = columns, sum(map(len, columns))
        spots = range(self.total)
        self.foes = [{b for b in spots if frozenset((a, b)) in banned} for a in spots]
        self.column_of = {spot: number for number, column in enumerate(columns) for spot in column}
        self.rows = [row for row in map(list, itertools.product(*columns[:3])) if not self.clash(row)]
        self.masks = [self.pairs(row) for row in self.rows]
        for number in range(3, len(columns)):
            self.grow(number)

    def clash(self, row: Sequence[int]) -> bool:
        return any(b in self.foes[a] for a, b in itertools.combinations(row, 2))

    def pairs(self, row: Sequence[int]) -> int:
        """The pairs of spots that meet in a row."""
        return sum(1 << (a * self.total + b) for a, b in itertools.combinations(row, 2))

    def grow(self, number: int) -> None:
        """Give every row a spot of one more column, then add the rows that are still missing."""
        missing = {spot: self.missing(number, spot) for spot in self.columns[number]}
        for place, row in enumerate(self.rows):
            free = [spot for spot in self.columns[number] if self.foes[spot].isdisjoint(row)]
            free = free[place % len(free) :] + free[: place % len(free)]  # ties go round
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
        """All pairs of spots before a column that must meet with this spot of it."""
        before = [[s for s in column if s not in self.foes[spot]] for column in self.columns[:number]]
        bits = 0
        for first, second in itertools.combinations(before, 2):
            for a in first:
                bits += sum(1 << (a * self.total + b) for b in second if b not in self.foes[a])
        return bits

    def place(self, triple: dict[int, int], added: list[dict[int, int]]) -> None:
        """Put three spots into the first added row where they fit, or into a new one."""
        for partial in added:
            if all(partial.get(column, spot) == spot for column, spot in triple.items()):
                joined = partial | triple
                if not self.clash(sorted(joined.values())):
                    partial.update(triple)
                    return
        added.append(triple)

    def fill(self, partial: dict[int, int], number: int) -> list[int]:
        """A whole row: columns that are still free take values in turn."""
        for column in range(number + 1):
            if column not in partial:
                free = [s for s in self.columns[column] if self.foes[s].isdisjoint(partial.values())]
                partial[column] = free[len(self.rows) % len(free)]
        return [partial[column] for column in range(number + 1)]

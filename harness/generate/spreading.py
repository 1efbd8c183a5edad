"""Choice of the problems on which each law is asked: not all of them, but every two values of different factors.

A law that knows every element of the answer is asked everywhere. Any other law states one property, which a fault
breaks under one or two conditions: a dtype, a stride with a dilation, a layout with several threads. Of the problems to
which a law applies, those are asked that bring together every two values that meet in any of them, and in which every
condition of the model of dispatch holds that holds in any of them. A backend may lack short dtypes: nothing is left to
them that problems in a common one bring together.
"""

from __future__ import annotations

import functools
import operator
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.generate.dispatch.flags import flags_of
from harness.laws.law import Law
from harness.machine.threads import ONE, deal_threads
from harness.plan.suite import NamedProblem
from harness.problems.problem import Problem
from harness.problems.window import Sizes

EVERYWHERE = "reference"  # role of laws that are asked of all problems
COMMON = ("float32", "float64")  # dtypes that hardly any backend lacks


def _class_steps(steps: Sizes) -> str:
    return "one" if max(steps) == 1 else "equal" if len(set(steps)) == 1 else "unequal"


def _class_padding(p: Problem) -> str:
    sides = p.window.padding
    if not any(side for pair in sides for side in pair):
        return "none"
    return "even" if all(begin == end for begin, end in sides) else "uneven"


def _class_groups(p: Problem) -> str:
    return "one" if p.window.groups == 1 else "depthwise" if p.w is not None and p.w[1] == 1 else "several"


def _class_kernel(p: Problem) -> str:
    return "one tap" if max(p.kernel) == 1 else "whole" if p.kernel == p.forward_spatial else "part"


FACTORS: Mapping[str, Callable[[Problem], Hashable]] = {
    "axes": lambda p: p.axes,
    "dtype": lambda p: p.dtype,
    "layout": lambda p: p.layout,
    "data": lambda p: p.data,
    "images": lambda p: min(p.x[0], 2),
    "kernel": _class_kernel,
    "stride": lambda p: _class_steps(p.window.stride),
    "dilation": lambda p: _class_steps(p.window.dilation),
    "padding": _class_padding,
    "groups": _class_groups,
    "bias": lambda p: p.bias,
    "flip": lambda p: p.flip,
    "rounding": lambda p: p.window.ceil_mode,
    "divisor": lambda p: p.window.count_include_pad,
    "output padding": lambda p: any(p.output_padding or ()),
}


def spread_laws(
    problems: Sequence[NamedProblem], laws: Sequence[Law], once: Collection[str] = ()
) -> tuple[NamedProblem, ...]:
    """Return the problems, each with the laws that are asked on others in its place (`NamedProblem.spared`).

    problems: of operators, to be asked all laws that apply.
    laws: of their suite.
    once: names of laws for which each value of a factor is enough, in place of every two.
    """
    alike: dict[Hashable, dict[int, Problem]] = defaultdict(dict)
    for number, named in enumerate(problems):
        problem = named.problem
        assert isinstance(problem, Problem), "laws are spread over problems of operators"
        alike[problem.operator][number] = problem
    spared: list[list[str]] = [[] for _ in problems]
    for some in alike.values():
        numbers, choice = tuple(some), _Choice.of(tuple(some.values()))
        for law in laws:
            if law.role == EVERYWHERE:
                continue
            for place in choice.list_spared(law, in_pairs=law.name not in once):
                spared[numbers[place]].append(law.name)
    return tuple(replace(named, spared=tuple(names)) for named, names in zip(problems, spared, strict=True))


@dataclass(frozen=True, slots=True)
class _Choice:
    """Problems of an operator, with what each would contribute, as bits.

    values: a bit for each value of a factor. pairs: a bit for each two values. conditions: a bit for each.
    width: of the values.
    """

    problems: tuple[Problem, ...]
    values: tuple[int, ...]
    pairs: tuple[int, ...]
    conditions: tuple[int, ...]
    width: int

    @classmethod
    def of(cls, problems: tuple[Problem, ...]) -> _Choice:
        """Count the values of problems of one operator."""
        rows = [[(name, value_of(p)) for name, value_of in FACTORS.items()] for p in problems]
        places = {value: place for place, value in enumerate(dict.fromkeys(value for row in rows for value in row))}
        width, values = len(places), tuple(sum(1 << places[value] for value in row) for row in rows)
        pairs = (sum(bits << places[value] * width for value in row) for row, bits in zip(rows, values, strict=True))
        conditions = (int.from_bytes(flags_of(p), "little") for p in problems)
        return cls(problems, values, tuple(pairs), tuple(conditions), width)

    def list_spared(self, law: Law, *, in_pairs: bool) -> list[int]:
        """Return the places of problems to which a law applies, but which others that are asked it stand for.

        in_pairs: whether every two values must meet.
        In a dtype that is not common, each value must occur, and what meets in no common one must meet.
        """
        offered = [place for place, p in enumerate(self.problems) if law.applies(p)]
        common, short = dict[int, int](), defaultdict[str, dict[int, int]](dict)
        for place in offered:
            p = self.problems[place]
            some = common if p.dtype in COMMON else short[p.dtype]
            some[place] = self._bits(place, deal_threads(p.line, law.name), in_pairs=in_pairs)
        met, kept = functools.reduce(operator.or_, common.values(), 0), cover(common)
        for some in short.values():
            kept |= cover({place: bits & ~met | self.values[place] for place, bits in some.items()})
        return [place for place in offered if place not in kept]

    def _bits(self, place: int, threads: int, *, in_pairs: bool) -> int:
        """Return all that a problem contributes. The number of threads, which a law decides, is a factor as well."""
        values, width = self.values[place], self.width
        parts = (values, 1 << (threads == ONE), values << (threads == ONE) * width, self.pairs[place])
        lengths, found, shift = (width, 2, 2 * width, width * width), 0, 0
        for part, length, counts in zip(parts, lengths, (True, True, in_pairs, in_pairs), strict=True):
            found |= part << shift if counts else 0
            shift += length
        return found | self.conditions[place] << shift


def cover(offered: Mapping[int, int]) -> set[int]:
    """Return few keys whose bits together are all bits that are offered, greedily: each time the key that adds most."""
    left = functools.reduce(operator.or_, offered.values(), 0)
    kept: set[int] = set()
    while left:
        best = max(offered, key=lambda key: (offered[key] & left).bit_count())
        left &= ~offered[best]
        kept.add(best)
    return kept

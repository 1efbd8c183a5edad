"""Summary of observed behaviour of a backend: the most frequent value, then the others with their conditions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

from harness.networks.problem import is_network_line, split_line
from harness.problems.line import parse_line
from harness.problems.operator import Operator
from harness.problems.problem import Problem

Case = tuple[str, str]  # problem line, observed value
_LIST = re.compile(r"[(\[]\d+(?:, \d+)*,?[)\]]")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.])")
_HOLE = "\0"  # placeholder of a number
_FAMILIES: dict[str, Callable[[str], bool]] = {
    "pools": lambda operator: "pool" in operator,
    "convolutions": lambda operator: "pool" not in operator,
    "gradients": lambda operator: operator.endswith("_grad"),
    "forward": lambda operator: not operator.endswith("_grad"),
}
# Properties that may distinguish the problems with one value from the others, the simplest first.
_ASPECTS: tuple[Callable[[Problem], str], ...] = (
    lambda problem: problem.operator.value,
    lambda problem: problem.dtype,
    lambda problem: f"math={problem.math}",
    lambda problem: "include_pad" if problem.window.count_include_pad else "exclude_pad",
    lambda problem: f"{problem.axes}-D",
    lambda problem: problem.layout,
    lambda problem: f"data={problem.data}",
    lambda problem: "one group" if problem.window.groups == 1 else "groups",
)


def describe_observed(cases: Sequence[Case]) -> str:
    """Summarise observations on some problems, as in `taken; raises ValueError (pools)`; empty without observations.

    cases: pairs of a problem line and the observed value.
    The first value is the most frequent one; it holds for all problems that no other value names. Each other value is
    followed by the property that distinguishes its problems (operators, dtypes, ...), or else by its share.
    """
    merged = _merge([(line, value.replace("; ", ", ")) for line, value in cases])
    found = [value for value, _ in Counter(value for _, value in merged).most_common()]
    return "; ".join([*found[:1], *(f"{value} ({_where(merged, value)})" for value in found[1:])])


def _merge(cases: Sequence[Case]) -> list[Case]:
    """Merge values that differ only in numbers: shapes and positions are left out, numbers become a range."""
    alike: dict[str, set[str]] = {}
    for _, value in cases:
        alike.setdefault(_form(value), set()).add(value)
    names = {value: _join(form, values) for form, values in alike.items() for value in values}
    return [(line, names[value]) for line, value in cases]


def _form(value: str) -> str:
    """The value without its numbers; digits inside a word (float32) stay."""
    return _NUMBER.sub(_HOLE, _LIST.sub("(…)", value))


def _join(form: str, values: set[str]) -> str:
    if len(values) == 1:
        return next(iter(values))
    rows = zip(*(_NUMBER.findall(_LIST.sub("(…)", value)) for value in values), strict=True)
    ranges = (sorted(set(row), key=float) for row in rows)
    texts = iter([row[0] if len(row) == 1 else f"{row[0]} to {row[-1]}" for row in ranges])
    return re.sub(_HOLE, lambda _: next(texts), form)


def _where(cases: Sequence[Case], value: str) -> str:
    """Property that distinguishes the problems with this value, or their share.

    A property distinguishes them if its values on these problems occur on no other problem.
    """
    told = [_tell_apart(line) for line, _ in cases]
    for aspects in zip(*told, strict=False):
        own = {aspect for aspect, (_, found) in zip(aspects, cases, strict=True) if found == value}
        others = {aspect for aspect, (_, found) in zip(aspects, cases, strict=True) if found != value}
        if not own & others:
            return _name(own, own | others)
    return f"{sum(found == value for _, found in cases)} of {len(cases)}"


def _name(chosen: set[str], among: set[str]) -> str:
    """Names, or the name of a family if they are all of its operators that were asked."""
    if among <= {operator.value for operator in Operator}:
        for family, belongs in _FAMILIES.items():
            if len(chosen) > 1 and chosen == {name for name in among if belongs(name)}:
                return family
    return ", ".join(sorted(chosen))


@lru_cache(maxsize=4096)
def _tell_apart(line: str) -> tuple[str, ...]:
    """Properties of a problem, the simplest first; for a network, its name, work and input."""
    if is_network_line(line):
        return split_line(line)
    problem = parse_line(line)
    return tuple(aspect(problem) for aspect in _ASPECTS)

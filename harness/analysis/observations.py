"""What a backend was observed to do, in few words: the most frequent value, then the others with where they hold."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

from harness.networks.problem import is_network_line, split_line
from harness.problems.line import parse_line
from harness.problems.operator import Operator
from harness.problems.problem import Problem

Case = tuple[str, str]  # problem line, and what was observed on it
_LIST = re.compile(r"[(\[]\d+(?:, \d+)*,?[)\]]")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.])")
_HOLE = "\0"  # stands where a number stood
_FAMILIES: dict[str, Callable[[str], bool]] = {
    "pools": lambda operator: "pool" in operator,
    "convolutions": lambda operator: "pool" not in operator,
    "gradients": lambda operator: operator.endswith("_grad"),
    "forward": lambda operator: not operator.endswith("_grad"),
}
# By what the problems with one value may be told from the others, the plainest first.
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
    """Write what was observed on some problems, as `taken; raises ValueError (pools)`; empty where nothing was.

    The first value is the most frequent one and holds wherever no other does. Behind the others stands what tells
    their problems from the rest (operators, dtypes, ...), or else their share.
    """
    merged = _merge([(line, value.replace("; ", ", ")) for line, value in cases])
    found = [value for value, _ in Counter(value for _, value in merged).most_common()]
    return "; ".join([*found[:1], *(f"{value} ({_where(merged, value)})" for value in found[1:])])


def _merge(cases: Sequence[Case]) -> list[Case]:
    """Make one value of those that differ in numbers alone: shapes and places are left out, numbers become a range."""
    alike: dict[str, set[str]] = {}
    for _, value in cases:
        alike.setdefault(_form(value), set()).add(value)
    names = {value: _join(form, values) for form, values in alike.items() for value in values}
    return [(line, names[value]) for line, value in cases]


def _form(value: str) -> str:
    """The value without its numbers; those that belong to a word (float32) stay."""
    return _NUMBER.sub(_HOLE, _LIST.sub("(…)", value))


def _join(form: str, values: set[str]) -> str:
    if len(values) == 1:
        return next(iter(values))
    rows = zip(*(_NUMBER.findall(_LIST.sub("(…)", value)) for value in values), strict=True)
    ranges = (sorted(set(row), key=float) for row in rows)
    texts = iter([row[0] if len(row) == 1 else f"{row[0]} to {row[-1]}" for row in ranges])
    return re.sub(_HOLE, lambda _: next(texts), form)


def _where(cases: Sequence[Case], value: str) -> str:
    """What tells the problems with this value from the others: an aspect of all of them and of no other, or a share."""
    told = [_tell_apart(line) for line, _ in cases]
    for aspects in zip(*told, strict=False):
        own = {aspect for aspect, (_, found) in zip(aspects, cases, strict=True) if found == value}
        others = {aspect for aspect, (_, found) in zip(aspects, cases, strict=True) if found != value}
        if not own & others:
            return _name(own, own | others)
    return f"{sum(found == value for _, found in cases)} of {len(cases)}"


def _name(chosen: set[str], among: set[str]) -> str:
    """Names in short: a family of operators where they are all of it that was asked."""
    if among <= {operator.value for operator in Operator}:
        for family, belongs in _FAMILIES.items():
            if len(chosen) > 1 and chosen == {name for name in among if belongs(name)}:
                return family
    return ", ".join(sorted(chosen))


@lru_cache(maxsize=4096)
def _tell_apart(line: str) -> tuple[str, ...]:
    """By what a problem may be told from others, the plainest first: of a network its name, its pass and its input."""
    if is_network_line(line):
        return split_line(line)
    problem = parse_line(line)
    return tuple(aspect(problem) for aspect in _ASPECTS)

"""Facts of a problem line, and patterns of it, by which claims select problems."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from harness.errors import HarnessError
from harness.networks.problem import is_network_line
from harness.problems.line import parse_line
from harness.problems.numerics import Dtype
from harness.problems.problem import Layout, Problem

# What a problem may have beyond its shapes: the words of its line, and what is no word of its own there.
WINDOWS = (
    "bias", "stride", "pad", "uneven-pad", "dilation", "groups", "output_padding", "ceil", "exclude_pad", "flip",
    "empty", "tf32",
)  # fmt: skip
AXES = (1, 2, 3)
REMEMBERED = 2**16  # lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts of a problem of one operator.

    windows: the words of WINDOWS that hold. `uneven-pad` is a padding with another width at the end of an axis than at
    its beginning, `empty` a size of 0, `tf32` a problem that permits inputs rounded to TF32.
    """

    operator: str
    dtype: Dtype
    layout: Layout
    axes: int
    windows: frozenset[str]


@lru_cache(REMEMBERED)
def read_facts(line: str) -> Facts | None:
    """Return the facts of a problem line; None for a network, and for a text that is no problem line."""
    try:
        return None if is_network_line(line) else find_facts(parse_line(line))
    except HarnessError:  # a damaged record
        return None


def find_facts(problem: Problem) -> Facts:
    """Return the facts of a problem."""
    window, ones = problem.window, (1,) * problem.axes
    holds = {
        "bias": problem.bias,
        "stride": window.stride != ones,
        "pad": any(side for pair in window.padding for side in pair),
        "uneven-pad": any(begin != end for begin, end in window.padding),
        "dilation": window.dilation != ones,
        "groups": window.groups != 1,
        "output_padding": any(problem.output_padding or ()),
        "ceil": window.ceil_mode,
        "exclude_pad": not window.count_include_pad,
        "flip": problem.flip,
        "empty": 0 in problem.x or 0 in (problem.w or ()),
        "tf32": problem.math == "tf32",
    }
    return Facts(
        operator=problem.operator.value, dtype=problem.dtype, layout=problem.layout, axes=problem.axes,
        windows=frozenset(word for word in WINDOWS if holds[word]),
    )  # fmt: skip


def matches(pattern: str, text: str) -> bool:
    """Return True if a text has the form of a pattern, in which `*` stands for any characters.

    The time grows with the product of both lengths at most, whatever they are.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    *middle, last = rest
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    place, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True

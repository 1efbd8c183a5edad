"""Pairs of conditions that no problem can meet, with the reasons.

A search for problems (`possible.py`) finds exactly these pairs; the tests compare both. A report uses this table, since
the search builds 16 000 problems. A pair that is missing here counts as possible, and appears as never asked.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.generate.dispatch.conditions import conditions_for
from harness.generate.dispatch.possible import Possible
from harness.problems.operator import Operator


@dataclass(frozen=True, slots=True)
class Apart:
    """Conditions that exclude each other: each of `some` excludes each of `others`. reason: why, in words."""

    some: tuple[str, ...]
    others: tuple[str, ...]
    reason: str


APART = (
    Apart(
        ("kernel 1x1", "kernel 1-D 1", "kernel 1x1x1", "kernel of one tap"),
        ("padding same", "padding wide", "padding causal", "dilation 2", "dilation 4", "dilation 12 or more"),
        "one tap reaches no neighbour: it has nothing to dilate, and no padding follows from its reach",
    ),
    Apart(
        ("kernel 1x1", "kernel 1-D 1", "kernel 1x1x1", "kernel of one tap"),
        ("stride = kernel",),
        "a stride of 1 is that of any kernel, and has a condition of its own",
    ),
    Apart(("kernel 1-D 1", "kernel 1-D 2", "kernel 1-D 3"), ("stride unequal",), "one axis has one stride"),
    Apart(("kernel 1-D 1", "kernel 1-D 2", "kernel 1-D 3"), ("square planes",), "one axis is no plane"),
    Apart(("stride 1",), ("input of whole strides",), "every size is a multiple of 1"),
    Apart(("C = 1", "C = 3"), ("groups of 4 and more channels",), "1 and 3 are below 4"),
    Apart(("C = 1", "O = 1"), ("depthwise", "depthwise with a multiplier"), "depthwise has several channels"),
    Apart(("O = 3",), ("depthwise with a multiplier",), "channels times a multiplier is no prime number"),
)


def find_possible(operator: Operator) -> Possible:
    """Return the conditions of `conditions_for`, and the pairs of them that can co-occur in a problem.

    Pairs of the same factor count as possible, because nothing asks for them.
    """
    import numpy as np

    conditions = conditions_for(operator)
    places = {one.name: place for place, one in enumerate(conditions)}
    together = np.ones((len(conditions),) * 2, dtype=bool)
    for apart in APART:
        for a in apart.some:
            for b in apart.others:
                if a in places and b in places:
                    together[places[a], places[b]] = together[places[b], places[a]] = False
    return Possible(conditions=conditions, together=together)

"""Selection of few problems from many, so that every three conditions that can co-occur do co-occur in one of them.

Each problem costs every backend some milliseconds; one that adds few new triples is not worth its time. The state is a
list `missing`: for each condition, as bits, the pairs of earlier conditions that have not yet co-occurred with it.
"""

from __future__ import annotations

import functools
import heapq
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Met:
    """The conditions of a problem.

    places: indices of the conditions that hold, rising. pairs: bits b * width + c for all c < b among them.
    """

    places: tuple[int, ...]
    pairs: int

    @classmethod
    def of(cls, flags: bytes) -> Met:
        """Build from a byte for each condition, 1 if it holds."""
        places = tuple(place for place, flag in enumerate(flags) if flag)
        below = pairs = 0
        for place in places:
            pairs |= below << (place * len(flags))
            below |= 1 << place
        return cls(places, pairs)


def choose(candidates: Sequence[bytes], met: Iterable[bytes], least: int) -> list[int]:
    """Select candidates greedily: each time the one with most triples that no earlier problem contains. Return indices.

    Greedy covering, within 1 - 1/e of the best selection of that size (Nemhauser, Wolsey and Fisher, 1978). Counts are
    updated only for the first candidate in the heap, since they never rise (Minoux, 1978).

    candidates: a byte for each condition, 1 if it holds, of the problems to choose from. met: the same of problems that
        are tested in any case. least: number of new triples that makes a candidate worth its cost.
    """
    if not candidates:
        return []
    missing = start_missing(len(candidates[0]))
    for flags in met:
        strike(missing, Met.of(flags))
    rows = [Met.of(flags) for flags in candidates]
    heap = [(-count_new(missing, row), number) for number, row in enumerate(rows)]
    heapq.heapify(heap)
    chosen = []
    while heap and -heap[0][0] >= least:
        known, number = heap[0]
        new = count_new(missing, rows[number])
        if new < -known:
            heapq.heapreplace(heap, (-new, number))
            continue
        heapq.heappop(heap)
        strike(missing, rows[number])
        chosen.append(number)
    return chosen


def start_missing(width: int) -> list[int]:
    """Return the state in which no conditions have co-occurred.

    width: number of conditions.
    """
    return [(1 << place * width) - 1 for place in range(width)]


def count_new(missing: Sequence[int], row: Met) -> int:
    """Count the missing triples in a problem."""
    return sum((row.pairs & missing[place]).bit_count() for place in row.places)


def strike(missing: list[int], row: Met) -> None:
    """Remove the triples of a problem from `missing`."""
    for place in row.places:
        missing[place] ^= missing[place] & row.pairs


def list_narrow(candidates: Sequence[bytes], factors: Sequence[str]) -> list[int]:
    """Return the indices of the conditions to cover jointly; the others are then nearly always covered too.

    Three kinds of conditions are omitted. First, a condition with narrower ones of the same factor, at least two, that
    hold for at least half of its candidates: "a multiple of 4", with 4, 8, 16, 32, 64 and 128. Second, of two
    conditions of a factor that hold for the same candidates, the later one. Third, a condition that holds for no
    candidate.

    candidates: a byte for each condition, 1 if it holds. factors: factor of each condition.
    """
    places = range(len(factors))
    columns = [sum(1 << number for number, flags in enumerate(candidates) if flags[place]) for place in places]
    kept = []
    for place, column in enumerate(columns):
        same = [other for at, other in enumerate(columns) if factors[at] == factors[place] and at != place]
        narrower = {other for other in same if other and other != column and other & ~column == 0}
        union = functools.reduce(operator.or_, narrower, 0)
        first = columns.index(column) == place or column not in same
        if column and first and (len(narrower) < 2 or 2 * union.bit_count() < column.bit_count()):
            kept.append(place)
    return kept

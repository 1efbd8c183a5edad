"""Choosing few problems of many so that every three conditions that can meet do meet in one of them.

Each problem costs every backend some milliseconds, so that one that asks little that is new is not worth its time.
What is missing is a list: for each condition, as bits, which pairs of conditions before it have not met with it.
"""

from __future__ import annotations

import functools
import heapq
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Met:
    """The conditions that hold for a problem: their places, rising, and bits b * width + c for all c < b of them."""

    places: tuple[int, ...]
    pairs: int

    @classmethod
    def of(cls, flags: bytes) -> Met:
        """Return what is met where flags are 1."""
        places = tuple(place for place, flag in enumerate(flags) if flag)
        below = pairs = 0
        for place in places:
            pairs |= below << (place * len(flags))
            below |= 1 << place
        return cls(places, pairs)


def choose(candidates: Sequence[bytes], met: Iterable[bytes], least: int) -> list[int]:
    """Return the numbers of the chosen candidates: each time that one which has most triples that none had before.

    Greedy covering, within 1 - 1/e of the best choice of as many (Nemhauser, Wolsey and Fisher, 1978); counts are
    brought up to date only for the candidate in front (Minoux, 1978), since they never rise.

    candidates, met: a byte for each condition, 1 where it holds, of problems to choose from and of those that are
    asked anyway. least: new triples that make a candidate worth its cost.
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
    """Return that of so many conditions nothing has met."""
    return [(1 << place * width) - 1 for place in range(width)]


def count_new(missing: Sequence[int], row: Met) -> int:
    """Count the triples of a row that are missing."""
    return sum((row.pairs & missing[place]).bit_count() for place in row.places)


def strike(missing: list[int], row: Met) -> None:
    """Note that the triples of a row have met."""
    for place in row.places:
        missing[place] ^= missing[place] & row.pairs


def list_narrow(candidates: Sequence[bytes], factors: Sequence[str]) -> list[int]:
    """Return the places of the conditions that are to be met together; the others nearly always are then, too.

    Left out is a condition for which narrower ones of its factor stand, at least two that have half of its candidates:
    "a multiple of 4" for which 4, 8, 16, 32, 64 and 128 do; of two that hold for the same candidates, the second; and
    one that holds for none.

    factors: of each place.
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

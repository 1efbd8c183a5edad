"""Selection of few problems from many, so that every three conditions that can co-occur do co-occur in one of them.

Each problem costs every backend some milliseconds; one that adds few new triples is not worth its time. The state is an
array `missing`: whether three conditions, the rising places a, b and c of w conditions, have not yet co-occurred, at
(a w + b) w + c.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import operator
from collections.abc import Iterable, Sequence

import numpy as np

from harness.problems.arrays import Array


def choose(candidates: Sequence[bytes], met: Iterable[bytes], least: int) -> list[int]:
    """Select candidates greedily: each time the one with most triples that no earlier problem contains. Return indices.

    Greedy covering, within 1 - 1/e of the best selection of that size (Nemhauser, Wolsey and Fisher, 1978). Counts are
    updated only for the first candidate in the heap, since they never rise (Minoux, 1978).

    candidates: a byte for each condition, 1 if it holds, of the problems to choose from. met: the same of problems that
        are tested in any case. least: number of new triples that makes a candidate worth its cost.
    """
    if not candidates:
        return []
    missing = np.ones(len(candidates[0]) ** 3, dtype=bool)
    for triples in list_triples(list(met)):
        missing[triples] = False
    rows = list_triples(candidates)
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
        missing[rows[number]] = False
        chosen.append(number)
    return chosen


def list_triples(rows: Sequence[bytes]) -> list[Array]:
    """Return the places in `missing` of the triples of each row.

    rows: a byte for each condition, 1 if it holds; rows of equal counts are computed at once.
    """
    if not rows:
        return []
    width, found = len(rows[0]), [np.empty(0, dtype=np.intp)] * len(rows)
    flags = np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(len(rows), width)
    counts = np.count_nonzero(flags, axis=1)
    for count in np.unique(counts):
        alike = np.flatnonzero(counts == count)
        places = np.nonzero(flags[alike])[1].reshape(len(alike), count)
        a, b, c = (places[:, one] for one in _combine(int(count)))
        for number, triples in zip(alike, (a * width + b) * width + c, strict=True):
            found[number] = triples
    return found


@functools.cache
def _combine(count: int) -> Array:
    """Return all rising triples of a number of places, in three rows."""
    return np.array(list(itertools.combinations(range(count), 3)), dtype=np.intp).reshape(-1, 3).T


def count_new(missing: Array, triples: Array) -> int:
    """Count the missing triples in a problem."""
    return int(np.count_nonzero(missing[triples]))


def list_narrow(candidates: Sequence[bytes], factors: Sequence[str]) -> list[int]:
    """Return the indices of the conditions to cover jointly; the others are then nearly always covered too.

    Three kinds of conditions are omitted. First, a condition with narrower ones of the same factor, at least two, that
    hold for at least half of its candidates: "a multiple of 4", with 4, 8, 16, 32, 64 and 128. Second, of two
    conditions of a factor that hold for the same candidates, the later one. Third, a condition that holds for no
    candidate.

    candidates: a byte for each condition, 1 if it holds. factors: factor of each condition.
    """
    columns = list_columns(candidates, len(factors))
    kept = []
    for place, column in enumerate(columns):
        same = [other for at, other in enumerate(columns) if factors[at] == factors[place] and at != place]
        narrower = {other for other in same if other and other != column and other & ~column == 0}
        union = functools.reduce(operator.or_, narrower, 0)
        first = columns.index(column) == place or column not in same
        if column and first and (len(narrower) < 2 or 2 * union.bit_count() < column.bit_count()):
            kept.append(place)
    return kept


def list_columns(candidates: Sequence[bytes], width: int) -> list[int]:
    """Return for each condition the candidates for which it holds, as bits.

    candidates: a byte for each condition, 1 if it holds. width: number of conditions.
    """
    flags = np.frombuffer(b"".join(candidates), dtype=np.uint8).reshape(len(candidates), width)
    return [int.from_bytes(packed.tobytes(), "little") for packed in np.packbits(flags.T, axis=1, bitorder="little")]

"""Counts of channels for the rows of a covering array, whose columns name classes of counts.

A class such as "next to a nice number" has a dozen counts. Each row gets the count of its class that meets the most
new pairs, and then the most new triples, of the row's other values: so pairs of a single count are asked, too.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from harness.generate.covering import Row
from harness.generate.dispatch.values import CHANNEL_PAIRS, CHANNELS
from harness.generate.domains import Value

COUNTED = ("c", "o")
Spot = tuple[str, Value]
Meeting = frozenset[Spot]


class IsDear(Protocol):
    """Whether a row costs too much, so far as it is dealt."""

    def __call__(self, row: Row, number: int) -> bool:
        """number: of the row in its array."""


def deal_counts(rows: Sequence[Row], is_dear: IsDear) -> tuple[Row, ...]:
    """Return the rows with whole numbers as `c` and `o`, in place of classes; the same ones every time.

    is_dear: a row that costs too much gets a cheaper count of the class, if there is one.
    """
    met: set[Meeting] = set()
    return tuple(_deal(row, met, partial(is_dear, number=number)) for number, row in enumerate(rows))


def _deal(row: Row, met: set[Meeting], is_dear: Callable[[Row], bool]) -> Row:
    classes = {name: row[name] for name in COUNTED if name in row}
    if "channels" in row:
        classes = dict(zip(COUNTED, CHANNEL_PAIRS[row["channels"]], strict=True))
    spots = [(name, value) for name, value in row.items() if name not in (*COUNTED, "channels")]
    dealt: Row = dict(spots)
    for name, kind in classes.items():
        counts = CHANNELS[kind] if kind in CHANNELS else (int(kind),)
        if len(counts) > 1:
            rising = sorted(counts)
            cheap = bisect_left(rising, True, key=lambda count: is_dear(dealt | {name: count}))
            counts = tuple(count for count in counts if count in rising[: max(1, cheap)])
        best = max(counts, key=lambda count: _count_news((name, count), spots, met)) if len(counts) > 1 else counts[0]
        met |= set(_meetings((name, best), spots))
        spots.append((name, best))
        dealt[name] = best
    return dealt


def _count_news(spot: Spot, spots: Sequence[Spot], met: set[Meeting]) -> tuple[int, int]:
    """Count the pairs and the triples with this spot that no row has met."""
    fresh = [len(one) for one in _meetings(spot, spots) if one not in met]
    return fresh.count(2), fresh.count(3)


def _meetings(spot: Spot, spots: Sequence[Spot]) -> list[Meeting]:
    others = (*((one,) for one in spots), *itertools.combinations(spots, 2))
    return [frozenset((spot, *some)) for some in others]

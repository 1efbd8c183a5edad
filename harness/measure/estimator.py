"""The estimator of a block: the one number that its samples are reduced to."""

from __future__ import annotations

from collections.abc import Sequence


def steady(samples_ns: Sequence[float]) -> float:
    """The first decile of the samples of a block: what comparisons are made with.

    Of the estimators that see more than the best sample it tells most: on 42 identical pairs, 13 passes each, a
    slow-down of 3 % is found in 92 % of the cells (median 86 %, fastest 60 % 90 %, mean 62 %; the minimum 94 %, but it
    is blind to what happens in most calls only), with no false alarm by any: tests/benchmarks/bench_estimators.py.
    """
    ordered = sorted(samples_ns)
    place = 0.1 * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])

"""Estimates from samples: a median with its interval, and the ratio of two measurements, over processes.

The process is the unit of replication: each pass yields one time from its blocks (their medians for a time, their first
deciles for a ratio), and intervals are Student's over the logarithms of the passes' times. A single pass has no such
interval; its samples yield one for the median within that process (order statistics), and it is marked as such.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.measure.estimator import steady
from harness.record.run import Measurement, Pass

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A time in ns (or a ratio) with its interval.

    over: what the interval covers, processes or one process only.
    """

    value: float
    low: float
    high: float
    over: Literal["processes", "one process"]


def estimate_time(measurement: Measurement) -> Estimate:
    """Return the median time of a call in ns, with its 95 % interval.

    It is the geometric mean of the times of the passes; with a single pass, the median of its samples.
    """
    values = pass_values(measurement.passes)
    if len(values) < 2:
        one = next((one for one in measurement.passes if one.number in values), None)
        kept = itertools.chain.from_iterable(one.kept) if one else measurement.passes[0].samples_ns
        return _within_one(tuple(kept))
    logs = [math.log(value) for value in values.values()]
    centre = statistics.fmean(logs)
    half = _student(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return Estimate(value=math.exp(centre), low=math.exp(centre - half), high=math.exp(centre + half), over="processes")


def estimate_ratio(base: Measurement, new: Measurement) -> Estimate | None:
    """Return new / base with Welch's 95 % interval over passes; None if either has fewer than two passes that count."""
    a, b = ([math.log(value) for value in pass_values(side.passes, steady).values()] for side in (base, new))
    if len(a) < 2 or len(b) < 2:
        return None
    va, vb = statistics.variance(a) / len(a), statistics.variance(b) / len(b)
    centre, spread = statistics.fmean(b) - statistics.fmean(a), va + vb
    if spread == 0:
        return Estimate(value=math.exp(centre), low=math.exp(centre), high=math.exp(centre), over="processes")
    freedom = spread**2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    half = _student(freedom) * math.sqrt(spread)
    return Estimate(value=math.exp(centre), low=math.exp(centre - half), high=math.exp(centre + half), over="processes")


def pass_values(
    passes: Sequence[Pass], estimate: Callable[[Sequence[float]], float] = statistics.median
) -> dict[int, float]:
    """Map the number of each pass to the time of a call in ns: geometric mean over the blocks that count.

    passes: of one measurement.
    estimate: time of one block from its samples. A pass without a block that counts is absent.
    """
    found = {}
    for one in passes:
        blocks = [block for block in one.kept if block]
        if blocks:
            found[one.number] = math.exp(statistics.fmean(math.log(estimate(block)) for block in blocks))
    return found


def log_ratios(base: Sequence[Pass], new: Sequence[Pass]) -> list[float]:
    """Return log(new / base) of every pass in which both were timed, in order of the passes."""
    a, b = pass_values(base, steady), pass_values(new, steady)
    return [math.log(b[number] / a[number]) for number in sorted(a.keys() & b.keys())]


def _within_one(samples: tuple[float, ...]) -> Estimate:
    """Median of one process with the order-statistics interval (normal approximation to the binomial)."""
    ordered = sorted(samples)
    n = len(ordered)
    reach = 0.98 * math.sqrt(n)  # 1.96 sqrt(n) / 2
    low, high = max(0, math.floor((n - 1) / 2 - reach)), min(n - 1, math.ceil((n - 1) / 2 + reach))
    return Estimate(value=statistics.median(ordered), low=ordered[low], high=ordered[high], over="one process")


def _student(freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))

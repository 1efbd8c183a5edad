"""What samples say: a median with an interval, and the ratio of two measurements, over processes.

The process is the unit of replication: each pass gives the median of its samples, and intervals are Student's over
the logarithms of the passes' medians. One pass alone has no such interval; its samples give one for the median
within that process (order statistics), and it is marked so.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Literal

from harness.record.run import Measurement

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A time in ns (or a ratio) with its interval, and whether the interval covers processes or one process only."""

    value: float
    low: float
    high: float
    over: Literal["processes", "one process"]


def estimate_time(measurement: Measurement) -> Estimate:
    """Median time of a call in ns: geometric mean of the passes' medians, with its 95 % interval."""
    medians = pass_medians(measurement)
    if len(medians) == 1:
        return _within_one(measurement.passes[0].samples_ns)
    logs = [math.log(m) for m in medians]
    centre = statistics.fmean(logs)
    half = _student(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return Estimate(value=math.exp(centre), low=math.exp(centre - half), high=math.exp(centre + half), over="processes")


def estimate_ratio(base: Measurement, new: Measurement) -> Estimate | None:
    """new / base with Welch's 95 % interval over passes; None where either has a single pass."""
    a, b = ([math.log(m) for m in pass_medians(side)] for side in (base, new))
    if len(a) < 2 or len(b) < 2:
        return None
    va, vb = statistics.variance(a) / len(a), statistics.variance(b) / len(b)
    centre, spread = statistics.fmean(b) - statistics.fmean(a), va + vb
    if spread == 0:
        return Estimate(value=math.exp(centre), low=math.exp(centre), high=math.exp(centre), over="processes")
    freedom = spread**2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    half = _student(freedom) * math.sqrt(spread)
    return Estimate(value=math.exp(centre), low=math.exp(centre - half), high=math.exp(centre + half), over="processes")


def pass_medians(measurement: Measurement) -> list[float]:
    """Median of each pass's samples in ns."""
    return [statistics.median(one.samples_ns) for one in measurement.passes]


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

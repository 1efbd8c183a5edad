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
from harness.record.passes import Measurement, Pass

CONFIDENCE = 0.95
# Quantile 0.975 of Student's t with 1 to 30 degrees of freedom, as computed by scipy.special.stdtrit: importing that
# takes a quarter of a second, and most reports need nothing else of it.
STUDENT = (
    12.706204736174694, 4.302652729749462, 3.1824463052837078, 2.7764451051977934, 2.5705818356363146,
    2.4469118511449786, 2.364624251592784, 2.306004135204166, 2.262157162798205, 2.228138851986274,
    2.200985160091639, 2.1788128296672284, 2.1603686564627913, 2.144786687917804, 2.131449545559776,
    2.1199052992212546, 2.1098155778333156, 2.1009220402410382, 2.0930240544083087, 2.085963447265864,
    2.0796138447276795, 2.0738730679040254, 2.0686576104190486, 2.0638985616280245, 2.0595385527532972,
    2.0555294386428735, 2.0518305164802846, 2.0484071417952454, 2.045229642132703, 2.0422724563012378,
)  # fmt: skip


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
    half = student_quantile(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
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
    half = student_quantile(freedom) * math.sqrt(spread)
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


def student_quantile(freedom: float) -> float:
    """Return the quantile of Student's t that bounds a two-sided interval of CONFIDENCE.

    freedom: degrees of freedom, above 0.
    """
    if freedom <= len(STUDENT) and freedom == int(freedom):
        return STUDENT[int(freedom) - 1]
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))

"""Payback: number of calls after which a more expensive setup has paid for itself.

n calls take setup + n t, where setup = prepare + (first call - t), because a first call may include planning. An arm
overtakes its base after n = (setup_new - setup_base) / (t_base - t_new) calls.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.analysis.statistics import Estimate, pass_values
from harness.record.passes import Pass

DIGITS = 2  # significant digits of a number of calls, which is never known better


@dataclass(frozen=True, slots=True, kw_only=True)
class Payback:
    """The call from which on an arm is ahead of its base, or up to which it is ahead.

    kind: ahead "at once", "after" or "until" a number of calls, "never", or "unknown" if neither is certainly faster.
    calls: that number. low, high: its range over the passes; high may be infinite.
    """

    kind: Literal["at once", "after", "until", "never", "unknown"]
    calls: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def words(self) -> str:
        """Text for a table; empty if unknown."""
        if self.calls is None or self.low is None or self.high is None:
            return "" if self.kind == "unknown" else self.kind
        most = "any number" if math.isinf(self.high) else format_calls(self.high)
        calls = f"{format_calls(self.calls)} calls ({format_calls(self.low)} to {most})"
        return f"after {calls}" if self.kind == "after" else f"only up to {calls}"


def format_calls(number: float) -> str:
    """Format a number of calls with two significant digits; at least one call."""
    whole = max(1, math.ceil(number - 1e-9))
    return str(round(whole, DIGITS - len(str(whole))) if whole >= 10**DIGITS else whole)


def pay_back(base: Sequence[Pass], new: Sequence[Pass], ratio: Estimate | None) -> Payback:
    """Compute from which call an arm overtakes its base.

    base, new: passes of both. ratio: new / base of the times of a call, or None.
    The range combines the ends of the interval of the ratio with the smallest and largest difference of the setups in
    one pass.
    """
    times = pass_values(base)
    if ratio is None or not times or ratio.low <= 1 <= ratio.high:
        return Payback(kind="unknown")
    base_ns = statistics.median(times.values())
    gain, *gains = (base_ns * (1 - value) for value in (ratio.value, ratio.low, ratio.high))
    setups = {one.number: setup_ns(one, base_ns) for one in base}
    more = [setup_ns(one, base_ns * ratio.value) - setups[one.number] for one in new if one.number in setups]
    if not more:
        return Payback(kind="unknown")
    setup = statistics.median(more)
    if setup / gain <= 1:  # there is no less than one call
        return Payback(kind="at once" if gain > 0 else "never")
    ends = [setup_end / end if end else math.inf for setup_end in (min(more), max(more)) for end in gains]
    likely = [max(0.0, end) for end in ends]
    return Payback(kind="after" if gain > 0 else "until", calls=setup / gain, low=min(likely), high=max(likely))


def setup_ns(one: Pass, call_ns: float) -> float:
    """Return planning time plus the excess of the first call over a usual call, in ns."""
    return one.prepare_ns + one.first_call_ns - call_ns

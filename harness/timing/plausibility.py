"""Whether a time can be true, as seen from outside the process that took it: its clock, and the machine's limits."""

from __future__ import annotations

from collections.abc import Sequence

from harness.plugins.backend import Backend
from harness.record.run import Pass, Peak, Run
from harness.spec.problem import Problem
from harness.timing.roofline import floor_ns, is_too_fast

SLACK_NS = 10_000_000  # a block, for the message there and back and for waking up
LEAST_SHARE = 0.75  # of the time seen from outside, that the process must account for


def describe_clock_lie(blocks: Sequence[tuple[float, float, float]]) -> str:
    """The reason why a process's clock cannot be believed, from the blocks of a pass; empty where it can.

    Of each block: ns of all samples, of the whole block by the process's clock, and of the same by the clock outside.
    """
    timed_ns, spent_ns, wall_ns = (sum(column) for column in zip(*blocks, strict=True))
    how = ""
    if timed_ns > wall_ns or spent_ns > wall_ns:
        how = "ahead"
    elif spent_ns < LEAST_SHARE * wall_ns - SLACK_NS * len(blocks):
        how = "behind"
    if not how:
        return ""
    return (
        f"its clock runs {how}: it says {max(timed_ns, spent_ns) / 1e6:.1f} ms of blocks that took "
        f"{wall_ns / 1e6:.1f} ms by the clock outside"
    )


def describe_too_fast(problem: Problem, backend: Backend, passes: Sequence[Pass], peaks: Sequence[Peak]) -> str:
    """The reason why a time is below what the machine can do at all; empty where it is possible or nobody knows."""
    best = {peak.device: peak for peak in Run.best_peaks(peaks)}.get(backend.device)
    if best is None:
        return ""
    floor = floor_ns(problem, backend.numerics_for(problem), best)
    fastest = min(min(block) for one in passes for block in one.kept if block) if any(
        block for one in passes for block in one.kept
    ) else None  # fmt: skip
    if floor is None or fastest is None or not is_too_fast(fastest, floor):
        return ""
    return (
        f"faster than this machine: {fastest / 1e3:.3g} us a call, but its operations or bytes alone take "
        f"{floor / 1e3:.3g} us at the rates measured in this run"
    )

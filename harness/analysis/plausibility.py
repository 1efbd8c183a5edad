"""Whether a time can be true, as seen from outside the process that took it: its clock, and the machine's limits."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.roofline import executed_flops, floor_ns, is_too_fast, product_rate
from harness.backend.base import Backend
from harness.plan.task import Task
from harness.problems.problem import Problem
from harness.record.run import Pass, Peak, Run

SLACK_NS = 10_000_000  # a block, for the message there and back and for waking up
CONFIRMS = "bfloat16"  # a rate that NumPy's BLAS does not have: a second library was asked for all of them
ONE_LIBRARY = 2.0  # times as fast as one library alone the machine may be (see `harness.measure.peak`)
LEAST_SHARE = 0.75  # of the time seen from outside, that the process must account for


def describe_clock_lie(blocks: Sequence[tuple[float, float, float, float]]) -> str:
    """The reason why a process's clock cannot be believed, from the blocks of a pass; empty where it can.

    Of each block: ns of all samples, of the whole block by the process's clock, of the same by the clock outside, and
    how much of that the system let both sides wait, by its own account: a busy machine makes nobody a liar.
    A clock that lies does so in every block; a single one is an interruption.
    """
    hows = {_compare_clocks(*block) for block in blocks}
    if len(hows) != 1 or hows == {""}:
        return ""
    timed_ns, spent_ns, wall_ns, _ = (sum(column) for column in zip(*blocks, strict=True))
    return (
        f"its clock runs {hows.pop()}: it says {max(timed_ns, spent_ns) / 1e6:.1f} ms of blocks that took "
        f"{wall_ns / 1e6:.1f} ms by the clock outside"
    )


def _compare_clocks(timed_ns: float, spent_ns: float, wall_ns: float, waited_ns: float) -> str:
    """Whether a process's clock runs ahead of the one outside, or behind; empty where neither."""
    if timed_ns > wall_ns or spent_ns > wall_ns:
        return "ahead"
    return "behind" if spent_ns < LEAST_SHARE * (wall_ns - waited_ns) - SLACK_NS else ""


def describe_too_fast(
    problem: Task,
    backend: Backend,
    passes: Sequence[Pass],
    peaks: Sequence[Peak],
    spare: float = 1.0,
    *,
    foreign: bool = False,
) -> str:
    """The reason why a time is below what the machine can do at all; empty where it is possible or nobody knows.

    spare: how many times as fast the machine may be as its peak, for threads that were not used to measure it.
    foreign: whether the backend ran with other libraries than those that the peak was measured with.
    """
    best = {peak.device: peak for peak in Run.best_peaks(peaks)}.get(backend.device)
    samples = [value for one in passes for block in one.kept for value in block]
    if best is None or not samples:
        return ""
    if foreign or (best.device == "cpu" and CONFIRMS not in best.gemm_gflops):
        spare *= ONE_LIBRARY
    floor = _floor_ns(problem, backend, best)
    if floor is None or not is_too_fast(min(samples), floor / spare):
        return ""
    return (
        f"faster than this machine: {min(samples) / 1e3:.3g} us a call, but its operations or bytes alone take "
        f"{floor / spare / 1e3:.3g} us at the rates measured in this run"
    )


def _floor_ns(problem: Task, backend: Backend, peak: Peak) -> float | None:
    """The floor of one operator, or the operations of all operators of a network: its arrays may stay in caches."""
    if isinstance(problem, Problem):
        return floor_ns(problem, backend.numerics_for(problem), peak)
    total = 0.0
    for layer, count in problem.network.layers(problem.work).items():
        numerics = backend.numerics_for(layer)
        operations, rate = executed_flops(layer, numerics), product_rate(layer, numerics, peak)
        if operations and rate is None:
            return None
        total += count * operations / rate if rate else 0.0
    return total or None

"""Plausibility of times, checked outside the process that took them: by another clock, and by hardware limits."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.roofline import executed_flops, floor_ns, is_too_fast, product_rate
from harness.backend.base import Backend
from harness.errors import say_error
from harness.measure.clocks import TOLERANCE
from harness.plan.task import Task
from harness.problems.problem import Problem
from harness.record.passes import Pass
from harness.record.run import Peak, Run

SLACK_NS = 10_000_000  # allowance for a block: messages in both directions, and waking up
CONFIRMS = "bfloat16"  # a rate that NumPy's BLAS lacks: if present, a second library measured all rates too
ONE_LIBRARY = 2.0  # the machine may be that many times as fast as one library (see `harness.measure.peak`)
IMPOSSIBLE = "faster than this machine"  # beginning of a reason
LEAST_SHARE = 0.75  # share of the outside time that the process must report


def describe_clock_lie(blocks: Sequence[tuple[float, float, float, float]]) -> str | None:
    """Return the reason to distrust the clock of a process, from the blocks of a pass; None if there is none.

    blocks: for each block, in ns: sum of the samples; duration by the clock of the process; duration by the clock
    outside; time for which the system kept both sides waiting, by its own accounting, so that a busy machine raises no
    suspicion. A false clock shows in every block; a discrepancy in only some of them is an interruption.
    """
    hows = {_compare_clocks(*block) for block in blocks}
    if len(hows) != 1 or hows == {None}:
        return None
    timed_ns, spent_ns, wall_ns, _ = (sum(column) for column in zip(*blocks, strict=True))
    return (
        f"its clock runs {hows.pop()}: it says {max(timed_ns, spent_ns) / 1e6:.1f} ms of blocks that took "
        f"{wall_ns / 1e6:.1f} ms by the clock outside"
    )


def _compare_clocks(timed_ns: float, spent_ns: float, wall_ns: float, waited_ns: float) -> str | None:
    """Return "ahead" or "behind" for the clock of the process compared with the outside one; None if neither."""
    if timed_ns > wall_ns or spent_ns > wall_ns:
        return "ahead"
    return "behind" if spent_ns < LEAST_SHARE * (wall_ns - waited_ns) - SLACK_NS else None


def describe_contradiction(asked_ns: int, begun_ns: int, spent_ns: int, timed_ns: int, got_ns: int) -> str | None:
    """Return why the clock of a process contradicts the order of events in a block; None if it does not.

    A block begins after it was asked for, ends before its reply has arrived, and is longer than the calls in it.
    Nothing but a false clock can change that, so no load of the machine needs an allowance.
    asked_ns, got_ns: readings of the clock outside, before the request and after the reply. begun_ns: of the same clock
        (CLOCK_MONOTONIC is that of the whole system) inside the process. spent_ns: duration of the block by the
        process. timed_ns: sum of its samples, perhaps by the clock of a device.
    """
    if begun_ns < asked_ns:
        return f"its clock runs behind: a block began {(asked_ns - begun_ns) / 1e6:.1f} ms before it was asked for"
    if begun_ns + spent_ns > got_ns:
        return f"its clock runs ahead: a block ended {(begun_ns + spent_ns - got_ns) / 1e6:.1f} ms after its reply"
    if timed_ns > (1 + TOLERANCE) * spent_ns:
        return f"its clock runs behind: {timed_ns / 1e6:.1f} ms of calls in a block of {spent_ns / 1e6:.1f} ms"
    return None


def is_clock_behind(long: tuple[float, float], short: tuple[float, float]) -> bool:
    """Return True if a pair of blocks, a long and a short one, speaks against the clock of a process.

    long, short: in ns, duration of the block by the clock of the process and by the clock outside.
    What passes outside of a block (messages, waiting for a core) is the same for both, so that the long one lacks more
    time than the short one in half of the pairs at most, however busy the machine is, unless the clock is false.
    """
    spent_ns, wall_ns = (one - other for one, other in zip(long, short, strict=True))
    return wall_ns > 0 and spent_ns < LEAST_SHARE * wall_ns


def describe_too_fast(
    problem: Task,
    backend: Backend,
    passes: Sequence[Pass],
    peaks: Sequence[Peak],
    spare: float = 1.0,
    *,
    foreign: bool = False,
) -> str | None:
    """Return the reason why a time is impossible on this machine; None if it is possible, or nothing is known.

    problem: the timed operator or network. backend: its declared arithmetic and device.
    passes: their kept samples; the smallest one counts. peaks: rates measured in this run.
    spare: factor by which the machine may be faster than its peak, for threads that were not used to measure it.
    foreign: True if the backend ran with other libraries than the measurement of the peak.
    """
    best = {peak.device: peak for peak in Run.best_peaks(peaks)}.get(backend.device)
    samples = [value for one in passes for block in one.kept for value in block]
    if best is None or not samples:
        return None
    if foreign or (best.device == "cpu" and CONFIRMS not in best.gemm_gflops):
        spare *= ONE_LIBRARY
    try:
        floor = _floor_ns(problem, backend, best)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a backend may raise anything where it is asked for its arithmetic
        return f"its numerics_for raised {say_error(error)}"
    if floor is None or not is_too_fast(min(samples), floor / spare):
        return None
    return (
        f"{IMPOSSIBLE}: {min(samples) / 1e3:.3g} us a call, but its operations or bytes alone take "
        f"{floor / spare / 1e3:.3g} us at the rates measured in this run"
    )


def _floor_ns(problem: Task, backend: Backend, peak: Peak) -> float | None:
    """Least time of an operator, or of all operations of a network, in ns; None if unknown.

    The bytes of a network do not count, because its arrays may stay in caches.
    """
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

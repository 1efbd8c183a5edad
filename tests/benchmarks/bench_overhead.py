"""Overhead of the engine per call: `python tests/benchmarks/bench_overhead.py`.

Short calls, in turns as a bare loop, by the engine's own block and by torch.utils.benchmark, all in one process; and a
call that does nothing, which shows the cost of the loop.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time

from harness import BackendUnderTest, parse_line
from harness.measure.block import Ready, calibrate, time_block
from harness.measure.clocks import HostClock
from harness.plugins.manager import load_plugins
from harness.worker.host.timed_problem import open_session
from harness.worker.protocol import Prepare

ROUNDS = 40
LOOPS = 100
BLOCK_NS = 20_000_000
CASES = (("torch", "conv x=1x1x12x12 w=4x1x3x3"), ("numpy-direct", "avg_pool x=1x2x8x8 kernel=2x2 stride=2"))


def main() -> None:
    """Print best and middle of every way, as shares of the bare loop's best."""
    for backend, line in CASES:
        subject = BackendUnderTest(load_plugins().backends[backend], parse_line(line))
        session = open_session(subject, Prepare(problem=line, number=0, probe=False))
        compare(f"{backend}  {line}", session.ready, session.members[0].call)
    nothing = [lambda: None, lambda: None]
    found = compare(
        "a call that does nothing", calibrate(Ready(calls=tuple(nothing), clock=HostClock(lambda: None))), nothing[0]
    )
    print(f"the engine adds {found['engine'][0] - found['bare loop'][0]:.0f} ns to a call, beyond the bare loop")


def compare(title: str, ready: Ready, call) -> dict[str, tuple[float, float]]:
    """Best and median ns of a call, by every way in turns."""
    ways = {"bare loop": lambda: bare(call), "engine": lambda: engine(ready), **others(call)}
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS):
        for name in ways if number % 2 else reversed(ways):
            found[name].append(ways[name]())
    best = min(found["bare loop"])
    print(f"{title}: bare loop's best {best:.0f} ns")
    for name, values in found.items():
        ordered = sorted(values)
        print(
            f"    {name:<24} best {ordered[0] / best:.3f}  median {statistics.median(values) / best:.3f} "
            f"(quartiles {ordered[ROUNDS // 4] / best:.3f} to {ordered[3 * ROUNDS // 4] / best:.3f})"
        )
    return {name: (min(values), statistics.median(values)) for name, values in found.items()}


def bare(call) -> float:
    """Best of the samples that fit the time of a block, each of some calls in a plain loop."""
    best, end = float("inf"), time.perf_counter_ns() + BLOCK_NS
    while time.perf_counter_ns() < end:
        begun = time.perf_counter_ns()
        for _ in itertools.repeat(None, LOOPS):
            call()
        best = min(best, (time.perf_counter_ns() - begun) / LOOPS)
    return best


def engine(ready: Ready) -> float:
    """Best of the samples of a block."""
    return min(time_block(ready, BLOCK_NS, 0, 2).samples_ns)


def others(call) -> dict:
    """Times of the same calls by other tools, if they are installed."""
    found = {}
    try:
        from torch.utils.benchmark import Timer
    except ImportError:
        return found
    timer = Timer("call()", globals={"call": call})
    found["torch.utils.benchmark"] = lambda: min(timer.blocked_autorange(min_run_time=BLOCK_NS / 1e9).times) * 1e9
    return found


if __name__ == "__main__":
    sys.exit(main())

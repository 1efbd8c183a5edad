"""Reliability of the gain of a portfolio: coverage of its interval, with equal backends and with a known gain.

    python tests/benchmarks/bench_portfolio.py

Four backends, twelve layers, times with log-normal noise, some passes of a layer disturbed. For equal backends a
gain of 1 is true, and the ratio of the two sums (`naive`) shows the effect of chance alone.
"""

from __future__ import annotations

import statistics

import numpy as np

from harness.analysis.portfolio import Portfolio, build_portfolio
from harness.backend.routing import Route
from harness.record.passes import Block, Measurement, Pass
from harness.record.run import Result

DRAWS = 300
BACKENDS = {"a": (1.0, 1.3), "b": (1.3, 1.0), "c": (1.5, 1.5), "d": (2.0, 2.0)}  # factor of even and odd layers
LAYERS = {f"layer {n}": 1 + n % 3 for n in range(12)}
NOISE, DISTURBED = 0.1, (0.0, 0.1, 0.3)


def main() -> None:
    """Print one row for every number of passes and share of disturbed ones."""
    print(f"{'backends':<10}{'passes':>7}{'disturbed':>10}{'gain':>7}{'naive':>7}{'holds 1':>9}{'above 1':>9}")
    for name, equal in (("equal", True), ("different", False)):
        for passes in (2, 3, 5, 9):
            for share in DISTURBED:
                print(f"{name:<10}{passes:>7}{share:>10.0%}{simulate(passes, share, equal)}")


def simulate(passes: int, share: float, equal: bool) -> str:
    """Mean gain and mean ratio of the sums, and how often the interval holds 1 or lies above it."""
    found = [draw(np.random.default_rng(seed), passes, share, equal) for seed in range(DRAWS)]
    gains = [one.gain for one in found if one.gain is not None]
    naive = statistics.fmean(one.singles_ns[one.best] / one.mixed_ns for one in found)
    holds = statistics.fmean(gain.low <= 1 <= gain.high for gain in gains)
    above = statistics.fmean(gain.low > 1 for gain in gains)
    return f"{statistics.fmean(gain.value for gain in gains):>7.3f}{naive:>7.3f}{holds:>9.1%}{above:>9.1%}"


def draw(rng: np.random.Generator, passes: int, share: float, equal: bool) -> Portfolio:
    """The portfolio of one run."""
    timed = {}
    for n, line in enumerate(LAYERS):
        base_ns, disturbed = 1e6 * np.exp(rng.normal()), rng.random(passes) < share
        timed[line] = {
            name: time_layer(
                base_ns * (1.0 if equal else factors[n % 2]) * np.exp(NOISE * rng.normal(size=passes)), disturbed
            )
            for name, factors in BACKENDS.items()
        }
    return build_portfolio("network made step", LAYERS, timed)


def time_layer(times_ns: np.ndarray, disturbed: np.ndarray) -> Result:
    """A result of one sample a pass."""
    made = tuple(
        Pass(
            number=n, process=n, loops=1, warmups=0, clock="host", device="cpu", prepare_ns=0, first_call_ns=0,
            samples_ns=(float(ns),), blocks=(Block(visit=0, count=1, dropped="disturbed" if lost else ""),),
        )
        for n, (ns, lost) in enumerate(zip(times_ns, disturbed, strict=True))
    )  # fmt: skip
    return Result(
        cell=0, suite="network-layers", kind="speed", arm="", backend="", label="", problem="", law="",
        outcome="passed", route=Route(kind="native"), measurement=Measurement(passes=made),
    )  # fmt: skip


if __name__ == "__main__":
    main()

"""Comparison of estimators of a block, and of statistics over passes, at equal false alarms: on raw data of a run.

    python -m harness qualify --no-power --budget 10m --output RUN
    python tests/benchmarks/bench_estimators.py RUN

Identical arms show how much pairs of processes differ (SD over passes of log(new/base), median and 90th percentile over
cells). Power is the rate of verdicts when every pass of one arm is made slower by 3 and by 5 %, false alarms the rate
when nothing is; both over draws of the passes with a random side to each.
"""

from __future__ import annotations

import math
import statistics
import sys

import numpy as np

import harness
from harness.analysis.sequential import STATISTICS, Design
from harness.analysis.verdicts import judge
from harness.record.run import Run

DRAWS = 20
EFFECTS = (0.0, 0.03, 0.05)
ESTIMATORS = {
    "minimum": min,
    "first decile": lambda a: float(np.quantile(a, 0.1)),
    "first quartile": lambda a: float(np.quantile(a, 0.25)),
    "fastest 60 %, mean": lambda a: statistics.fmean(sorted(a)[: max(1, round(0.6 * len(a)))]),
    "median": statistics.median,
    "mean": statistics.fmean,
}


def main(path: str) -> None:
    """Print one row for every estimator and statistic."""
    run = harness.load(path)
    effects = "".join(f"+{effect:.0%}".rjust(8) for effect in EFFECTS)
    print(f"{'estimator':<20}{'SD median':>10}{'SD p90':>8}   {'statistic':<10}{effects}")
    for name, estimate in ESTIMATORS.items():
        ratios = pair_arms(run, estimate)
        spreads = [statistics.stdev(cell) for cell in ratios]
        passes = min(map(len, ratios))
        head = f"{name:<20}{statistics.median(spreads):>10.4f}{np.quantile(spreads, 0.9):>8.4f}   "
        for statistic in STATISTICS:
            rates = [share_slower(ratios, passes, effect, statistic) for effect in EFFECTS]
            print(head + f"{statistic.name:<10}" + "".join(f"{rate:8.3f}" for rate in rates))
            head = " " * len(head)
    print(f"{len(ratios)} cells, {passes} passes, {DRAWS} draws; 0 %: cells called SLOWER or FASTER")


def pair_arms(run: Run, estimate) -> list[list[float]]:
    """log(new / base) of every pass of every cell with two arms, by one estimator of a block."""
    sides: dict[tuple[str, str, str], dict[str, dict[int, float]]] = {}
    families = {arm.name: arm.family for arm in run.header.arms}
    for result in run.results:
        if result.measurement is not None:
            key = (result.suite, families[result.arm], result.problem)
            sides.setdefault(key, {})[result.arm] = {
                one.number: statistics.fmean(math.log(estimate(block)) for block in one.kept if block)
                for one in result.measurement.passes
                if any(one.kept)
            }
    found = []
    for arms in sides.values():
        if len(arms) == 2:
            base, new = arms.values()
            found.append([new[n] - base[n] for n in sorted(base.keys() & new.keys())])
    return [cell for cell in found if len(cell) > 2]


def share_slower(ratios: list[list[float]], passes: int, effect: float, statistic) -> float:
    """Share of the cells that are called SLOWER, or either way where there is no effect, over several draws."""
    rng, design, called = np.random.default_rng(1), Design(looks=(passes,)), 0
    for _ in range(DRAWS):
        cells = {
            n: rng.permutation(cell)[:passes] * rng.choice((-1, 1), passes) + math.log1p(effect)
            for n, cell in enumerate(ratios)
        }
        verdicts = [judgement.verdict for judgement in judge(cells, design, statistic).values()]
        called += sum(v == "SLOWER" or (not effect and v == "FASTER") for v in verdicts)
    return called / (DRAWS * len(ratios))


if __name__ == "__main__":
    main(sys.argv[1])

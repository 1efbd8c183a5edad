"""Simulation of the choice of cells for the passes of a gate, and of its effect on false verdicts.

    python tests/benchmarks/bench_allocation.py [--runs 200] [--cells 26] [--budget 90]

Times are drawn: every cell has its own spread (0.3 % to 3 % from pass to pass) and its own seconds a pass. The whole
budget is for passes. With `all`, every undecided cell takes part in each pass, as gates did before; `chosen` is
`harness.execution.allocation`. In runs of identical arms, everything that is called SLOWER or FASTER is a false alarm.
"""

import argparse
import math
import sys
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.analysis.arm_comparison import DECIDED
from harness.analysis.sequential import Design
from harness.analysis.verdicts import judge
from harness.execution.allocation import Prospect, choose_prospects
from harness.plan.gate import Gate

START_S = 2.0  # of the workers of a pass
PASS_S = (0.05, 0.3)  # least and most of a cell, of both arms
GATE = Gate()


def draw_cells(seed, cells, share):
    """Effects (logarithms of ratios), spreads and seconds a pass of the cells; `share` of them are slower by 3 %."""
    draw = np.random.default_rng(seed)
    effects = np.where(draw.random(cells) < share, math.log1p(0.03), 0.0)
    return draw, effects, np.exp(draw.uniform(math.log(0.003), math.log(0.03), cells)), draw.uniform(*PASS_S, cells)


def run_gate(seed, *, cells, budget_s, share, chosen):
    """Return effects, passes and verdicts of a simulated run."""
    draw, effects, spreads, seconds = draw_cells(seed, cells, share)
    samples = [[] for _ in range(cells)]
    design, spent_s, done = Design.of(GATE), 0.0, set()
    judged = judge(dict(enumerate(samples)), design)
    while True:
        going, waiting = [], []
        for cell, sample in enumerate(samples):
            if cell not in done and len(sample) < GATE.looks[-1]:
                (waiting if len(sample) in GATE.looks else going).append(cell)
        if waiting and chosen:
            committed_s = sum(
                seconds[cell] * (next(look for look in GATE.looks if look > len(samples[cell])) - len(samples[cell]))
                for cell in going
            )
            found = [
                Prospect(
                    passes=len(samples[c]), more=None, pass_s=seconds[c],
                    forecasts=((judged[c].forecast,),) if judged[c].forecast else (),
                )
                for c in waiting
            ]  # fmt: skip
            places = choose_prospects(found, budget_s - spent_s - committed_s, START_S, GATE.looks)
            going += [waiting[place] for place in places] or ([] if going else waiting)
        else:
            going += waiting
        took_s = START_S + seconds[going].sum() if going else 0.0
        if not going or spent_s + took_s > budget_s:
            break
        for cell in going:
            samples[cell].append(draw.normal(effects[cell], spreads[cell]))
        spent_s += took_s
        if any(len(samples[cell]) in GATE.looks for cell in going):
            judged = judge(dict(enumerate(samples)), design)
            done |= {cell for cell, one in judged.items() if one.verdict in DECIDED}
    judged = judge(dict(enumerate(samples)), design, ended=True)
    return effects, spreads, [len(sample) for sample in samples], [judged[cell].verdict for cell in range(cells)]


def count_runs(runs, **more):
    """Print verdicts by true effect, and passes by what became of the cell, over many runs."""
    verdicts, passes, alarmed = Counter(), {}, 0
    for seed in range(runs):
        effects, _, given, found = run_gate(seed, **more)
        wrong = 0
        for effect, number, verdict in zip(effects, given, found, strict=True):
            name = "slower" if effect else "same"
            verdicts[name, verdict] += 1
            passes.setdefault((name, verdict), []).append(number)
            wrong += verdict in ("SLOWER", "FASTER") if not effect else verdict in ("SAME", "FASTER")
        alarmed += wrong > 0
    for (name, verdict), number in sorted(verdicts.items()):
        mean = sum(passes[name, verdict]) / number
        print(f"    truly {name:7} {verdict:12} {number:6} cells, {mean:5.1f} passes each")
    print(f"    runs with a wrong verdict: {alarmed} of {runs}")


def main():
    """Print one run by cells, and counts over many runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--cells", type=int, default=26)
    parser.add_argument("--budget", type=float, default=90.0)
    given = parser.parse_args()
    more = {"cells": given.cells, "budget_s": given.budget}
    for chosen in (False, True):
        effects, spreads, passes, verdicts = run_gate(1, share=0.15, chosen=chosen, **more)
        print(f"{'chosen' if chosen else 'all'}: one run; passes and verdict of each cell by its spread")
        rows = sorted(zip(spreads, effects, passes, verdicts, strict=True))
        print("    " + ", ".join(f"{100 * s:.2f} %{'*' if e else ''}: {n} {v[:4]}" for s, e, n, v in rows))
    for share in (0.0, 0.15):
        for chosen in (False, True):
            print(f"{'chosen' if chosen else 'all'}: {given.runs} runs, {100 * share:g} % of the cells slower by 3 %")
            count_runs(given.runs, share=share, chosen=chosen, **more)


if __name__ == "__main__":
    main()

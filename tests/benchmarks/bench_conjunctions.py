"""Random conjunctions of conditions of the model of dispatch, each planted as a fault: how many the suite kills.

    python tests/benchmarks/bench_conjunctions.py [--faults 1000] [--seed 1]

Before: without the problems named dispatch/, on which the comparison with the reference is asked. After: with them.
Conjunctions that no problem satisfies do not count; they are found by hill climbing (`tests/planting/satisfying.py`).
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.planting.families import random_plans
from tests.planting.hunting import hunt
from tests.planting.satisfying import find_problem


def _main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    begun, rows, left, impossible = time.monotonic(), Counter(), [], Counter()
    for plan in random_plans(asked.faults, asked.seed):
        size, after = len(plan.conditions), hunt(plan)
        if not after.struck and (example := find_problem(plan)) is None:
            impossible[size] += 1
            continue
        rows[size, "all"] += 1
        rows[size, "before"] += bool(hunt(plan, dispatch=False).problem)
        rows[size, "struck"] += after.struck > 0
        rows[size, "after"] += bool(after.problem)
        if not after.problem:
            left.append((plan.title, f"struck by {after.struck}" if after.struck else f"for one {example.line}"))
    for title, why in left:
        print(f"survives  {title}  {why}")
    print(f"\n{'conditions':>10}  {'possible':>8}  {'asked':>6}  {'killed before':>14}  {'killed after':>14}  {'of asked':>8}")
    sizes = sorted({size for size, _ in rows})
    for label, some in (*((str(size), [size]) for size in sizes), ("all", sizes)):
        count, struck, before, after = (sum(rows[s, key] for s in some) for key in ("all", "struck", "before", "after"))
        shares = f"{before:5} {before / count:8.1%}  {after:5} {after / count:8.1%}  {after / struck:8.1%}"
        print(f"{label:>10}  {count:8}  {struck:6}  {shares}")
    print(f"impossible: {sum(impossible.values())}; {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    _main()

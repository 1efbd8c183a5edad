"""Random conjunctions of conditions of the model of dispatch, each planted as a fault: how many the suite kills.

    make conjunctions
    python tests/benchmarks/bench_conjunctions.py [--faults 1000] [--seed 1] [--before] [--out FILE.md]

A conjunction is met where a problem of the suite `correctness` meets all of its conditions, asked where the spoil
changes an answer there as well (the last tap of a window may lie in the padding), and killed where the comparison with
the reference finds the fault. Conjunctions that no problem satisfies do not count; hill climbing looks for one
(`tests/planting/satisfying.py`). `--before`: also without the problems that stand for the model. Before the random ones
the whole planted family is asked, and the paths of libraries and public reports.
Exit code 1: a fault survives that is asked, or fewer than 99 % of the random conjunctions are killed.
"""

import argparse
import itertools
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from harness.generate.dispatch.conditions import conditions_for
from tests.faulty import library_paths, public_dispatch, public_further, public_variants
from tests.planting.families import family, random_plans
from tests.planting.hunting import hunt, suite_pool
from tests.planting.satisfying import find_problem

LEAST = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """Outcome of a conjunction. example: a problem that satisfies it, empty if none is known.

    unasked: its smallest part that no problem of the suite satisfies; empty if the suite satisfies all of it.
    """

    plan: object
    example: str
    struck: int
    asked: bool
    killed: bool
    killed_before: bool
    unasked: tuple[str, ...]

    @property
    def factors(self):
        """Factors of what is unasked."""
        factor = {one.name: one.factor for one in conditions_for(self.plan.operator)}
        return tuple(sorted(factor[name] for name in self.unasked))


def _follow(plan, before):
    found = hunt(plan)
    example = found.problem
    if not found.struck:
        satisfied = find_problem(plan)
        example = satisfied.line if satisfied else ""
    return Fate(
        plan=plan, example=example, struck=found.struck, asked=found.changed > 0, killed=bool(found.problem),
        killed_before=before and bool(hunt(plan, dispatch=False).problem),
        unasked=() if found.struck or not example else _least_unasked(plan),
    )  # fmt: skip


def _least_unasked(plan):
    """Return the smallest part of a plan's conditions that no problem of the suite meets together."""
    pool = suite_pool(plan.operator)
    for size in range(1, len(plan.conditions) + 1):
        for some in itertools.combinations(plan.conditions, size):
            if not pool.struck(replace(plan, conditions=some)):
                return some
    raise AssertionError("the whole of the plan is met")


def _judge(plans, before):
    with ProcessPoolExecutor(2, get_context("fork")) as workers:
        yield from workers.map(_follow, plans, itertools.repeat(before), chunksize=8)


def _table(fates, label):
    heads = ["", "possible", "met", "asked", "killed", "of all", "of asked"]
    heads += ["killed before"] if any(one.killed_before for one in fates) else []
    lines = [" | ".join(heads), " | ".join(["---"] * len(heads))]
    for name in (*sorted({label(one) for one in fates}), "all"):
        some = [one for one in fates if name in (label(one), "all")]
        met, asked = sum(one.struck > 0 for one in some), sum(one.asked for one in some)
        killed, before = sum(one.killed for one in some), sum(one.killed_before for one in some)
        of_asked = f"{killed / asked:.1%}" if asked else "-"
        row = (name, len(some), met, asked, killed, f"{killed / len(some):.1%}", of_asked, before)
        lines.append(" | ".join(map(str, row[: len(heads)])))
    return "\n".join(f"| {line} |" for line in lines)


def _report(fates, impossible):
    """Return the tables as Markdown."""
    unasked = Counter((" × ".join(one.factors), one.plan.operator.value) for one in fates if one.unasked)
    by_factors = Counter()
    for (factors, _), count in unasked.items():
        by_factors[factors] += count
    parts = [
        "## By operator", _table(fates, lambda one: one.plan.operator.value),
        "## By number of conditions", _table(fates, lambda one: f"{len(one.plan.conditions)}"),
        f"Impossible, and not counted: {impossible}.",
        "## Asked, and not killed",
        "\n".join(f"- {one.plan.title}" for one in fates if one.asked and not one.killed) or "None.",
        "## Met, but only where the spoil changes no answer",
        "\n".join(f"- {one.plan.title}: met by {one.struck}" for one in fates if one.struck and not one.asked)
        or "None.",
        "## Not met, by the factors of the smallest part that no problem meets",
        "\n".join(f"- {count} {factors}: " + ", ".join(f"{o} {n}" for (f, o), n in unasked.items() if f == factors)
                  for factors, count in by_factors.most_common()),
        "## Not met, one by one",
        "\n".join(f"- {one.plan.operator} [{' + '.join(one.unasked)}] of {one.plan.title}: for one `{one.example}`"
                  for one in sorted(fates, key=lambda one: (one.plan.operator, one.factors)) if one.unasked),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=1000, help="conjunctions that can hold")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--before", action="store_true")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    begun, fates, impossible = time.monotonic(), [], 0
    reports = (*public_dispatch.PLANS, *public_variants.PLANS, *public_further.PLANS)
    wholes = {"family": family(), "public reports": reports, "library paths": library_paths.plans()}
    survives = [_show_whole(title, plans) for title, plans in wholes.items()]
    plans = random_plans(2 * asked.faults, asked.seed)
    for fate in _judge(plans, asked.before):
        if not fate.example and not fate.struck:
            impossible += 1
        elif len(fates) < asked.faults:
            fates.append(fate)
        if len(fates) == asked.faults:
            break
    report = _report(fates, impossible)
    print(report)
    if asked.out:
        asked.out.write_text(report)
    killed = sum(one.killed for one in fates)
    print(f"{killed} of {len(fates)} killed; {time.monotonic() - begun:.0f} s")
    survives.append(any(one.asked and not one.killed for one in fates))
    return int(any(survives) or killed < LEAST * len(fates))


def _show_whole(title, plans):
    """Print what becomes of faults that can all strike, and return whether one survives that is asked."""
    fates = [_follow(plan, before=False) for plan in plans]  # here, since a worker cannot be sent every test of a plan
    asked, killed = sum(one.asked for one in fates), sum(one.killed for one in fates)
    print(f"{title}: {len(fates)} faults, {asked} asked, {killed} killed")
    for one in fates:
        if not one.killed:
            unmet = f"not met; for one {one.example or 'nothing known'}"
            why = "asked" if one.asked else f"met by {one.struck}, unchanged" if one.struck else unmet
            print(f"    survives: {one.plan.title}: {why}")
    return killed < asked


if __name__ == "__main__":
    sys.exit(_main())

"""Coverage of the default suite, with and without problems on specialised paths: conditions by operators.

`python -m tests.benchmarks.bench_coverage` prints the table and the numbers of pairs as Markdown, with the processor
time of counting. Nothing is run: the problems are those of the plan of suite `correctness`.
"""

from __future__ import annotations

import time
from collections import defaultdict

from harness.generate.dispatch.coverage import Coverage, list_conditions, measure_coverage
from harness.plugins.manager import load_plugins
from harness.problems.operator import Operator
from reports.markdown_syntax import table

SPECIALISED = ("dispatch/", "counts/", "layers/", "rare/", "precise/")


def main() -> None:
    """Print the table of conditions, each field as before → all, then the pairs."""
    problems = load_plugins().suites["correctness"].problems()
    lines: dict[str, dict[str, bool]] = defaultdict(dict)  # by operator: whether a line was there before
    for one in problems:
        before = not one.name.startswith(SPECIALISED)
        known = lines[one.problem.operator]
        known[one.problem.line] = known.get(one.problem.line, False) or before
    begin = time.process_time()
    every = {o: measure_coverage(o, list(lines[o])) for o in Operator}
    seconds = time.process_time() - begin
    before = {o: measure_coverage(o, [line for line, old in lines[o].items() if old]) for o in Operator}
    rows = [
        [factor, name, *(_field(before[o], every[o], name) for o in Operator)]
        for factor, name in list_conditions(every.values())
    ]
    rows += [
        ["total", name, *(field(before[o], every[o]) for o in Operator)]
        for name, field in {
            "conditions": lambda old, new: (
                f"{_count_conditions(old)} → {_count_conditions(new)} of {len(new.conditions)}"
            ),
            "pairs": lambda old, new: f"{old.pairs_asked} → {new.pairs_asked} of {new.pairs_possible}",
            "problems": lambda old, new: f"{old.problems_asked} → {new.problems_asked}",
        }.items()
    ]
    print("\n".join(table(["factor", "condition", *Operator], rows, numbers=len(Operator))))
    total = sum(map(len, lines.values()))
    print(f"\n{total} problems counted in {seconds:.1f} s of processor time, the search for possible pairs included.")


def _count_conditions(found: Coverage) -> int:
    return len(found.conditions) - len(found.missing_alone)


def _field(before: Coverage, every: Coverage, name: str) -> str:
    number = every.number_of(name)
    return "" if number is None else f"{before.asked[number, number]} → {every.asked[number, number]}"


if __name__ == "__main__":
    main()

"""The recipes for continuous integration on every scenario, and the table of docs/ci.md.

    python tests/benchmarks/bench_recipes.py [--only TEXT] [--recipe NAME] [--write]

runs the lines of each recipe of docs/ci.md, except for the installation, on every repository of
tests/gating/scenarios.py, and prints what the gate said; `--write` puts the table into docs/ci.md. Scenarios with
something to build need pip. About half an hour; nothing else should run meanwhile.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.analysis.qualification import Qualification, name_environment, write_qualification
from harness.machine.state import VARIABLE
from harness.record.environment import describe_environment
from tests.gating.recipes import PAGE, RECIPES, run_recipe
from tests.gating.scenarios import SCENARIOS, find_verdict

HEAD = "| change | " + " | ".join(RECIPES) + " | what the gate said |"
RULE = "|---|" + "--:|" * len(RECIPES) + "---|"
TABLE = re.compile(rf"^{re.escape(HEAD)}\n.*\n((?:\|.*\n)*)", re.MULTILINE)
LONGEST = 160


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="scenarios whose names contain this")
    parser.add_argument("--recipe", action="append", choices=list(RECIPES), help="may be repeated")
    parser.add_argument("--write", action="store_true", help="put the results into the table of docs/ci.md")
    options = parser.parse_args()
    rows, wrong = {}, []
    with tempfile.TemporaryDirectory() as made, qualified(Path(made, "state")) as state:
        for scenario in SCENARIOS:
            for recipe in (options.recipe or RECIPES) if options.only in scenario.name else ():
                begun, folder = time.monotonic(), Path(made, f"{scenario.name}-{recipe}".replace(" ", "-"))
                ended = run_recipe(recipe, scenario, state, folder)
                print(f"{scenario.name}, {recipe}: {ended.gate} in {time.monotonic() - begun:.0f} s", flush=True)
                if not is_expected(scenario, ended):
                    wrong.append(f"{scenario.name}, {recipe}")
                    print(f"NOT AS EXPECTED ({scenario.codes}, {scenario.said}):\n{ended.output}", flush=True)
                    continue
                row = rows.setdefault(scenario.name, {})
                row[recipe], row[""] = str(ended.gate), shorten(find_verdict(ended.output), folder)
                if options.write:
                    write_row(scenario.name, row)
    print(format_table(rows))
    sys.exit(f"not as expected: {'; '.join(wrong)}" if wrong else 0)


def is_expected(scenario, ended):
    """True for a job that ended as it should: only a gate that cannot tell is passed over."""
    passes = 0 if ended.gate == 5 else ended.gate
    return ended.gate in scenario.codes and ended.code == passes and re.search(scenario.said, ended.output)


def read_rows():
    """The rows of docs/ci.md: by scenario, the exit code by recipe, and under "" what the gate said."""
    found = TABLE.search(PAGE.read_text())
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in found[1].splitlines()]
    return {name: dict(zip((*RECIPES, ""), values, strict=True)) for name, *values in cells}


def write_row(name, row):
    """Put a row into docs/ci.md, or what of it is known."""
    page, rows = PAGE.read_text(), read_rows()
    rows.setdefault(name, {}).update(row)
    PAGE.write_text(page.replace(TABLE.search(page)[0], f"{format_table(rows)}\n"))


def format_table(rows):
    """The table, in the order of the scenarios."""
    named = [scenario.name for scenario in SCENARIOS if scenario.name in rows]
    lines = [" | ".join([name, *(rows[name].get(key, "") for key in (*RECIPES, ""))]) for name in named]
    return "\n".join([HEAD, RULE, *(f"| {line} |" for line in lines)])


def shorten(said, folder):
    """The words of a gate for the table: no paths of this machine, no hashes, nothing that ends a cell of a table."""
    said = re.sub(r"\b[0-9a-f]{40}\b", "REVISION", said)
    said = re.sub(r"^(gate: +|error: )|\s*\(exit code \d\)$", "", said).replace(str(folder), "").replace("|", "/")
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}…"


@contextmanager
def qualified(state):
    """A state folder in which this machine is qualified, whatever is known of it elsewhere."""
    with patch.dict(os.environ, {VARIABLE: str(state)}):
        write_known()
        yield state


def write_known():
    """Qualify this machine, for gates with all threads and with one."""
    for threads in (None, 1):
        environment = name_environment(describe_environment(threads))
        known = Qualification(environment=environment, created="", cells=40, alarms=0, powers={"0.1": (40, 40)})
        write_qualification(known)


if __name__ == "__main__":
    main()

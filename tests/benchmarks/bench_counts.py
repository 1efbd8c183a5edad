"""Counted instructions on the twenty commits of the gate's benchmark, and on each of them with 1 % more work.

    python tests/benchmarks/bench_counts.py [--commits 19] [--json FILE]

makes the repository of tests/gating/twenty.py in a temporary folder, and for every commit another on top in which each
operator but the gradient, which follows the convolution, takes one of its hundred images twice more. One `versus`
counts all of them, each in one process. Every commit is then judged against the one before it, and every added 1 %
against its own commit. It takes a minute of processor time for each of the forty; other work on the machine does not
matter.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import harness
from harness.analysis.counted import judge_counts
from tests.gating.twenty import COMMITS, SETTINGS, git, make_repository

CELLS = {"conv": "conv", "gradient": "conv_input_grad", "max_pool": "max_pool", "avg_pool": "avg_pool"}


def add_work(repository, revision):
    """Commit 1 % more work of every operator on top of a revision; return the hash."""
    git(repository, "switch", "--quiet", "--detach", revision)
    for name in ("conv", "pool"):
        path = repository / "kernels" / f"{name}.py"
        lines = path.read_text("utf-8").splitlines()
        again = [_count_up(line) if line.startswith("AGAIN") else line for line in lines]
        path.write_text("\n".join(again) + "\n", encoding="utf-8")
    git(repository, "commit", "--quiet", "--all", "--message", "1 % more")
    return git(repository, "rev-parse", "HEAD")


def _count_up(line):
    return re.sub(r"\d+", lambda found: str(int(found[0]) + 1), line.partition("#")[0])


def count_all(repository, hashes, output):
    """One run that counts all revisions; the run, and its seconds."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | SETTINGS
    begun = time.monotonic()
    arms = [f"{number}=kernels@{revision}" for number, revision in enumerate(hashes)]
    done = subprocess.run(
        [sys.executable, "-m", "harness", "versus", *arms, "--plugin", "kernels.plugin", "--suite", "kernels-speed",
         "--metric", "instructions", "--output", str(output)],
        cwd=repository, env=environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.returncode
    return harness.load(output), time.monotonic() - begun


def judge(run, base, new):
    """Operators that an arm changes against another, with the ratio of each; wrong ones are of no interest here."""
    cells = {(one.arm, one.problem.partition(" ")[0]): one for one in run.results}
    delta = run.header.counting.delta
    operators = list(CELLS.values())
    rows = {name: judge_counts(cells[str(base), name], cells[str(new), name], delta) for name in operators}
    return {name: (row.verdict, row.ratio and row.ratio.value) for name, row in rows.items()}


def expected(commit):
    """Operators with more instructions after a commit."""
    slowed = {"conv": ["conv", "conv_input_grad"]}.get(commit.cell, [CELLS.get(commit.cell, "")])
    return set(slowed) if commit.finding == "SLOWER" else set()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--commits", type=int, default=len(COMMITS), help="only the first of them")
    parser.add_argument("--json")
    options = parser.parse_args()
    commits = COMMITS[: options.commits]
    with tempfile.TemporaryDirectory() as made:
        repository = Path(made, "repository")
        hashes = make_repository(repository, commits)
        more = [add_work(repository, revision) for revision in hashes]
        git(repository, "switch", "--quiet", "main")
        run, seconds = count_all(repository, [*hashes, *more], Path(made, "run"))
        spread = max(one.counts.spread for one in run.results if one.counts)
        found = [judge(run, number, number + 1) for number in range(len(commits))]
        added = [judge(run, number, len(hashes) + number) for number in range(len(hashes))]
    report(commits, found, added, spread, seconds)
    if options.json:
        Path(options.json).write_text(json.dumps({"commits": found, "added": added, "spread": spread}, indent=1))


def report(commits, found, added, spread, seconds):
    """Print every commit, then counts of true and false verdicts, and the largest ratio of what did not change."""
    hits = wanted = alarms = unchanged = 0
    steady = []
    for number, (commit, row) in enumerate(zip(commits, found, strict=True), start=1):
        true = expected(commit)
        for name, (verdict, ratio) in row.items():
            wanted, hits = wanted + (name in true), hits + (name in true and verdict == "MORE")
            if name not in true and verdict != "MISSING":
                unchanged, alarms = unchanged + 1, alarms + (verdict != "SAME")
                steady.append(abs(ratio - 1))
        changed = {name: one for name, one in row.items() if one[0] != "SAME"}
        told = ", ".join(f"{name} {verdict} {ratio or 0:.4f}" for name, (verdict, ratio) in changed.items())
        said = ", ".join(sorted(true)) or "nothing"
        print(f"{number:2}  {commit.message:<28}  true: {said:<24}  {told or 'all the same'}")
    verdicts = Counter(verdict for row in added for verdict, _ in row.values())
    ratios = [ratio for row in added for _, ratio in row.values() if ratio]
    print(f"slower cells found: {hits} of {wanted}; not called the same: {alarms} of {unchanged} unchanged cells")
    print(f"ratios of unchanged cells: within {100 * max(steady):.2f} % of 1; within one process: {100 * spread:.2f} %")
    print(f"1 % more work: {dict(verdicts)}, ratios {min(ratios):.4f} to {max(ratios):.4f}; all in {seconds:.0f} s")


if __name__ == "__main__":
    main()

"""The gate on twenty commits, the changes that the history finds in them, and pytest-benchmark's comparison.

    python tests/benchmarks/bench_gate.py [--budget 60s] [--rounds 3] [--commits 19] [--json FILE]

makes the repository of tests/gating/twenty.py in a temporary folder and runs, for each commit after the first, the gate
on it and its parent, and `pytest --benchmark-compare-fail=median:5%` with the run of its parent just before. Then
every commit is timed in `rounds` plain runs, commit after commit, and the history is searched for changes. About
half an hour; nothing else should run meanwhile.
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

from tests.gating.twenty import COMMITS, SETTINGS, git, make_repository

OPERATORS = {"conv": "conv", "gradient": "conv_input_grad", "max_pool": "max_pool", "avg_pool": "avg_pool"}
TOLD = ("BROKEN", "SLOWER", "MISSING", "FASTER", "MENDED")


def call(arguments, folder):
    """Run a module of this interpreter in a folder; what it said, and the seconds it took."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | SETTINGS
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, capture_output=True, text=True, env=environment
    )
    return done, time.monotonic() - begun


def ask_gate(repository, parent, revision, output, budget):
    """Findings that are no news of rest, as operator and finding; the exit code and the seconds."""
    done, seconds = call(
        ["harness", "gate", "--base", parent, "--head", revision, "--plugin", "kernels.plugin", "--suite",
         "kernels-laws", "--suite", "kernels-speed", "--budget", budget, "--unqualified", "--output", str(output)],
        repository,
    )  # fmt: skip
    found = re.findall(rf"^({'|'.join(TOLD)})\s+kernels\s+\S+\s+(\w+)", done.stdout, re.MULTILINE)
    assert done.returncode in (0, 1, 3, 5), done.stdout + done.stderr
    return Counter((operator, finding) for finding, operator in found), done.returncode, seconds


def ask_pytest_benchmark(repository, revision):
    """Names of the benchmarks that it calls slower than in the run before, and the seconds."""
    git(repository, "switch", "--quiet", "--detach", revision)
    done, seconds = call(
        ["pytest", "test_speed.py", "-q", "-p", "no:cacheprovider", "--benchmark-autosave", "--benchmark-compare",
         "--benchmark-compare-fail=median:5%"],
        repository,
    )  # fmt: skip
    named = set(re.findall(r"test_speed\[(\w+)\] \(\S+\) - Field 'median' has failed", done.stdout + done.stderr))
    assert done.returncode == 0 or named, done.stdout + done.stderr
    return named, seconds


def time_commits(repository, hashes, runs, rounds):
    """Plain runs of every commit, commit after commit as a workflow on main makes them."""
    for revision in hashes:
        git(repository, "switch", "--quiet", "--detach", revision)
        for number in range(rounds):
            done, _ = call(
                ["harness", "run", "kernels-speed", "--plugin", "kernels.plugin", "--backend", "kernels", "--output",
                 str(runs / f"{revision[:12]}-{number}"), "--format", "csv"],
                repository,
            )  # fmt: skip
            assert done.returncode in (0, 1), done.stdout + done.stderr


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--commits", type=int, default=len(COMMITS), help="only the first of them")
    parser.add_argument("--json")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as made:
        repository, runs = Path(made, "repository"), Path(made, "runs")
        hashes = make_repository(repository, COMMITS[: options.commits])
        (repository / ".git" / "info" / "exclude").write_text("harness-runs\n.benchmarks\n__pycache__\n")
        save_first(repository, hashes[0])
        for number, commit in enumerate(COMMITS[: options.commits], start=1):
            found, code, seconds = ask_gate(
                repository, hashes[number - 1], hashes[number], Path(made, f"gate-{number}"), options.budget
            )
            named, beside = ask_pytest_benchmark(repository, hashes[number])
            true = expected(commit)
            rows.append({
                "commit": number, "message": commit.message, "true": true, "gate": dict(Counter(
                    {f"{operator} {finding}": n for (operator, finding), n in found.items()})), "code": code,
                "gate_s": seconds, "pytest_benchmark": sorted(OPERATORS[name] for name in named), "peer_s": beside,
            })  # fmt: skip
            print(row_text(rows[-1]), flush=True)
        time_commits(repository, hashes, runs, options.rounds)
        git(repository, "switch", "--quiet", "main")
        done, seconds = call(["harness", "history", "--runs", str(runs), "--changes"], repository)
        print(f"\nhistory of {len(hashes) * options.rounds} runs, asked in {seconds:.1f} s:\n{done.stdout}")
        print("commits:", ", ".join(f"{n} {one[:7]}" for n, one in enumerate(hashes)))
        summarise(rows)
        if options.json:
            Path(options.json).write_text(json.dumps({"rows": rows, "history": done.stdout}, indent=1))


def save_first(repository, revision):
    """The run that the first comparison of pytest-benchmark is with."""
    git(repository, "switch", "--quiet", "--detach", revision)
    done, _ = call(["pytest", "test_speed.py", "-q", "-p", "no:cacheprovider", "--benchmark-autosave"], repository)
    assert not done.returncode, done.stdout + done.stderr


def expected(commit):
    """Operators that a commit changes: a gradient is taken by the convolution, so that it slows with it."""
    slowed = {"conv": ["conv", "conv_input_grad"]}.get(commit.cell, [OPERATORS.get(commit.cell, "")])
    return [f"{operator} {commit.finding}" for operator in slowed if operator]


def row_text(row):
    gate = ", ".join(row["gate"]) or "nothing"
    peer = ", ".join(row["pytest_benchmark"]) or "nothing"
    true = ", ".join(row["true"]) or "nothing"
    return (
        f"{row['commit']:2}  true: {true:<40}  gate ({row['code']}, {row['gate_s']:.0f} s): {gate:<52}  "
        f"pytest-benchmark ({row['peer_s']:.0f} s): {peer}"
    )


def summarise(rows):
    """Count true and false findings, in cells and in commits, of both."""
    tools = {
        "gate": lambda row: set(row["gate"]),
        "pytest-benchmark": lambda row: {f"{one} SLOWER" for one in row["pytest_benchmark"]},
    }
    for name, told in tools.items():
        hits = sum(len(set(row["true"]) & told(row)) for row in rows)
        wanted = sum(len(row["true"]) for row in rows)
        false = [row["commit"] for row in rows if told(row) - set(row["true"])]
        cells = sum(len(told(row) - set(row["true"])) for row in rows)
        print(
            f"{name}: {hits} of {wanted} changed cells found; {cells} false alarms in {4 * len(rows) - wanted} "
            f"unchanged cells, in {len(false)} of {len(rows)} commits"
        )
    times = sorted(row["gate_s"] for row in rows)
    codes = Counter(row["code"] for row in rows)
    print(f"gate: median {times[len(times) // 2]:.0f} s, at most {times[-1]:.0f} s; exit codes {dict(codes)}")


if __name__ == "__main__":
    main()

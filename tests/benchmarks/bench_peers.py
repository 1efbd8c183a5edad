"""Identical code, measured twice by each tool: `python tests/benchmarks/bench_peers.py` (about ten minutes).

Twelve cells (three backends, four problems). pytest-benchmark, torch.utils.benchmark and pyperf (where installed, with
four processes a cell instead of twenty, for time) run twice, one run after the other, as they are used to compare two
versions; the harness compares two identical arms. Printed is by how much the second differs from the first, over cells.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness
from harness.analysis.arm_comparison import compare_to_base

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PEERS = HERE / "peer_cells.py"
SHARES = (0.03, 0.05, 0.10)
PER_CELL_S = 10


def main() -> None:
    """Print one row for every tool."""
    print(f"{'tool':<24}{'s a cell':>9}{'median':>8}{'worst':>8}" + "".join(f"  > {share:.0%}" for share in SHARES))
    with tempfile.TemporaryDirectory() as folder:
        for name, run in (
            ("pytest-benchmark", run_pytest),
            ("torch.utils.benchmark", run_torch),
            ("pyperf", run_pyperf),
        ):
            if name == "pyperf" and importlib.util.find_spec("pyperf") is None:
                print(f"{name:<24}not installed")
                continue
            begun = time.monotonic()
            first, second = (run(Path(folder, f"{name}-{number}.json")) for number in (1, 2))
            changes = [abs(second[cell] / first[cell] - 1) for cell in first]
            show(name, changes, (time.monotonic() - begun) / len(first))
        compare_arms(Path(folder))


def show(name: str, changes: list[float], seconds: float) -> None:
    """One row: time for both measurements of a cell, and how far they differ."""
    shares = "".join(f"{sum(c > share for c in changes) / len(changes):6.0%}" for share in SHARES)
    print(f"{name:<24}{seconds:>9.1f}{statistics.median(changes):>8.1%}{max(changes):>8.1%}{shares}", flush=True)


def run_pytest(path: Path) -> dict[str, float]:
    """Medians of one run of pytest-benchmark."""
    _run("-m", "pytest", str(PEERS), "-q", "-p", "no:xdist", "-W", "ignore", f"--benchmark-json={path}")
    return {one["name"]: one["stats"]["median"] for one in json.loads(path.read_text())["benchmarks"]}


def run_torch(path: Path) -> dict[str, float]:
    """Medians of one run of torch.utils.benchmark."""
    _run(str(PEERS), "--torch", str(path))
    return json.loads(path.read_text())


def run_pyperf(path: Path) -> dict[str, float]:
    """Means of one run of pyperf, which is what it compares."""
    import pyperf

    environ = "--inherit-environ=OPENBLAS_CORETYPE,OPENBLAS_L2_SIZE"
    _run(str(PEERS), "--processes=4", "--quiet", environ, "-o", str(path))
    return {one.get_name(): one.mean() for one in pyperf.BenchmarkSuite.load(str(path))}


def compare_arms(folder: Path) -> None:
    """The harness: two identical arms of every backend, and what it calls them."""
    from tests.benchmarks.peer_cells import BACKENDS, LINES

    changes, verdicts, begun = [], [], time.monotonic()
    for backend in BACKENDS:
        problems = [word for line in LINES for word in ("--problem", line)]
        output, budget = folder / backend, f"{PER_CELL_S * len(LINES)}s"
        _run(
            "-m",
            "harness",
            "versus",
            f"a={backend}",
            f"b={backend}",
            *problems,
            "--budget",
            budget,
            "--output",
            str(output),
        )
        rows = compare_to_base(harness.load(output)).rows
        changes += [abs(row.judgement.ratio.value - 1) for row in rows if row.judgement.ratio]
        verdicts += [row.judgement.verdict for row in rows]
    show("harness versus", changes, (time.monotonic() - begun) / len(changes))
    print("    called " + ", ".join(f"{verdicts.count(v)} {v}" for v in sorted(set(verdicts))))


def _run(*arguments: str) -> None:
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()

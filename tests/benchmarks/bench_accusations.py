"""Accusations on a busy machine: none of right backends, and all planted cheats found.

`python -m tests.benchmarks.bench_accusations [--times N] [--busy LOOPS] [--threads N] [--cheats N]`; a quarter of an
hour and more. While so many loops keep the cores busy, the problems of `speed-short` are timed on all CPU backends that
can run, one pass with all questions each time; a line says how many cells have a time, are accused (`error`), are wrong
otherwise (such as `timeout`), or have no time because the machine cannot tell. Then every planted cheat is timed; a
line says what it is called, and why.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.capture.workload import name_problems
from harness.execution.pipeline import run_plan
from harness.execution.progress import Silent
from harness.plan.planner import plan_run
from harness.plan.suite import NamedProblem, Suite, Timing
from harness.plugins.manager import load_plugins
from harness.record.directory import new_directory
from harness.record.run import WRONG, Run
from tests.lenient import keep_all_blocks

CHEATS = Path(__file__).parents[1] / "cheats"
PROBLEM = "conv x=10x8x24x24 w=16x8x3x3 pad=1"
TIMING = (
    "remembers-address", "lazy", "remembers-contents", "remembers-fingerprint", "plans-the-answer", "unfinished",
    "unfinished-for-long", "patched-clock",
)  # fmt: skip
PARTIAL = ("right-on-known", "finishes-in-the-gap", "ignores-threads", "works-elsewhere")
KEPT = ("remembers-half", "remembers-fifth", "remembers-images", "remembers-hash", "incremental")  # where contents stay
PLANTED = (
    ("timing.py", TIMING, PROBLEM), ("partial.py", PARTIAL, PROBLEM), ("partial.py", KEPT, f"{PROBLEM} data=integer"),
)  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    """Time right backends and cheats while loops keep the cores busy."""
    parser = argparse.ArgumentParser()
    for name, default in (("times", 5), ("busy", 4), ("threads", 1), ("cheats", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args(arguments)
    with keep_busy(asked.busy), tempfile.TemporaryDirectory() as folder:
        for number in range(asked.times):
            print_honest(Path(folder) / f"right{number}", asked.threads)
        for number in range(asked.cheats):
            for plugin, names, line in PLANTED:
                print_cheats(Path(folder) / f"{number}{names[0]}", str(CHEATS / plugin), names, line)


@contextlib.contextmanager
def keep_busy(loops: int) -> Iterator[None]:
    """Keep so many processes busy, which end with this one."""
    code = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): sum(range(100000))"
    busy = [subprocess.Popen([sys.executable, "-c", code, str(os.getpid())]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def print_honest(path: Path, threads: int) -> None:
    """Time the problems of `speed-short` on all CPU backends, and print the counts."""
    registry = load_plugins()
    names = [name for name, one in registry.backends.items() if one.device == "cpu" and one.listed]
    begun = time.monotonic()
    run = time_once(path, (), names, registry.suites["speed-short"].problems(), threads)
    wrong = [result for result in run.results if result.outcome in WRONG]
    untold = [result for result in run.results if result.untold]
    timed = sum(result.measurement is not None for result in run.results)
    print(
        f"{timed} cells have a time, {sum(result.outcome == 'error' for result in wrong)} are accused, "
        f"{sum(result.outcome != 'error' for result in wrong)} wrong otherwise, {len(untold)} cannot be told; load "
        f"{os.getloadavg()[0]:.0f} on {os.cpu_count()} cores, {time.monotonic() - begun:.0f} s",
        flush=True,
    )
    for result in (*wrong, *untold):
        print(f"    {result.arm}  {result.problem}: {result.told}", flush=True)


def print_cheats(path: Path, plugin: str, names: Sequence[str], line: str) -> None:
    """Time cheats, and print what they are called."""
    run = time_once(path, (plugin,), [f"cheat:{name}" for name in names], name_problems([line]), 1)
    for result in run.results:
        found = "found" if result.outcome in WRONG else "untold" if result.untold else "MISSED"
        shown = "with a time" if result.measurement is not None else "no time"
        print(f"{found:<8}{result.arm:<30}{shown}  load {os.getloadavg()[0]:.0f}  {result.told}", flush=True)


def time_once(
    path: Path, plugins: Sequence[str], names: Sequence[str], problems: Sequence[NamedProblem], threads: int
) -> Run:
    """Time problems in one pass whose blocks all count."""
    registry = load_plugins(plugins)
    registry.suites["once"] = Suite(
        name="once", kind="speed", description="one pass", timing=Timing(passes=1, sample_s=0.1), budget_s=5.0
    )
    plan = plan_run(registry, ["once"], list(names), problems)
    with keep_all_blocks():
        return run_plan(
            plan, registry, new_directory(str(path), ("once",)), Silent(), command="", extra=tuple(plugins),
            threads=threads,
        )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])

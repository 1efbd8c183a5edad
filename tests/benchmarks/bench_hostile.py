"""Ask hostile backends one problem each, by the command as its user runs it, and print what comes of each.

`python -m tests.benchmarks.bench_hostile [--only TEXT] [--markdown FILE]`. Columns: kind, the outcomes of its cells,
exit code, processor time of the command and its children in s, processes left. A kind ends well if its outcome is
wrong (failed, error, crashed, timeout), or if it is in HARMLESS; every other one is printed as a fault, and is counted
by the exit code.
"""

from __future__ import annotations

import argparse
import collections
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

import harness
from tests.conftest import ROOT
from tests.hostile import interfering, unruly

LINE = "conv x=7x2x9 w=3x2x3 data=integer"  # on which the backends of dying.py end
LAW = ("correctness", "--law", "agrees-with-reference")
TIMED = ("speed-short",)
LIMIT_S = 240.0  # of wall time for a command, after which it is killed and counts as hanging
MARK = "BENCH_HOSTILE"
HARMLESS = {  # right, or asked for nothing that could be wrong: they may pass, or be unavailable
    "honest", "prints", "unavailable", "exits-on-gradients", "exits-in-atexit", "starts-50-children",
    "leaves-a-detached-process", "leaves-threads-that-burn", "fills-its-folder",
    "changes-folder-and-environment", "works-in-a-removed-folder", "changes-locale-and-signals", "turns-errors-on",
    "lowers-recursion-limit", "replaces-streams", "rounds-upwards", "limits-file-size", "answers-what-changes-later",
    "hangs-in-prepare", "sleeps-when-timed", "raises-in-workspace", "sys-exit-in-work",  # not asked by this law
    "says-a-nasty-reason", "raises-in-probe", "talks-in-probe",  # unavailable
}  # fmt: skip
WRONG = {"failed", "error", "crashed", "timeout"}


@dataclass(frozen=True, slots=True)
class Kind:
    """A hostile backend: its name, its plugin, and the suite that asks it."""

    name: str
    plugin: str
    suite: tuple[str, ...] = LAW

    @property
    def short(self) -> str:
        """Name without the plugin."""
        return self.name.partition(":")[2]


@dataclass(frozen=True, slots=True)
class Found:
    """The end of a kind."""

    kind: Kind
    outcomes: str
    code: int | str
    seconds: float
    left: int
    reason: str

    @property
    def well(self) -> bool:
        """True if it was found out, or is harmless; and if it left no process."""
        found = set(self.outcomes.split(", "))
        told = bool(found & WRONG) and self.code == 1
        return not self.left and (told or (self.kind.short in HARMLESS and self.code in (0, 1, 4)))


def list_kinds() -> list[Kind]:
    """Return all kinds: tests/hostile, and those of tests/faulty and tests/cheats that attack or deceive."""
    found = [Kind(f"unruly:{name}", "tests/hostile/unruly.py") for name in unruly.MADE]
    found += [Kind(one.name, "tests/hostile/interfering.py") for one in interfering.BACKENDS]
    found += [
        Kind(f"unruly:{name}", "tests/hostile/unruly.py", TIMED) for name in ("hangs-in-prepare", "sleeps-when-timed")
    ]
    files = ("tests/faulty/hostile.py", "tests/faulty/dying.py", "tests/faulty/editing.py", "tests/faulty/refusing.py")
    for file in files:
        found += [Kind(name, file) for name in _read_names(file) if "holds-the-interpreter" not in name]
    for file in ("tests/cheats/timing.py", "tests/cheats/partial.py"):
        found += [Kind(name, file, TIMED) for name in _read_names(file)]
    return found


def _read_names(file: str) -> list[str]:
    from harness.plugins.manager import load_plugins

    return list(load_plugins((str(ROOT / file),), only=(str(ROOT / file),)).backends)


def try_kind(kind: Kind, folder: Path) -> Found:
    """Run the command; return what came of it."""
    output, token = folder / "run", f"{os.getpid()}-{time.monotonic_ns()}"
    command = [
        sys.executable, "-m", "harness", "run", *kind.suite, "--plugin", str(ROOT / kind.plugin), "--backend",
        kind.name,
        "--problem", LINE, "--time-limit", "10", "--memory-limit", "2GiB", "--jobs", "1", "--output", str(output),
    ]  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {MARK: token}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    code: int | str
    try:
        said, _ = process.communicate(timeout=LIMIT_S)
        code = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, code = process.communicate()[0] or "", "hangs"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    left = end_left(token)
    outcomes, reason = read_outcomes(output)
    return Found(kind, outcomes or "no run", code, seconds, left, reason or " ".join(said.split())[-300:])


def read_outcomes(output: Path) -> tuple[str, str]:
    """Return the distinct outcomes of a run, and its first reason."""
    try:
        run = harness.load(output)
    except harness.HarnessError:
        return "", ""
    counted = collections.Counter(result.outcome for result in run.results)
    return ", ".join(counted), next((result.reason for result in run.results if result.reason), "")


def end_left(token: str) -> int:
    """Kill the processes that a command has left, and return how many there were two seconds after its end."""
    time.sleep(2)
    left = 0
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == token and process.status() != psutil.STATUS_ZOMBIE:
                process.kill()
                left += 1
        except psutil.Error:
            continue
    return left


def main() -> int:
    """Run from the command line; the number of faults, at most 100."""
    from harness.analysis.inert_text import show_text

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="kinds whose names contain this text")
    parser.add_argument("--markdown", type=Path, help="append rows of a Markdown table to this file")
    options = parser.parse_args()
    bad = 0
    for kind in list_kinds():
        if options.only not in kind.name:
            continue
        with tempfile.TemporaryDirectory() as made:
            found = try_kind(kind, Path(made))
        bad += not found.well
        mark = "" if found.well else "  FAULT"
        name = kind.name + (", timed" if kind.suite is TIMED else "")
        row = f"{name:<44}{found.outcomes:<14}{found.code:<6}{found.seconds:6.1f} s  {found.left} left{mark}"
        print(row, f"    {show_text(found.reason, 200)}", sep="\n", flush=True)
        if options.markdown is not None:
            with options.markdown.open("a", encoding="utf-8") as file:
                file.write(f"| {name} | {found.outcomes} | {found.code} | {found.seconds:.1f} | {found.left} |\n")
    print(f"{bad} faults")
    return min(bad, 100)


if __name__ == "__main__":
    raise SystemExit(main())

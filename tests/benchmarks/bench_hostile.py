"""Ask hostile backends one problem each, by the command as its user runs it, and print what comes of each.

`python -m tests.benchmarks.bench_hostile [--only TEXT] [--markdown FILE]`. Columns: kind, the outcomes of its cells,
exit code, processor time of the command and its children in s, processes left. A kind ends well if its outcome is wrong
(failed, error, crashed, timeout), if the run is void, if it has ended the command (ENDS_COMMAND), if it has no time and
no success (UNTOLD), or if it is in HARMLESS, which says why; every other one is printed as a fault, and is counted by
the exit code. docs/hostile.md has the rows.
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
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

import harness
from tests.cheats.later import COUNTED
from tests.conftest import ROOT
from tests.hostile import interfering, meeting, reaching, unruly

LINE = "conv x=7x2x9 w=3x2x3 data=integer"  # on which the backends of dying.py end
REAL = "conv x=7x2x9 w=3x2x3"  # on which half precision and one per cent show
LONG = "conv x=10x8x24x24 w=16x8x3x3 pad=1"  # whose calls are so long that the use of threads shows
LAW = ("correctness", "--law", "agrees-with-reference")
MET = ("correctness", "--law", "calls-at-once-agree")  # calls that meet
TIMED = ("speed-short", "--threads", "1")
LIMIT_S = 240.0  # of wall time for a command, after which it is killed and counts as hanging
MARK = "BENCH_HOSTILE"
MEETING = "conv x=2x3x5x6 w=5x3x3x2 stride=2,1 pad=1:0,0:1 data=integer"
CHEATS = ("tests/cheats/timing.py", "tests/cheats/partial.py", "tests/cheats/later.py", "tests/cheats/whole.py")
NETWORK = "network lenet5 step n=2"  # for the cheats of whole.py
FILES = ("tests/faulty/hostile.py", "tests/faulty/dying.py", "tests/faulty/editing.py", "tests/faulty/refusing.py")
# Kinds of FILES that act only in timed calls, and kinds that act only on real numbers, or in long calls.
ACT_WHEN_TIMED = {
    "invents-inputs", "shows-nothing", "halves-samples", "halves-all-times", "claims-unsupported", "claims-skipped",
    "claims-unavailable", "accepts-itself-when-timed", "claims-times",
}  # fmt: skip
ACT_ON_REAL = {
    "declares-many-roundings", "declares-wider", "declares-coarse-sums", "declares-coarse-layers", "right-at-first",
    "right-on-known", "finishes-in-the-gap",
}  # fmt: skip
NEED_LENGTH = {"ignores-threads", "works-elsewhere"}
# Why a kind may pass, or be unavailable: nothing that it does makes an answer, a time or a record wrong.
HARMLESS = {
    "honest": "right, and honest: it must not be accused",
    "prints": "right; what it prints goes to the log of its worker",
    "unavailable": "says why it cannot run, so that nothing ran",
    "exits-on-gradients": "ends only in gradients, of which none is asked",
    "exits-in-atexit": "right answers; it ends its process when that ends anyway",
    "starts-50-children": "right answers; its children are ended with its worker",
    "leaves-a-detached-process": "right answers; what it leaves is ended with its worker",
    "leaves-threads-that-burn": "right answers; its threads end with its worker",
    "fills-its-folder": "right answers; its file is its own, and temporary",
    "changes-folder-and-environment": "right answers; the change is to its own process",
    "works-in-a-removed-folder": "right answers; the change is to its own process",
    "changes-locale-and-signals": "right answers; the change is to its own process, which is killed by SIGKILL",
    "turns-errors-on": "right answers; the judge has its own state of NumPy",
    "lowers-recursion-limit": "right answers; the change is to its own process",
    "replaces-streams": "right answers; nothing of the harness is written there",
    "rounds-upwards": "whole numbers are exact in every rounding mode; the judge has its own mode",
    "limits-file-size": "right answers; the files of the run are written by another process",
    "raises-in-probe": "says in a way that it cannot run, so that nothing ran",
    "talks-in-probe": "says why it cannot run, so that nothing ran",
    "says-a-nasty-reason": "says why it cannot run, so that nothing ran",
    "immutable-arrays": "right, and honest: an array library whose arrays cannot be written to",
    "lazy-from-fifth-pass": "honest in all three processes of this run",
    "plans-long": "right, and honest: its long plan is shown",
    "slow-until-timed": "right, and honest: only its untimed calls are slow",
}
# Kinds that do what an honest backend may do, too, so that they are not accused: they have no time, and no success.
UNTOLD = {
    "lazy-until-anything-is-read", "lazy-until-stored", "lazy-gradients", "lazy-gradients-when-timed",
    "lazy-every-other-pass",
    "declares-memory", "declares-work", "declares-slowness",
}  # fmt: skip
WRONG = {"failed", "error", "crashed", "timeout"}
# Kinds that end the command itself, which is no success: by a signal, as if interrupted, or unable to write.
ENDS_COMMAND = {
    "interrupts-the-command",
    "ends-the-command",
    "kills-the-command",
    "limits-the-command",
    "removes-the-run",
}
ENDS = {-signal.SIGKILL, 130, 6}


@dataclass(frozen=True, slots=True)
class Kind:
    """A hostile backend: its name, its plugin, the suite that asks it, and the problem."""

    name: str
    plugin: str
    suite: tuple[str, ...] = LAW
    line: str = LINE

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
    said: str

    @property
    def well(self) -> bool:
        """True if it was found out, or is harmless; and if it left no process."""
        found = set(self.outcomes.split(", "))
        told = bool(found & WRONG) and self.code == 1
        void = self.code == 4 and "run is void" in self.said  # it has changed the records
        ended = self.kind.short in ENDS_COMMAND and self.code in ENDS
        untold = self.kind.short in UNTOLD and found == {"skipped"} and self.code in (4, 5)
        harmless = self.kind.short in HARMLESS and self.code in (0, 4)
        return not self.left and (told or void or ended or untold or harmless)

    @property
    def row(self) -> str:
        """A row of the page."""
        told = self.outcomes if self.outcomes != "no run" else "the run is void"
        short = self.kind.short
        why = "" if set(told.split(", ")) & WRONG else HARMLESS.get(short, "")
        why = "it was not asked, and the run is no success" if told == "skipped" and self.code == 4 else why
        why = "no time, and the run is no success" if told == "skipped" and self.code == 5 else why
        timed = "timed" if self.kind.suite is TIMED else "meeting" if self.kind.suite is MET else "law"
        name = f"`{self.kind.name}`"
        return f"| {name} | {timed} | {told} | {self.code} | {self.seconds:.1f} | {self.left} | {why} |"


def list_kinds() -> list[Kind]:
    """Return all kinds: tests/hostile, and those of tests/faulty and tests/cheats that attack or deceive."""
    found = [Kind(f"unruly:{name}", "tests/hostile/unruly.py") for name in unruly.MADE]
    found += [Kind(one.name, "tests/hostile/interfering.py") for one in interfering.BACKENDS]
    found += [Kind(f"reaching:{name}", "tests/hostile/reaching.py") for name in reaching.MADE]
    found = [choose_way(one) for one in found]
    found += [Kind(one.name, "tests/hostile/meeting.py", MET, MEETING) for one in meeting.BACKENDS]
    for file in FILES:
        names = [name for name in _read_names(file) if "holds-the-interpreter" not in name]
        found += [choose_way(Kind(name, file)) for name in names]
    for file in CHEATS:
        for name in _read_names(file):
            short = name.partition(":")[2]
            line = LONG if short in NEED_LENGTH else REAL if short in ACT_ON_REAL else LINE
            line = NETWORK if file.endswith("whole.py") else line
            found.append(Kind(name, file, TIMED, line))
    return found


def choose_way(kind: Kind) -> Kind:
    """Return a kind with the suite and the problem in which it acts."""
    if kind.short in ACT_WHEN_TIMED or kind.short in ("hangs-in-prepare", "sleeps-when-timed"):
        return replace(kind, suite=TIMED)
    return replace(kind, line=REAL) if kind.short in ACT_ON_REAL else kind


def _read_names(file: str) -> list[str]:
    from harness.plugins.manager import load_plugins

    return list(load_plugins((str(ROOT / file),), only=(str(ROOT / file),)).backends)


def try_kind(kind: Kind, folder: Path) -> Found:
    """Run the command; return what came of it."""
    output, token = folder / "run", f"{os.getpid()}-{time.monotonic_ns()}"
    command = [
        sys.executable, "-m", "harness", "run", *kind.suite, "--plugin", str(ROOT / kind.plugin), "--backend",
        kind.name,
        "--problem", kind.line, "--time-limit", "10", "--memory-limit", "2GiB", "--jobs", "1", "--output", str(output),
    ]  # fmt: skip
    environment = os.environ | {MARK: token, COUNTED: str(folder / "counts")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
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
    return Found(kind, outcomes or "no run", code, seconds, left, reason or " ".join(said.split())[-300:], said)


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
                file.write(f"{found.row}\n")
    print(f"{bad} faults")
    return min(bad, 100)


if __name__ == "__main__":
    raise SystemExit(main())

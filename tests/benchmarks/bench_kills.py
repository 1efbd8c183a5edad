"""Kill small runs at random moments, resume them, and compare them with runs in one piece.

`python -m tests.benchmarks.bench_kills --kills 100 [--command correctness|speed|networks] [--seed N]`. Each kill is a
`kill -9` of the command alone, at a moment that is drawn between its start and the end of an undisturbed run; one that
had ended by then counts as `ended before`, and is drawn again. Exit code 1 if anything was lost, done twice, left
running, or different.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil

from harness.record.directory import read_run
from harness.record.journal import PassEntry, ResultEntry, read_journal
from tests.conftest import ROOT
from tests.execution.interrupted import read_outcomes

TOKEN = "HARNESS_BENCH_KILLS"
GRACE_S = 20.0  # for the system to end the workers of a killed command, on a busy machine
LINES = ("conv x=1x2x9 w=3x2x3 data=integer", "conv x=2x3x17 w=4x3x5 stride=2 pad=1:2 data=integer")
PLAIN = tuple(part for line in LINES for part in ("--problem", line))
COMMANDS = {
    "correctness": ("correctness", "--backend", "im2col", *PLAIN),
    "speed": ("speed-short", "--backend", "im2col", "--backend", "numpy-direct", *PLAIN),
    "networks": ("networks", "--backend", "numpy-direct", "--network", "lenet5"),
}
BAD = ("lost", "twice", "orphans", "different", "not resumed")


def start(arguments: tuple[str, ...], token: str, log: Path) -> subprocess.Popen[bytes]:
    """Start a command whose processes, however deep, carry a token in their environment.

    arguments: of `run`. token: name of the trial. log: file for its output.
    """
    with log.open("wb") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", "harness", "run", *arguments, "--format", "markdown"], cwd=ROOT,
            env=os.environ | {TOKEN: token}, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
        )  # fmt: skip


def list_alive(token: str) -> list[psutil.Process]:
    """Return the processes that carry a token and have not ended."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(TOKEN) == token and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def count_orphans(token: str) -> int:
    """Return how many processes of a killed command are left after a while; they are ended."""
    deadline = time.monotonic() + GRACE_S
    while (alive := list_alive(token)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    return len(alive)


def read_entries(folder: Path) -> list[object]:
    """Return the entries of a journal; none if there is no journal yet."""
    with suppress(FileNotFoundError):
        return list(read_journal((folder / "journal.jsonl").read_bytes()).entries)
    return []


def name_entries(entries: list[object]) -> list[tuple[str, int, int]]:
    """Return kind, cell and number of the pass of every result and pass."""
    named = [("result", e.result.cell, 0) for e in entries if isinstance(e, ResultEntry)]
    return named + [("pass", e.cell, e.samples.number) for e in entries if isinstance(e, PassEntry)]


def try_once(
    arguments: tuple[str, ...], wanted: list[object], after_s: float, folder: Path, tally: Counter[str]
) -> bool:
    """Kill a run, resume it and count what went wrong; return False if it ended before the kill.

    arguments: of `run`. wanted: outcomes of a run in one piece. after_s: moment of the kill, from the start.
    folder: of the run. tally: receives the counts.
    """
    token, log = folder.name, folder.with_suffix(".log")
    process = start((*arguments, "--output", str(folder)), token, log)
    with suppress(subprocess.TimeoutExpired):
        process.wait(after_s)
        tally["ended before"] += 1
        return False
    process.send_signal(signal.SIGKILL)
    process.wait()
    tally["kills"] += 1
    tally["orphans"] += count_orphans(token)
    before = read_entries(folder)
    if not (folder / "header.json").exists():
        tally["killed before the first record"] += 1
    tally["results by then"] += sum(isinstance(entry, ResultEntry) for entry in before)
    tally["passes by then"] += sum(isinstance(entry, PassEntry) for entry in before)
    if not (folder / "workers").exists():
        return True  # nothing has begun, so that nothing can be resumed
    if (code := start((*arguments, "--resume", str(folder)), token, log).wait()) != 0:
        print(f"  exit code {code} after a kill at {after_s:.1f} s: {log.read_text(errors='replace')[-300:]}")
        tally["not resumed"] += 1
        return True
    tally["orphans"] += count_orphans(token)
    names, found = name_entries(before), Counter(name_entries(read_entries(folder)))
    tally["passes of an unfinished turn cut off"] += cut_off(before)
    tally["lost"] += sum(found[name] == 0 for name in names)
    tally["twice"] += sum(count > 1 for count in found.values())
    if read_outcomes(folder) != wanted or not read_run(folder).complete:
        print(f"  another outcome after a kill at {after_s:.1f} s: {folder}")
        tally["different"] += 1
    return True


def cut_off(entries: list[object]) -> int:
    """Return how many passes at the end of a journal belong to a turn that is not whole."""
    last = entries[-1] if entries else None
    return 0 if not isinstance(last, PassEntry) or not last.more else 1


def campaign(name: str, kills: int, draw: random.Random, folder: Path) -> Counter[str]:
    """Kill runs of one command so many times.

    name: of the command. kills: number. draw: of the moments. folder: for the runs.
    """
    tally, arguments = Counter[str](), COMMANDS[name]
    begun = time.monotonic()
    whole = start((*arguments, "--output", str(folder / "whole")), "whole", folder / "whole.log")
    if whole.wait() != 0:
        sys.exit(f"the run in one piece fails: {(folder / 'whole.log').read_text(errors='replace')[-2000:]}")
    took_s, wanted = time.monotonic() - begun, read_outcomes(folder / "whole")
    print(f"{name}: {len(wanted)} cells, {took_s:.0f} s in one piece", flush=True)
    trial = 0
    while tally["kills"] < kills:
        trial += 1
        one = folder / f"trial-{os.getpid()}-{name}-{trial}"
        if not try_once(arguments, wanted, draw.uniform(0, took_s), one, tally):
            took_s *= 0.9  # the machine is faster now
        if not any(tally[bad] for bad in BAD):
            shutil.rmtree(one, ignore_errors=True)
        print(f"  {dict(tally)}", flush=True)
    return tally


def main() -> int:
    """Run the campaigns; return 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--command", choices=COMMANDS, action="append")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    bad = 0
    made = Path(tempfile.mkdtemp(prefix="harness-kills-"))
    for name in given.command or COMMANDS:
        folder = made / name
        folder.mkdir()
        tally = campaign(name, given.kills, random.Random(f"{given.seed} {name}"), folder)
        bad += sum(tally[one] for one in BAD)
        print(f"{name}: {', '.join(f'{tally[one]} {one}' for one in dict.fromkeys((*tally, *BAD)))}", flush=True)
    print(f"runs: {made}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

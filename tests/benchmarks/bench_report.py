"""Time of the reports of a run: `python tests/benchmarks/bench_report.py RUN [REPEATS]`.

Runs `python -m harness report RUN` in processes of their own: with all default formats, then with each alone. Prints
processor time (user and system), which depends little on other programs of the machine, and wall time.

RUN: a run directory, such as that of `python -m harness run suite --output RUN`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

FORMATS = ("csv", "markdown", "html", "parquet")
# Commands keep the bytecode of modules, as they do for users; without it, compiling takes half a second.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def main(run: str, repeats: int = 3) -> None:
    """Print the median of some repeats for every choice of formats.

    run: the run directory. repeats: commands for each choice.
    """
    size = (Path(run) / "journal.jsonl").stat().st_size / 2**20
    print(f"{run}: journal of {size:.0f} MiB; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for what, formats in (("all", ()), *((name, (name,)) for name in FORMATS)):
        found = [time_report(run, formats) for _ in range(repeats)]
        cpu_s, wall_s = (statistics.median(one[side] for one in found) for side in (0, 1))
        print(f"{what:<9} {cpu_s:6.2f} s of processor time, {wall_s:6.2f} s of wall time", flush=True)


def time_report(run: str, formats: Sequence[str]) -> tuple[float, float]:
    """Return processor time and wall time of one command, in s.

    run: the run directory. formats: to write; none for the default ones.
    """
    with tempfile.TemporaryDirectory(prefix="conv-harness-report-") as folder:
        options = [word for name in formats for word in ("--format", name)]
        command = [sys.executable, "-m", "harness", "report", run, "--output", folder, *options]
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, command
        assert any(Path(folder).iterdir()), "nothing was written"
        return used.ru_utime + used.ru_stime, time.perf_counter() - begun


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))

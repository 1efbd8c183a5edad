"""Runs that are killed after a line of their journal, and what two runs must have in common.

`python -m tests.execution.interrupted LINES ARGUMENTS` runs the command line and kills itself, as `kill -9` does, as
soon as the journal has so many lines; with a plus behind the number, half of the next line is written as well.
"""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

from harness.record.directory import read_run
from harness.record.journal import Journal
from tests.conftest import ROOT


def run_killed(lines, *arguments, cwd=ROOT, **environment):
    """Run a command that kills itself after so many lines of its journal; return what it printed.

    lines: number, or a text with a plus. cwd: working directory. environment: variables that are set meanwhile.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.execution.interrupted", str(lines), *map(str, arguments)], cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stderr


def cut(finished, folder, lines, more=b""):
    """Copy a run as it was when its journal had so many lines, and return the path.

    finished: path of a whole run. more: bytes of the next line that was being written.
    """
    shutil.copytree(finished, folder)
    for name in ("report", "results.parquet", "samples.parquet", "blocks.parquet"):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    journal = folder / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:lines]) + more)
    return folder


def read_outcomes(run):
    """Return the results of a run without its times and process numbers, and the number of passes of each.

    run: a run, or its path.
    """
    run = run if hasattr(run, "results") else read_run(run)
    return [
        (replace(result, seconds=0.0, worker=0, measurement=None), [one.number for one in _passes(result)])
        for result in run.results
    ]


def _passes(result):
    return () if result.measurement is None else result.measurement.passes


def main(arguments):
    """Kill this process in the middle of the command that the arguments name."""
    from harness.cli.main import main as run_command
    from harness.execution import timing_stage

    most, append = int(arguments[0].rstrip("+")), Journal.append

    def append_or_die(journal, entry):
        append(journal, entry)
        if journal.done[1] >= most:
            if arguments[0].endswith("+"):
                os.pwrite(journal.file.fileno(), b'{"type":"result","resu', journal.done[0])
            os.kill(os.getpid(), signal.SIGKILL)

    Journal.append = append_or_die
    timing_stage.measure_machine = lambda state, quick: None
    sys.argv[1:] = arguments[1:]
    run_command()


if __name__ == "__main__":
    main(sys.argv[1:])

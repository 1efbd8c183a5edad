"""Processor time of opening files where the files that a backend opens are kept, and where they are not, in turns.

`python -m tests.benchmarks.bench_opens [--opens 100000] [--files 10000] [--rounds 3]`: each round opens and closes
`--files` files in turn, in a process of its own, from 20 functions deep.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.worker.host.opened import watch_opens

DEPTH = 20  # functions that call each other


def open_files(names: list[str], opens: int, depth: int) -> None:
    if depth:
        open_files(names, opens, depth - 1)
        return
    for number in range(opens):
        open(names[number % len(names)], "rb").close()


def measure(folder: Path, opens: int, files: int, *, watched: bool) -> float:
    """Return the processor time of the opens, in seconds."""
    names = [str(folder / f"{number}.bin") for number in range(files)]
    opened = watch_opens(()) if watched else None
    begun = time.process_time()
    open_files(names, opens, DEPTH)
    spent = time.process_time() - begun
    if opened is not None and len(opened.files) != files:
        raise SystemExit(f"{len(opened.files)} files are kept, wanted {files}")
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--opens", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", choices=("watched", "free"), help="measure once, in this process")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.one:
        print(f"{measure(given.folder, given.opens, given.files, watched=given.one == 'watched'):.3f}")
        return
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.files):
            (Path(folder) / f"{number}.bin").touch()
        command = [sys.executable, "-m", "tests.benchmarks.bench_opens", "--opens", str(given.opens)]
        command += ["--files", str(given.files), "--folder", folder, "--one"]
        for _ in range(given.rounds):
            for what in ("free", "watched"):
                done = subprocess.run([*command, what], check=True, capture_output=True, text=True)
                print(f"{what:8} {float(done.stdout):7.3f} s, {float(done.stdout) / given.opens * 1e6:6.1f} µs an open")


if __name__ == "__main__":
    main()

"""Time in which `fuzz` finds each planted fault that depends on shape, one after the other.

    python tests/benchmarks/bench_fuzz.py [--module public_dispatch] [--every 1] [--seed 1] [--seconds 60] [FAULT ...]

Runs the command as its user does, with all operators, dtypes and laws, and stops it when it prints the first broken
law, after its reduction. Prints the seconds, the number of problems up to the first that failed (which a busy machine
does not change), and the smallest problem. Exit code 1: a fault is not found in time.
"""

import argparse
import importlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MET = re.compile(r" +met +in problem (\d+),")
ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))


def list_faults(module):
    """Return the names of the backends that a module of planted faults registers."""
    found = []
    importlib.import_module(f"tests.faulty.{module}").register_backends(found.append)
    return [backend.name for backend in found]


def time_finding(fault, module, seed, seconds):
    """Return after how many seconds and problems a broken law is told, and on which line; None where none is."""
    with tempfile.TemporaryDirectory() as corpus:
        command = [
            sys.executable, "-m", "harness", "fuzz", "--backend", fault, "--plugin", f"tests/faulty/{module}.py",
            "--time", f"{seconds}s", "--seed", str(seed), "--corpus", corpus,
        ]  # fmt: skip
        begun, smallest = time.monotonic(), ""
        with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as ran:
            for line in ran.stdout:
                if line.startswith("    problem"):
                    smallest = line.strip().removeprefix("problem").strip()
                if smallest and (met := MET.match(line)):
                    spent = time.monotonic() - begun
                    ran.terminate()
                    return spent, int(met[1]), smallest
    return None


def _main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="all of the module where none is named")
    parser.add_argument("--module", default="public_dispatch", help="of tests/faulty")
    parser.add_argument("--every", type=int, default=1, help="each which one of a module is tried")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=60)
    asked = parser.parse_args()
    times, draws, missed = [], [], []
    for fault in asked.faults or list_faults(asked.module)[:: asked.every]:
        found = time_finding(fault, asked.module, asked.seed, asked.seconds)
        if found is None:
            missed.append(fault)
            print(f"   -     {fault}: not found in {asked.seconds} s", flush=True)
            continue
        times.append(found[0])
        draws.append(found[1])
        print(f"{found[0]:6.1f} s {found[1]:6d} problems  {fault}: {found[2]}", flush=True)
    if times:
        print(f"{len(times)} found: median {statistics.median(times):.1f} s, at most {max(times):.1f} s; "
              f"median {statistics.median(draws):.0f} problems, at most {max(draws)}")  # fmt: skip
    print(f"{len(missed)} not found")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(_main())

"""Damage the files that the harness reads, and hold each loader to one clear line, 5 s of processor time, and 512 MiB.

`python -m tests.benchmarks.bench_loaders --inputs 100000 [--loader NAME] [--seed N] [--first N]`. What a loader does
beyond returning or raising a `HarnessError` of one line is printed with the input's number and kind of damage. Seed,
loader and number name an input: `--first N --inputs 1 --loader NAME --seed N` repeats it, with the traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import io
import os
import resource
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from harness.errors import HarnessError
from tests.damage.kinds import damage, drawn
from tests.damage.loaders import Loader, make_loaders

LIMIT_S = 5.0  # of processor time
LIMIT_BYTES = 2**29  # of memory, in addition to what the process had before
SILENT_S = 60.0  # of wall time, after which an input counts as endless


def try_loader(
    loader: Loader, numbers: Iterable[int], seed: int, *, show: bool = False
) -> tuple[Counter[str], list[str]]:
    """Return how many inputs were read, refused or at fault, and a line for each fault."""
    counts: Counter[str] = Counter()
    faults = []
    loader.path.parent.mkdir(parents=True, exist_ok=True)
    loader.path.write_bytes(loader.content)
    with contextlib.redirect_stdout(io.StringIO()):
        loader.load()  # the file is valid before it is damaged
    for number in numbers:
        kind, data = damage(loader.content, drawn(seed, loader.name, number), loader.form)
        loader.path.write_bytes(data)
        faulthandler.dump_traceback_later(SILENT_S, exit=True)
        said = try_file(loader, show=show)
        faulthandler.cancel_dump_traceback_later()
        if said in ("read", "refused"):
            counts[said] += 1
        else:
            counts["at fault"] += 1
            faults.append(f"{loader.name} {number} ({kind}): {said}")
    loader.path.write_bytes(loader.content)
    return counts, faults


def try_file(loader: Loader, *, show: bool = False) -> str:
    """Load the file as it is; return "read", "refused", or what is wrong with that.

    show: whether to print a traceback of what should not be raised.
    """
    begun, before, said = time.process_time(), reset_peak(), "read"
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            loader.load()
    except HarnessError as error:
        text = str(error)
        said = "refused" if "\n" not in text and len(text) < 10_000 else f"says {len(text)} characters: {text[:80]!r}"
    except Exception as error:
        said = f"{type(error).__name__}: {error}"[:300]
        if show:
            traceback.print_exc()
    used, grown = time.process_time() - begun, read_peak() - before
    if used > LIMIT_S:
        return f"took {used:.1f} s of processor time ({said})"
    return f"took {grown / 2**20:.0f} MiB ({said})" if grown > LIMIT_BYTES else said


def reset_peak() -> int:
    """Let the system count this process's peak of memory anew; return the memory that it has, in bytes."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return _read_status("VmRSS")


def read_peak() -> int:
    """Return the peak of this process's memory since `reset_peak`, in bytes."""
    return _read_status("VmHWM")


def _read_status(name: str) -> int:
    text = Path("/proc/self/status").read_text()
    return int(text.partition(f"{name}:")[2].split()[0]) * 1024


def main() -> int:
    """Run from the command line; 1 if a loader is at fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="of all loaders together")
    parser.add_argument("--loader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first input of each loader")
    options = parser.parse_args()
    bad = tried = 0
    with tempfile.TemporaryDirectory() as made:
        os.environ["HARNESS_STATE_DIR"] = f"{made}/state"
        loaders = [one for one in make_loaders(Path(made)) if options.loader in (None, one.name)]
        shares = {one.name: 1 if one.slow else 30 for one in loaders}
        for loader in loaders:
            begun = time.process_time()
            each = -(-options.inputs * shares[loader.name] // sum(shares.values()))
            numbers = range(options.first, options.first + each)
            counts, faults = try_loader(loader, numbers, options.seed, show=each == 1)
            tried += each
            said = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
            print(
                f"{loader.name:<14}{said}; {time.process_time() - begun:.0f} s", *faults[:8], sep="\n    ", flush=True
            )
            bad += counts["at fault"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{bad} at fault of {tried}; peak of memory {peak / 2**10:.0f} MiB")
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(main())

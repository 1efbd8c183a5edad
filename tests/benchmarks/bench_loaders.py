"""Damage the files that the harness reads, and hold each loader to one clear line within five seconds.

`python -m tests.benchmarks.bench_loaders --inputs 100000 [--loader NAME] [--seed N]`. The journal is left out: it has
a test of its own. What a loader raises beyond a `HarnessError` is printed with the input's number and kind of damage.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from harness.analysis.history.importing import read_benchmarks
from harness.analysis.history.store import open_store
from harness.analysis.qualification import Qualification, qualification_file, read_qualification
from harness.capture.workload import read_workload
from harness.errors import HarnessError
from harness.experiments.fuzz_corpus import read_cases
from harness.gating.blessings import FILE, read_blessings
from harness.record.acceptance import read_acceptance
from harness.record.archive import read_archive, write_archive
from harness.record.directory import read_run, write_header
from tests.reports.made import PLAIN, make_run

LIMIT_S = 5.0
NUMBERS = ("9" * 5000, str(2**62), str(-(2**63)), "1e999", "-1", "0", "NaN", "null", "true", '"text"', "[]", "{}")

FOREIGN = (b"PK\x03\x04", b"PAR1", b"\x89PNG\r\n", b"null", b"[]", b"{}", b"1", b'"x"', b"\xef\xbb\xbf{}")


@dataclass(frozen=True, slots=True)
class Loader:
    """A loader, the file that it reads, and valid contents."""

    name: str
    path: Path
    content: bytes
    load: Callable[[], object]


def make_loaders(folder: Path) -> list[Loader]:
    """Write one valid file for each loader."""
    run = folder / "runs" / "one"
    run.mkdir(parents=True)
    environment = {"fingerprint": "f" * 12, "cores": 2, "python": "3.11.7", "variables": {}, "threads": None}
    header = replace(make_run().header, created="2026-01-01T00:00:00+0000", environment=environment)
    write_header(run, header).close()
    read = read_run(run)
    kept = folder / "kept.run"
    with kept.open("wb") as file:
        write_archive(read, file)
    accepted = {"accepted": {"1": "known"}, "refused": {"2": "not any more"}}
    blessing = {"backend": "mine", "problem": PLAIN, "verdict": "SLOWER", "commit": "a" * 40, "reason": "known",
                "created": "2026-01-01", "ratio": {"value": 1.1, "low": 1.0, "high": 1.2}}  # fmt: skip
    qualified = asdict(Qualification(environment="one", created="", cells=3, alarms=0, powers={"0.03": (3, 4)}))
    problems = {"format": 1, "source": "made", "problems": [{"name": "a", "line": PLAIN, "multiplicity": 2}],
                "left_out": [{"name": "b", "operator": "Loop", "count": 1, "reason": "inside"}]}  # fmt: skip
    timed = {"fullname": "t", "stats": {"data": [1e-3, 2e-3], "iterations": 3, "rounds": 2, "min": 1e-3},
             "options": {},
             "extra_info": {"problem": PLAIN, "backend": "mine", "verified": True}}  # fmt: skip
    benchmarks = {"machine_info": {"cpu": {"brand": "x"}, "node": "n"}, "datetime": "2026-01-01T00:00:00",
                  "commit_info": {"id": "a" * 40, "dirty": False}, "benchmarks": [timed]}  # fmt: skip
    corpus = f"agrees-with-reference\t{PLAIN}\n".encode()
    head = (run / "header.json").read_bytes()
    files = {
        "header": (run / "header.json", head, lambda: read_run(run)),
        "history": (run / "header.json", head, lambda: open_store(folder / "runs")),
        "accepted": (run / "accepted.json", json.dumps(accepted).encode(), lambda: read_acceptance(read)),
        "archive": (kept, kept.read_bytes(), lambda: read_archive(kept)),
        "blessings": (folder / FILE, json.dumps([blessing]).encode(), lambda: read_blessings(folder)),
        "qualification": (qualification_file("one"), json.dumps(qualified).encode(), lambda: read_qualification("one")),
        "problems": (folder / "p.json", json.dumps(problems).encode(), lambda: read_workload(folder / "p.json")),
        "benchmarks": (folder / "b.json", json.dumps(benchmarks).encode(), lambda: read_benchmarks(folder / "b.json")),
        "corpus": (folder / "mine.txt", corpus, lambda: read_cases(folder, "mine")),
    }
    loaders = [Loader(name, path, content, load) for name, (path, content, load) in files.items()]
    return loaders + make_onnx_loader(folder)


def make_onnx_loader(folder: Path) -> list[Loader]:
    """Return the loader of ONNX models, if the package is installed."""
    try:
        from onnx import TensorProto, helper
    except ImportError:
        return []
    from harness.capture.onnx_graph import capture_onnx

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (
        ("x", [1, 3, 8, 8]), ("w", [4, 3, 3, 3]), ("y", [1, 4, 6, 6]))]  # fmt: skip
    node = helper.make_node("Conv", ["x", "w"], ["y"], strides=[1, 1], pads=[0, 0, 0, 0])
    model = helper.make_model(helper.make_graph([node], "g", values[:2], values[2:]))
    path = folder / "model.onnx"
    return [Loader("onnx", path, model.SerializeToString(), lambda: capture_onnx(str(path), backward=True))]


def damage(content: bytes, draw: random.Random) -> tuple[str, bytes]:
    """Return a kind of damage, and the damaged content."""
    kind = draw.choice(("flip", "cut", "insert", "number", "deep", "utf8", "repeat", "swap", "empty", "foreign"))
    data = bytearray(content)
    place = draw.randrange(len(data) + 1)
    match kind:
        case "flip":
            for _ in range(draw.randint(1, 8)):
                data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        case "cut":
            del data[place:]
        case "insert":
            data[place:place] = draw.randbytes(draw.randint(1, 20))
        case "number":
            digits = [n for n, c in enumerate(data) if chr(c).isdigit()] or [place]
            start = draw.choice(digits)
            data[start : start + 1] = draw.choice(NUMBERS).encode()
        case "deep":
            depth = draw.choice((100, 2000, 100_000))
            data[place:place] = draw.choice((b"[", b'{"a":')) * depth
        case "utf8":
            data[place:place] = draw.choice((b"\xff\xfe", b"\xed\xa0\x80", b"\xc3", b"\x00", b"\x1b[31m"))
        case "repeat":
            data[place:place] = data[: draw.randint(1, len(data))]
        case "swap":
            other = draw.randrange(len(data) + 1)
            first, last = sorted((place, other))
            data = data[last:] + data[first:last] + data[:first]
        case "empty":
            data.clear()
        case "foreign":
            data[:] = draw.choice(
                (b"PK\x03\x04", b"PAR1", b"\x89PNG\r\n", b"null", b"[]", b"{}", b"1", b'"x"', b"\xef\xbb\xbf{}")
            )
    return kind, bytes(data)


def try_loader(loader: Loader, inputs: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Return how many inputs were read, refused or at fault, and a line for each fault."""
    counts: Counter[str] = Counter()
    faults = []
    loader.path.parent.mkdir(parents=True, exist_ok=True)
    loader.path.write_bytes(loader.content)
    loader.load()  # the file is valid before it is damaged
    for number in range(inputs):
        kind, data = damage(loader.content, random.Random(f"{seed} {loader.name} {number}"))
        loader.path.write_bytes(data)
        begun, said = time.monotonic(), "read"
        try:
            loader.load()
        except HarnessError as error:
            said = "refused" if "\n" not in str(error) else "of several lines"
        except Exception as error:
            said = f"{type(error).__name__}: {error}"[:200]
        if time.monotonic() - begun > LIMIT_S:
            said = f"took {time.monotonic() - begun:.1f} s"
        if said in ("read", "refused"):
            counts[said] += 1
        else:
            counts["at fault"] += 1
            faults.append(f"{loader.name} {number} ({kind}): {said}")
    loader.path.unlink()
    loader.path.mkdir()
    try:
        loader.load()
    except HarnessError:
        counts["refused"] += 1
    except Exception as error:
        counts["at fault"] += 1
        faults.append(f"{loader.name} (a folder): {type(error).__name__}: {error}")
    loader.path.rmdir()
    loader.path.write_bytes(loader.content)
    return counts, faults


def main() -> int:
    """Run from the command line; 1 if a loader is at fault."""
    import os

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--loader")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as made:
        os.environ["HARNESS_STATE_DIR"] = f"{made}/state"
        loaders = [one for one in make_loaders(Path(made)) if options.loader in (None, one.name)]
        for loader in loaders:
            begun = time.monotonic()
            counts, faults = try_loader(loader, options.inputs // len(loaders), options.seed)
            print(f"{loader.name:<14}{dict(counts)} in {time.monotonic() - begun:.0f} s", *faults[:8], sep="\n    ")
            bad += counts["at fault"]
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(main())

"""Duration of a history of a million results: `python tests/benchmarks/bench_history.py [RUNS] [CELLS]`.

Writes runs with the real layout (headers, and results.parquet with all of its columns) into a temporary folder, and
times whole commands in separate processes: the query of one series with its drawing, all series, and all changes.
"""

from __future__ import annotations

import hashlib
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.analysis.tables import RESULT_COLUMNS
from harness.record.run import FORMAT, Header

BACKENDS = ("fft", "im2col", "numpy-direct", "scipy-signal", "torch")
ENVIRONMENT = {"fingerprint": "f00df00df00d", "threads": 2, "variables": {}, "cpu": "made", "cores": 2}
REPEATS = 3
KINDS = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_()}


def main(runs: int = 1000, cells: int = 1000) -> None:
    """Print the middle of some repeats of every command."""
    with tempfile.TemporaryDirectory(prefix="conv-harness-history-") as folder:
        root = Path(folder)
        begun = time.perf_counter()
        lines = [f"conv x={n + 1}x16x32x32 w=32x16x3x3 pad=1" for n in range(cells // len(BACKENDS))]
        make_history(root / "runs", runs, lines)
        size = sum(path.stat().st_size for path in (root / "runs").rglob("*.parquet")) / 2**20
        spent = time.perf_counter() - begun
        print(f"{runs} runs x {len(lines) * len(BACKENDS)} results, {size:.0f} MiB, made in {spent:.0f} s")
        some = ["--backend", "im2col", "--problem", lines[len(lines) // 2]]
        for what, words in (
            ("one series: query and drawing", [*some, "--output", str(root / "one")]),
            ("one backend: query and drawing", ["--backend", "im2col", "--output", str(root / "backend")]),
            ("all series: query", []),
            ("all series: changes", ["--changes"]),
        ):
            times = [run_command(["history", "--runs", str(root / "runs"), *words]) for _ in range(REPEATS)]
            if "--output" in words:
                assert (Path(words[-1]) / "history.html").stat().st_size > 4e6, "the page was not drawn"
            print(
                f"{what:<32} {statistics.median(times):.2f} s (from {min(times):.2f} to {max(times):.2f})", flush=True
            )


def make_history(folder: Path, runs: int, lines: list[str]) -> None:
    """Runs a day apart, each of another commit; every tenth cell becomes 20 % slower half-way."""
    draw = np.random.default_rng(0)
    cells = len(lines) * len(BACKENDS)
    base = draw.uniform(1e5, 1e7, cells)
    text = {
        "suite": ["speed"] * cells, "kind": ["speed"] * cells, "arm": list(BACKENDS) * len(lines),
        "backend": list(BACKENDS) * len(lines),
        "label": [f"row {line}" for line in lines for _ in BACKENDS], "operator": ["conv"] * cells,
        "problem": [line for line in lines for _ in BACKENDS], "dtype": ["float32"] * cells, "law": [""] * cells,
        "formula": [""] * cells, "outcome": ["passed"] * cells, "reason": [""] * cells, "route": ["native"] * cells,
        "via": [""] * cells, "mode": ["hot"] * cells, "interval": ["processes"] * cells,
    }  # fmt: skip
    schema = pa.schema([(column.name, KINDS[column.dtype]) for column in RESULT_COLUMNS])
    for number in range(runs):
        path = folder / f"{number:06d}"
        path.mkdir(parents=True)
        revision = hashlib.sha1(str(number).encode()).hexdigest()
        header = Header(
            format=FORMAT, created=f"{np.datetime64('2020-01-01') + number}T00:00:00+0000", command="made",
            suites=("speed",), arm_names=BACKENDS, cells=cells,
            environment=ENVIRONMENT | {"git": {"revision": revision, "dirty": False}},
        )  # fmt: skip
        (path / "header.json").write_bytes(msgspec.json.encode(header))
        median = base * draw.lognormal(0, 0.02, cells)
        median[::10] *= 1.2 if number >= runs // 2 else 1.0
        numbers = {"cell": np.arange(cells), "median_ns": median, "low_ns": 0.99 * median, "high_ns": 1.01 * median}
        columns = {**text, **numbers}
        arrays = [pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(cells, f.type) for f in schema]
        pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path / "results.parquet", compression="zstd")


def run_command(words: list[str]) -> float:
    """Seconds that a command takes, from the start of its process to the end."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "harness", *words], check=True, capture_output=True)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

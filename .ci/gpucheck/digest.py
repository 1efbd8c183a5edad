"""What a run directory holds, whole or cut off, as JSON: counts, what is wrong, peaks and times."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

MOST_WRONG = 30
COLUMNS = ("backend", "label", "median_ns", "low_ns", "high_ns", "host_ns", "gflops", "peak_fraction", "dropped_blocks")


def main(path: Path) -> None:
    """Print the digest of a run."""
    json.dump(digest(path), sys.stdout)


def digest(path: Path) -> dict[str, Any]:
    """Counts by backend, wrong results with their reasons, rates of the machine, times, and passes on disk."""
    import harness
    from harness.record.journal import PassEntry, read_journal
    from harness.record.run import WRONG
    from harness.record.tables import result_rows

    run = harness.load(path)
    counts = Counter((one.backend, one.outcome) for one in run.results)
    wrong = [one for one in run.results if one.outcome in WRONG]
    rows = [row for row in result_rows(run) if row.get("median_ns") is not None]
    entries, _ = read_journal(path / "journal.jsonl")
    found: dict[str, Any] = {
        "cells": f"{len(run.results)} of {run.header.cells}",
        "passes on disk": sum(isinstance(one, PassEntry) for one in entries),
        "counts": {f"{backend} {outcome}": count for (backend, outcome), count in sorted(counts.items())},
        "unavailable": run.unavailable,
        "times": [_shorten({name: row.get(name) for name in COLUMNS}) for row in rows],
        "wrong": [
            {"backend": one.backend, "law": one.law or "", "problem": one.problem, "reason": one.reason}
            for one in wrong[:MOST_WRONG]
        ],
    }
    for peak in run.peaks:
        found[f"peak of {peak.device}"] = {**peak.gemm_gflops, "copy GB/s": peak.copy_gbs}
    return {name: value for name, value in found.items() if value}


def _shorten(row: dict[str, Any]) -> dict[str, Any]:
    """Times in us, and fractions as they are."""
    return {
        name.replace("_ns", "_us"): value / 1e3 if name.endswith("_ns") and value is not None else value
        for name, value in row.items()
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))

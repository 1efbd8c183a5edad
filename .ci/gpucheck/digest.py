"""What a run directory holds, whole or cut off, as JSON: counts, what is wrong, peaks and times."""

from __future__ import annotations

import json
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.record.journal import PassEntry
    from harness.record.run import Run

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
    passes = [one for one in entries if isinstance(one, PassEntry)]
    found: dict[str, Any] = {
        "cells": f"{len(run.results)} of {run.header.cells}",
        "passes on disk": len(passes),
        "counts": {f"{backend} {outcome}": count for (backend, outcome), count in sorted(counts.items())},
        "unavailable": run.unavailable,
        "times": [_shorten({name: row.get(name) for name in COLUMNS}) for row in rows],
        "timed before the end, without a result": unfinished(run, passes),
        "wrong": [
            {"backend": one.backend, "law": one.law or "", "problem": one.problem, "reason": one.reason}
            for one in wrong[:MOST_WRONG]
        ],
    }
    for peak in run.peaks:
        found[f"peak of {peak.device}"] = {**peak.gemm_gflops, "copy GB/s": peak.copy_gbs}
    return {name: value for name, value in found.items() if value}


def unfinished(run: Run, passes: Sequence[PassEntry]) -> list[dict[str, Any]]:
    """Median times of the passes of cells that have no result, since the run was cut off.

    Each was verified when it was taken; whether the machine can be so fast is asked at the end, and was not. Names come
    from the plan, which is made again; nothing where it has another number of cells than the run.
    """
    from harness.plan.planner import plan_run
    from harness.plugins.manager import load_plugins

    done = {one.cell for one in run.results}
    left = [one for one in passes if one.cell not in done]
    if not left or run.header.arms:
        return []
    plan = plan_run(load_plugins(run.header.plugins), list(run.header.suites), list(run.header.backends))
    cells = {cell.number: cell for cell in plan.cells}
    if len(cells) != run.header.cells:
        return []
    return [
        {
            "backend": cells[one.cell].backend, "label": cells[one.cell].label,
            "median_us": statistics.median(one.samples.samples_ns) / 1e3, "samples": len(one.samples.samples_ns),
        }
        for one in left
    ]  # fmt: skip


def _shorten(row: dict[str, Any]) -> dict[str, Any]:
    """Times in us, and fractions as they are."""
    return {
        name.replace("_ns", "_us"): value / 1e3 if name.endswith("_ns") and value is not None else value
        for name, value in row.items()
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))

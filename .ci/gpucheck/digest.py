"""Digest of a run directory, complete or not, as JSON: counts, wrong and unjudged results, peaks and times."""

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
MOST_REASONS = 12
COLUMNS = ("backend", "label", "median_ns", "low_ns", "high_ns", "host_ns", "gflops", "peak_fraction", "dropped_blocks")
GIVEN = "given"  # label prefix of problems from a command line, which does not identify them


def main(path: Path) -> None:
    """Print the digest of a run."""
    json.dump(digest(path), sys.stdout)


def digest(path: Path) -> dict[str, Any]:
    """Return counts by backend, wrong results with reasons, peaks, times, and the number of passes on disk."""
    import harness
    from harness.analysis.tables import result_rows
    from harness.record.journal import PassEntry, read_journal
    from harness.record.run import WRONG

    run = harness.load(path)
    counts = Counter((one.arm, one.outcome) for one in run.results)
    wrong = [one for one in run.results if one.outcome in WRONG]
    rows = [row for row in result_rows(run) if row.get("median_ns") is not None]
    journal = read_journal((path / "journal.jsonl").read_bytes(), run.header.format, run.header.backend_of)
    passes = [one for one in journal.entries if isinstance(one, PassEntry)]
    found: dict[str, Any] = {
        "cells": f"{len(run.results)} of {run.header.cells}",
        "passes on disk": len(passes),
        "counts": {f"{backend} {outcome}": count for (backend, outcome), count in sorted(counts.items())},
        "unavailable": run.unavailable,
        "times": [_shorten(_name_problem(row)) for row in rows],
        "compared": compare(run),
        "nothing passed": describe_idle(run),
        "not judged": [
            {"backend": backend, "outcome": outcome, "results": count, "reason": reason}
            for (backend, outcome, reason), count in count_reasons(run).most_common(MOST_REASONS)
        ],
        "timed before the end, without a result": unfinished(run, passes),
        "wrong": [
            {"backend": one.backend, "law": one.law or "", "problem": one.problem, "reason": one.reason}
            for one in wrong[:MOST_WRONG]
        ],
    }
    for peak in run.peaks:
        found[f"peak of {peak.device}"] = {**peak.gemm_gflops, "copy GB/s": peak.copy_gbs}
    return {name: value for name, value in found.items() if value}


def count_reasons(run: Run) -> Counter[tuple[str, str, str]]:
    """Count results that are neither passed nor wrong, by backend, outcome and reason."""
    from harness.record.run import WRONG

    judged = (*WRONG, "passed")
    return Counter((one.arm, one.outcome, one.reason) for one in run.results if one.outcome not in judged)


def describe_idle(run: Run) -> str:
    """Name backends that skipped all results they did not refuse, with the most frequent reason; "" if there are none.

    Results with the outcome `unsupported` are not considered.
    """
    judged = {one.arm for one in run.results if one.outcome not in ("skipped", "unsupported")}
    idle: dict[str, str] = {}
    for (backend, outcome, reason), _ in count_reasons(run).most_common():
        if outcome == "skipped" and backend not in judged:
            idle.setdefault(backend, reason)
    return "; ".join(f"{backend}: no result counts, mostly since: {reason}" for backend, reason in idle.items())


def compare(run: Run) -> list[dict[str, Any]]:
    """Return verdict and ratio of every problem of a comparison; empty for other runs."""
    from harness.analysis.arm_comparison import compare_to_base

    if run.header.gate is None:
        return []
    rows = []
    for row in compare_to_base(run).rows:
        found, ratio = row.judgement, row.judgement.ratio
        sides = {"ratio": ratio.value, "low": ratio.low, "high": ratio.high} if ratio else {}
        who = {"arm": row.new.arm, "problem": row.new.problem, "verdict": found.verdict}
        rows.append(who | sides | {"passes": found.passes, "reason": found.reason})
    return rows


def unfinished(run: Run, passes: Sequence[PassEntry]) -> list[dict[str, Any]]:
    """Return median times of the passes of cells without a result, because the run was cut off.

    Each pass was verified when it was taken; the check against the machine's peak comes at the end, and was not made.
    Names come from the plan, which is made again; the result is empty if it has another number of cells than the run.
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


def _name_problem(row: dict[str, Any]) -> dict[str, Any]:
    """Return the COLUMNS of a result, with the problem instead of a label that does not identify it."""
    kept = {name: row.get(name) for name in COLUMNS}
    return kept | {"label": row["problem"]} if str(row.get("label", "")).partition("/")[0] == GIVEN else kept


def _shorten(row: dict[str, Any]) -> dict[str, Any]:
    """Convert times to us; leave other values unchanged."""
    return {
        name.replace("_ns", "_us"): value / 1e3 if name.endswith("_ns") and value is not None else value
        for name, value in row.items()
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))

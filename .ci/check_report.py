"""Check the report of a real run: complete, nothing wrong, every cell in every table, and a self-contained page."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd

import harness
import reports
from harness.analysis.exit_code import find_exit_code
from harness.exit_codes import ExitCode
from harness.record.run import Run

CPU = ("numpy-direct", "scipy-signal", "fft", "im2col", "sparse", "torch")
NOT_EXACT = ("are not exact in", "nothing about subnormals", "are only known to")  # reasons to skip an exact law


def main(path: Path) -> None:
    """Raise AssertionError if the run or its report is not as required."""
    run = harness.load(path)
    assert run.complete, "the run is incomplete"
    assert find_exit_code(run) in (ExitCode.OK, ExitCode.CANNOT_TELL), run.counts
    for backend in CPU:
        check_laws(run, backend)
    frame = reports.frame(run)
    stored = pd.read_parquet(path / "results.parquet")
    table = pd.read_csv(path / "report" / "results.csv", low_memory=False)
    assert len(frame) == len(stored) == len(table) == run.header.cells > 5000, len(frame)
    timed = frame[frame["median_ns"].notna()]
    assert len(timed) > 80, len(timed)
    assert set(timed["outcome"]) == {"passed"}
    assert (timed["low_ns"] <= timed["median_ns"]).all()
    assert (timed["median_ns"] <= timed["high_ns"]).all()
    assert (timed["peak_fraction"] > 0).all()
    assert set(CPU) <= set(timed["backend"])
    assert (timed["blocks"] >= 2 * timed["passes"]).all()
    dropped = timed["dropped_blocks"].sum() / timed["blocks"].sum()  # not checked, as it depends on the machine
    blocks = pd.read_parquet(path / "blocks.parquet")
    assert len(blocks) == timed["blocks"].sum()
    page = (path / "report" / "report.html").read_text()
    assert "Plotly" in page
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"']?(https?:)?//", page), "the page needs a network"
    text = (path / "report" / "report.md").read_text()
    assert "INCOMPLETE" not in text
    print(f"report checked: {len(frame)} cells, {len(timed)} timed, {dropped:.0%} of their blocks dropped")


def check_laws(run: Run, backend: str) -> None:
    """Raise AssertionError if a backend was asked too few laws, or one that was asked was skipped without need."""
    asked = [result for result in run.results if result.backend == backend and result.law and result.worker]
    assert sum(result.outcome == "passed" for result in asked) > 5000, backend
    skipped = [result.reason or "" for result in asked if result.outcome == "skipped"]
    assert not [reason for reason in skipped if not any(words in reason for words in NOT_EXACT)], backend
    assert len(skipped) < 40, backend  # the plan leaves out what would take long


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Check the report of a real run: complete, nothing wrong, every cell in every table, and a self-contained page."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd

import harness
import reports
from harness.analysis.exit_code import find_exit_code


def main(path: Path) -> None:
    """Raise AssertionError if the run or its report is not as required."""
    run = harness.load(path)
    assert run.complete, "the run is incomplete"
    assert find_exit_code(run) == 0, run.counts
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
    assert {"numpy-direct", "scipy-signal", "fft", "im2col", "sparse", "torch"} <= set(timed["backend"])
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


if __name__ == "__main__":
    main(Path(sys.argv[1]))

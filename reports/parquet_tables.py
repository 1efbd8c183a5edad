"""Frames as Parquet files, which pandas reads back with their dtypes and run facts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from harness import Run
    from harness.timing.compare import Comparison


def write(run: Run, folder: Path) -> tuple[Path, ...]:
    """Write results.parquet and samples.parquet."""
    from reports.frames import frame, samples_frame

    return (_write(frame(run), folder / "results.parquet"), _write(samples_frame(run), folder / "samples.parquet"))


def write_comparison(comparison: Comparison, folder: Path) -> tuple[Path, ...]:
    """Write comparison.parquet."""
    from reports.frames import comparison_frame

    return (_write(comparison_frame(comparison), folder / "comparison.parquet"),)


def _write(table: pd.DataFrame, path: Path) -> Path:
    table.to_parquet(path, index=False, compression="zstd")
    return path

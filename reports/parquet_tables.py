"""Frames as Parquet files, which pandas reads back with their dtypes and run facts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from harness import Run
    from harness.analysis.run_comparison import Comparison


def write(run: Run, folder: Path) -> tuple[Path, ...]:
    """Write results.parquet, samples.parquet and blocks.parquet.

    And verdicts.parquet, where arms were compared, and networks.parquet, where networks were run.
    """
    from reports.frames import run_frames

    return tuple(_write(table, folder / f"{name}.parquet") for name, table in run_frames(run).items())


def write_comparison(comparison: Comparison, folder: Path) -> tuple[Path, ...]:
    """Write comparison.parquet."""
    from reports.frames import comparison_frame

    return (_write(comparison_frame(comparison), folder / "comparison.parquet"),)


def _write(table: pd.DataFrame, path: Path) -> Path:
    table.to_parquet(path, index=False, compression="zstd")
    return path

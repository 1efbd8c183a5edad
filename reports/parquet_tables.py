"""Frames as Parquet files; pandas reads them back with their dtypes and the facts of the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis import comparison_frame

if TYPE_CHECKING:
    import pandas as pd

    from harness import Analysis
    from harness.analysis import Comparison


def write(analysis: Analysis, folder: Path) -> tuple[Path, ...]:
    """Write results.parquet, samples.parquet and blocks.parquet.

    Also verdicts.parquet if arms were compared, and networks.parquet if networks were run.
    """
    return tuple(_write(table, folder / f"{name}.parquet") for name, table in analysis.recorded_frames.items())


def write_comparison(comparison: Comparison, folder: Path) -> tuple[Path, ...]:
    """Write comparison.parquet."""
    return (_write(comparison_frame(comparison), folder / "comparison.parquet"),)


def _write(table: pd.DataFrame, path: Path) -> Path:
    table.to_parquet(path, index=False, compression="zstd")
    return path

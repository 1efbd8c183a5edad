"""Frames as CSV files, with a file that explains their columns. Missing values are empty fields."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis.frames import comparison_frame
from harness.analysis.schemas import SEMANTICS_COLUMNS, schema_table

if TYPE_CHECKING:
    import pandas as pd

    from harness.analysis.analyse import Analysis
    from harness.analysis.run_comparison import Comparison


def write(analysis: Analysis, folder: Path) -> tuple[Path, ...]:
    """Write results.csv, samples.csv, blocks.csv, semantics.csv, arithmetic.csv, two tables of coverage and schema.csv.

    And verdicts.csv, where arms were compared, and networks.csv, where networks were run.
    """
    tables = analysis.frames
    backends = list(tables["semantics"].columns[len(SEMANTICS_COLUMNS) :])
    return _write({**tables, "schema": schema_table(*tables, backends=backends)}, folder)


def write_comparison(comparison: Comparison, folder: Path) -> tuple[Path, ...]:
    """Write comparison.csv and comparison-schema.csv."""
    return _write({"comparison": comparison_frame(comparison), "comparison-schema": schema_table("comparison")}, folder)


def _write(tables: dict[str, pd.DataFrame], folder: Path) -> tuple[Path, ...]:
    paths = []
    for name, table in tables.items():
        path = folder / f"{name}.csv"
        table.to_csv(path, index=False, lineterminator="\n")
        paths.append(path)
    return tuple(paths)

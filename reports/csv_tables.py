"""Frames as CSV files, with a file that explains their columns. Missing values are empty fields."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from harness import Run
    from harness.analysis.run_comparison import Comparison


def write(run: Run, folder: Path) -> tuple[Path, ...]:
    """Write results.csv, samples.csv, blocks.csv, semantics.csv, arithmetic.csv, two tables of coverage and schema.csv.

    And verdicts.csv, where arms were compared, and networks.csv, where networks were run.
    """
    from reports.coverage import coverage_frames
    from reports.frames import SEMANTICS_COLUMNS, arithmetic_table, run_frames, schema_table, semantics_table

    tables = run_frames(run)
    semantics, arithmetic = semantics_table(tables["results"]), arithmetic_table(tables["results"])
    tables |= {"semantics": semantics, "arithmetic": arithmetic, **coverage_frames(run)}
    schema = schema_table(*tables, backends=list(semantics.columns[len(SEMANTICS_COLUMNS) :]))
    return _write({**tables, "schema": schema}, folder)


def write_comparison(comparison: Comparison, folder: Path) -> tuple[Path, ...]:
    """Write comparison.csv and comparison-schema.csv."""
    from reports.frames import comparison_frame, schema_table

    return _write({"comparison": comparison_frame(comparison), "comparison-schema": schema_table("comparison")}, folder)


def _write(tables: dict[str, pd.DataFrame], folder: Path) -> tuple[Path, ...]:
    paths = []
    for name, table in tables.items():
        path = folder / f"{name}.csv"
        table.to_csv(path, index=False, lineterminator="\n")
        paths.append(path)
    return tuple(paths)

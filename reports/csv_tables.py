"""Frames as CSV files, plus a file that documents their columns. Missing values are empty fields."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis import comparison_frame, schema_table, semantics_arms

if TYPE_CHECKING:
    import pandas as pd

    from harness import Analysis
    from harness.analysis import Comparison


def write(analysis: Analysis, folder: Path) -> tuple[Path, ...]:
    """Write the tables of a run as CSV files, and schema.csv.

    The tables: results, samples, blocks, semantics, arithmetic and two of coverage; verdicts if arms were compared, and
    networks if networks were run.
    """
    tables = analysis.frames
    arms = semantics_arms(tables["semantics"])
    return _write({**tables, "schema": schema_table(*tables, arms=arms)}, folder)


def write_comparison(comparison: Comparison, folder: Path) -> tuple[Path, ...]:
    """Write comparison.csv and comparison-schema.csv."""
    return _write({"comparison": comparison_frame(comparison), "comparison-schema": schema_table("comparison")}, folder)


def _write(tables: dict[str, pd.DataFrame], folder: Path) -> tuple[Path, ...]:
    return tuple(_write_table(table, folder / f"{name}.csv") for name, table in tables.items())


def _write_table(table: pd.DataFrame, path: Path) -> Path:
    """Write one table with Arrow, in a tenth of the time of pandas.

    Booleans are True and False; a missing value is empty, an empty text is "".
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    made = pa.Table.from_pandas(table, preserve_index=False)
    for number, field in enumerate(made.schema):
        if pa.types.is_boolean(field.type):
            words = pc.if_else(made.column(number), "True", "False")
            made = made.set_column(number, field.name, words)
    with path.open("wb") as file:
        file.write(f"{','.join(map(_quoted, made.column_names))}\n".encode())
        csv.write_csv(made, file, csv.WriteOptions(include_header=False))
    return path


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if re.search(r'[",\r\n]', name) else name

"""Frames as CSV files, plus a file that documents their columns. Missing values are empty fields.

Text that a spreadsheet would run as a formula begins with an apostrophe there; numbers stay numbers. Characters that
control a terminal stand as their codes, as in all other reports; Parquet files have the text as it is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis import comparison_frame, make_inert, schema_table, semantics_arms

FORMULA = r"^[=+\-@\t\r]"  # beginnings of what Excel, LibreOffice and Google Sheets compute
ODD = r"[^ -~]"  # in texts that are looked at character by character

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

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
    made = make_cells_inert(made)
    for number, field in enumerate(made.schema):
        if pa.types.is_boolean(field.type):
            words = pc.if_else(made.column(number), "True", "False")
            made = made.set_column(number, field.name, words)
    with path.open("wb") as file:
        file.write(f"{','.join(map(_quoted, made.column_names))}\n".encode())
        csv.write_csv(made, file, csv.WriteOptions(include_header=False))
    return path


def make_cells_inert(table: pa.Table) -> pa.Table:
    """Return the table with inert texts, and an apostrophe before each that a spreadsheet would run as a formula."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for number, field in enumerate(table.schema):
        if _is_text(field.type):
            texts = table.column(number).cast(pa.string())
            different = texts.unique()  # most texts stand in many rows
            if pc.any(pc.match_substring_regex(different, ODD)).as_py():
                inert = pa.array([one and make_inert(one) for one in different.to_pylist()], pa.string())
                texts = pc.take(inert, pc.index_in(texts, different))
            if pc.any(pc.match_substring_regex(different, FORMULA)).as_py():
                quoted = pc.binary_join_element_wise("'", texts, "")
                texts = pc.if_else(pc.match_substring_regex(texts, FORMULA), quoted, texts)
            table = table.set_column(number, field.name, texts)
    return table


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))


def _quoted(name: str) -> str:
    name = f"'{name}" if re.match(FORMULA, name) else name
    return '"' + name.replace('"', '""') + '"' if re.search(r'[",\r\n]', name) else name

"""The built-in reporters: CSV, Markdown, HTML and Parquet."""

from __future__ import annotations

from collections.abc import Callable

from harness import Reporter, hookimpl
from reports import csv_tables, markdown, page, parquet_tables


@hookimpl
def register_reporters(register: Callable[[Reporter], None]) -> None:
    """Hand over one reporter for each format."""
    register(
        Reporter(
            name="csv",
            description="results.csv, samples.csv and schema.csv, which explains their columns",
            write=csv_tables.write,
            write_comparison=csv_tables.write_comparison,
        )
    )
    register(
        Reporter(
            name="markdown",
            description="report.md: outcomes, failures, laws and times as tables",
            write=markdown.write,
            write_comparison=markdown.write_comparison,
        )
    )
    register(
        Reporter(
            name="html",
            description="report.html: one self-contained page with figures and a table of all cells",
            write=page.write,
            write_comparison=page.write_comparison,
        )
    )
    register(
        Reporter(
            name="parquet",
            description="results.parquet and samples.parquet, as pandas writes its frames",
            write=parquet_tables.write,
            write_comparison=parquet_tables.write_comparison,
        )
    )

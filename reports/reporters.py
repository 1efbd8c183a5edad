"""The built-in reporters: CSV, Markdown, HTML and Parquet."""

from __future__ import annotations

from collections.abc import Callable

from harness import Reporter, hookimpl
from reports import csv_tables, kills, markdown, page, parquet_tables


@hookimpl
def register_reporters(register: Callable[[Reporter], None]) -> None:
    """Hand over one reporter for each format."""
    register(
        Reporter(
            name="csv",
            description="results, verdicts, samples, blocks, semantics, arithmetic; schema.csv explains their columns",
            write=csv_tables.write,
            write_comparison=csv_tables.write_comparison,
            write_kills=kills.write_csv,
        )
    )
    register(
        Reporter(
            name="markdown",
            description="report.md: verdicts, outcomes, failures, laws, semantics, arithmetic and times as tables",
            write=markdown.write,
            write_comparison=markdown.write_comparison,
            write_kills=kills.write_markdown,
        )
    )
    register(
        Reporter(
            name="html",
            description="report.html: one self-contained page with figures and a table of all cells",
            write=page.write,
            write_comparison=page.write_comparison,
            write_kills=kills.write_html,
        )
    )
    register(
        Reporter(
            name="parquet",
            description="results, verdicts, samples and blocks, as pandas writes its frames",
            write=parquet_tables.write,
            write_comparison=parquet_tables.write_comparison,
        )
    )

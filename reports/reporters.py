"""The built-in reporters: CSV, Markdown, HTML and Parquet; and formats for CI, written only on request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness import Analysis, Reporter, hookimpl
from reports import (
    action_benchmark,
    bencher,
    benchmark_json,
    csv_tables,
    github_annotations,
    history,
    junit,
    kills,
    markdown,
    page,
    parquet_tables,
    summary,
)

FOR_CI = (
    ("summary", "summary.md: what a comparison of versions found, short enough for a comment", summary.write),
    ("junit", "junit.xml: every cell as a test, with the verdicts where arms were compared", junit.write),
    ("pytest-benchmark", "pytest-benchmark.json: timed cells as `pytest --benchmark-json` writes them (extra `ci`)",
     benchmark_json.write),
    ("github-action-benchmark", "github-action-benchmark.json: timed cells, as its customSmallerIsBetter",
     action_benchmark.write),
    ("bencher", "bencher.json: timed cells in the Bencher Metric Format", bencher.write),
    ("annotations", "annotations.txt: the worst cells as workflow commands of GitHub", github_annotations.write),
)  # fmt: skip


def write_pages(analysis: Analysis, folder: Path) -> tuple[Path, ...]:
    """Write the page of a run, and the page of its pictures where it has any."""
    from reports.sections import gallery

    return (*page.write(analysis, folder), *gallery.write(analysis, folder))


@hookimpl
def register_reporters(register: Callable[[Reporter], None]) -> None:
    """Register one reporter for each format."""
    register(
        Reporter(
            name="csv",
            description="results, verdicts, samples, blocks, semantics, coverage, arithmetic, networks; schema.csv",
            write=csv_tables.write,
            write_comparison=csv_tables.write_comparison,
            write_kills=kills.write_csv,
            write_history=history.write_csv,
        )
    )
    register(
        Reporter(
            name="markdown",
            description="report.md: verdicts, outcomes, failures, laws, networks, semantics, coverage, times",
            write=markdown.write,
            write_comparison=markdown.write_comparison,
            write_kills=kills.write_markdown,
        )
    )
    register(
        Reporter(
            name="html",
            description="report.html: one self-contained page with figures and a table of all cells",
            write=write_pages,
            write_comparison=page.write_comparison,
            write_kills=kills.write_html,
            write_history=history.write_html,
        )
    )
    register(
        Reporter(
            name="parquet",
            description="results, verdicts, samples, blocks and networks, as pandas writes its frames",
            write=parquet_tables.write,
            write_comparison=parquet_tables.write_comparison,
        )
    )
    for name, description, write in FOR_CI:
        register(Reporter(name=name, description=description, write=write, default=False))

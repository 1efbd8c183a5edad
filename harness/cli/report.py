"""`harness report`: write the reports of a run, from its directory alone."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.ending import keep_to_end
from harness.cli.options import format_option, load_registry, plugin_options
from harness.cli.saying import say
from harness.errors import UnwritableError
from harness.exit_codes import ExitCode

if TYPE_CHECKING:
    from harness.analysis.analyse import Analysis
    from harness.analysis.reporter import Reporter


@click.command("report")
@click.argument("run", metavar="RUN")
@format_option
@click.option("--output", metavar="FOLDER", help="Where to write.  [default: RUN/report]")
@plugin_options
def command(
    run: str, formats: tuple[str, ...], output: str | None, plugins: tuple[str, ...], without: tuple[str, ...]
) -> ExitCode:
    """Write reports of the run in directory RUN: pandas tables as CSV and Markdown, and one HTML page.

    \b
    python -m harness report harness-runs/20260101-120000-suite --format html
    """
    from harness.analysis.analyse import analyse
    from harness.analysis.descriptions import describe_damage
    from harness.record.directory import read_run

    registry = load_registry(plugins, without, runs=False)
    reporters = registry.reporters_for(formats)
    found = read_run(run)
    analysis = analyse(found)
    keep_to_end(analysis)
    for path in write_reports(reporters, analysis, None if output is None else Path(output)):
        say(path)
    gc.freeze()  # frames and what else the analysis has computed
    if found.complete:
        return ExitCode.OK
    say(f"note: the run is incomplete ({len(found.results)} of {found.header.cells} cells); the reports say so")
    if damage := describe_damage(found):
        say(f"note: {damage}")
    return ExitCode.INCOMPLETE


def write_reports(reporters: Sequence[Reporter], analysis: Analysis, folder: Path | None = None) -> tuple[Path, ...]:
    """Write every format into a folder; return the paths of all files.

    reporters: formats to write. analysis: of the run. folder: by default `report` in the run directory.
    Raises UsageError if the folder cannot be written.
    """
    folder = folder or analysis.run.path / "report"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tuple(path for reporter in reporters for path in reporter.write(analysis, folder))
    except OSError as error:
        raise UnwritableError(
            f"report folder cannot be written: got '{folder}' ({error.strerror}), wanted a writable place; see --output"
        ) from None

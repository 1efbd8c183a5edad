"""`harness compare`: compare two runs, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import Command, load_registry, plugin_options
from harness.cli.saying import say
from harness.errors import UnwritableError
from harness.exit_codes import ExitCode

if TYPE_CHECKING:
    from harness.analysis.reporter import Reporter
    from harness.analysis.run_comparison import Comparison
    from harness.record.run import Run

MOST_ALIKE = 5
QUIET = frozenset({"SAME", "UNCHANGED"})


def shown_options(command: Command) -> Command:
    """Add --all, --output and --format, for commands that show a comparison."""
    command = click.option(
        "--format", "formats", multiple=True, metavar="NAME",
        help="With --output: only this format.  [default: all but those for CI]",
    )(command)  # fmt: skip
    command = click.option("--output", metavar="FOLDER", help="Also write the comparison as files into this folder.")(
        command
    )
    return click.option("--all", "everything", is_flag=True, help="Show the cells that did not change too.")(command)


@click.command("compare")
@click.argument("base", metavar="BASE")
@click.argument("new", metavar="NEW")
@click.option(
    "--threshold",
    type=click.FloatRange(0.0, 10.0, min_open=True),
    default=0.10,
    show_default=True,
    help="Relative change of time that counts.",
)
@shown_options
@plugin_options
def command(
    base: str, new: str, threshold: float, everything: bool, output: str | None, formats: tuple[str, ...],
    plugins: tuple[str, ...], without: tuple[str, ...],
) -> ExitCode:  # fmt: skip
    """Compare the runs in directories BASE and NEW: times with the interval of their ratio, and outcomes.

    The two runs were not interleaved, so the machine's own drift lies in every ratio; times are compared only where
    the environments are the same. A change that was accepted with `bless` is BLESSED, and does not count.
    Exit code 1: something broke; 3: slower or missing; 4: no time, or nothing, could be compared; 5: cells whose base
    could not run, so that they cannot be judged. The last line says which, and why.

    \b
    python -m harness compare harness-runs/before harness-runs/after --threshold 0.05
    """
    from harness.record.directory import read_run

    reporters = load_registry(plugins, without, runs=False).reporters_for(formats, "write_comparison")
    return conclude(read_run(base), read_run(new), threshold, everything, output, reporters)


def conclude(
    base: Run, new: Run, threshold: float, everything: bool, output: str | None, reporters: Sequence[Reporter]
) -> ExitCode:
    """Compare two runs, apply the blessings of the repository here, print and write the result; return the exit code.

    base, new: the runs. threshold: relative change of time that counts. everything: True to print unchanged cells too.
    output: folder for the files, or None. reporters: formats to write.
    Raises UsageError if the folder cannot be written.
    """
    from harness.api.comparing import compare

    comparison = compare(base, new, threshold)
    print_comparison(comparison, everything)
    if output is not None:
        try:
            Path(output).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnwritableError(f"output folder cannot be written: got '{output}' ({error.strerror})") from None
        for reporter in reporters:
            for path in reporter.write_comparison(comparison, Path(output)) if reporter.write_comparison else ():
                say(path)
    return comparison.exit_code


def print_comparison(comparison: Comparison, everything: bool) -> None:
    """Print obstacles, the table of changes, and the count of every verdict."""
    from collections import Counter

    from rich.markup import escape

    from harness.analysis.descriptions import describe_damage
    from harness.analysis.run_comparison import VERDICTS, conclude_comparison
    from harness.cli.summary import ratio_cells
    from harness.cli.terminal import open_console, plain_table

    console = open_console()
    for run, which in ((comparison.base, "base"), (comparison.new, "new")):
        if not run.complete:
            said = f"note: the {which} run is incomplete ({len(run.results)} of {run.header.cells} cells)"
            damage = describe_damage(run)
            console.print(f"{said}{'; ' if damage else ''}{damage}", markup=False, soft_wrap=True)
    if comparison.obstacles:
        console.print("times are NOT COMPARABLE, the environments differ (base / new):")
        for obstacle in comparison.obstacles:
            console.print(f"  {obstacle}", markup=False, soft_wrap=True)
    shown = [c for c in comparison.changes if everything or c.verdict not in QUIET]
    shown.sort(key=lambda change: VERDICTS.index(change.verdict))
    table = plain_table("verdict", "backend", "problem", "law", "new/base", "95 % interval", "why")
    seen: Counter[tuple[str, str]] = Counter()
    for c in shown:
        seen[c.verdict, c.arm] += 1
        if not everything and seen[c.verdict, c.arm] > MOST_ALIKE:
            continue
        table.add_row(c.verdict, c.arm, escape(c.problem), c.law, *ratio_cells(c.ratio), escape(c.reason or ""))
    if shown:
        console.print(table)
    for (verdict, backend), count in seen.items():
        if not everything and count > MOST_ALIKE:
            console.print(f"... and {count - MOST_ALIKE} more {verdict} of {backend}; --all or --output shows them")
    counts = ", ".join(f"{count} {name}" for name, count in comparison.counts.items() if count)
    console.print(f"{len(comparison.changes)} cells: {counts}")
    code = comparison.exit_code
    colour = {ExitCode.OK: "green", ExitCode.CANNOT_TELL: "yellow"}.get(code, "red")
    said = escape(conclude_comparison(comparison))
    console.print(f"[{colour}]compare: {said}[/{colour}] (exit code {code})", soft_wrap=True)

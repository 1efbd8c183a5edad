"""`harness history`: show times over the commits of the code, and their changes."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import format_option, load_registry, plugin_options
from harness.cli.saying import say
from harness.errors import UnwritableError, UsageError
from harness.exit_codes import ExitCode
from harness.record.directory import DEFAULT

if TYPE_CHECKING:
    from harness.analysis.history.series import History, Series, Source
    from harness.analysis.reporter import Reporter
    from harness.problems.arrays import Array

MOST_SERIES, MOST_POINTS = 60, 200  # rows of a printed table
BARS, BINS, LEAST_SPAN = "▁▂▃▄▅▆▇█", 24, 0.1  # a line that moves by less than the span stays low


@click.command("history")
@click.option("--backend", "backends", multiple=True, metavar="NAME", help="Only this backend; may be repeated.")
@click.option("--problem", default="", metavar="LINE", help="Only this problem, or those whose lines hold this text.")
@click.option("--runs", default=DEFAULT, show_default=True, metavar="FOLDER", help="Where the runs are, at any depth.")
@click.option("--since", metavar="DATE", help="Only runs that began at this date, such as 2026-01-31, or later.")
@click.option("--changes", is_flag=True, help="Show where the times of each series changed, and between which commits.")
@click.option("--output", metavar="FOLDER", help="Also write points, changes and a page with figures into this folder.")
@format_option
@plugin_options
def command(
    backends: tuple[str, ...], problem: str, runs: str, since: str | None, changes: bool, output: str | None,
    formats: tuple[str, ...], plugins: tuple[str, ...], without: tuple[str, ...],
) -> ExitCode:  # fmt: skip
    """Show the times of all runs in a folder as series: one backend on one problem in one environment, over commits.

    With one series left, its points are shown. A history is no gate, as its runs were not made in turns: the exit code
    is 0 whatever changed; `gate` and `versus` decide.

    \b
    python -m harness history --backend im2col --changes
    """
    from harness.analysis.history.series import judge_history, read_history

    reporters = _choose(formats, plugins, without) if output is not None or formats else []
    history = read_history(runs, backends=backends, problem=problem, since=_read_date(since) if since else None)
    if changes or output is not None:
        history = judge_history(history)
    _print(history, changes)
    if output is not None:
        try:
            Path(output).mkdir(parents=True, exist_ok=True)
            written = [p for one in reporters if one.write_history for p in one.write_history(history, Path(output))]
        except OSError as error:
            raise UnwritableError(f"output folder cannot be written: got '{output}' ({error.strerror})") from None
        for path in written:
            say(path)
    return ExitCode.OK


def _choose(formats: Sequence[str], plugins: Sequence[str], without: Sequence[str]) -> list[Reporter]:

    found = load_registry(plugins, without, runs=False).reporters_for(formats, "write_history")
    if not found:
        raise UsageError("output: no plugin can write a history, wanted csv or html; see `python -m harness plugins`")
    return found


def _read_date(text: str) -> float:
    """Seconds since 1970; a date without a zone is taken as UTC."""
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"date: got '{text}', wanted one such as 2026-01-31 or 2026-01-31T12:00") from None
    return (found if found.tzinfo else found.replace(tzinfo=datetime.UTC)).timestamp()


def _print(history: History, changes: bool) -> None:
    from harness.cli.terminal import open_console

    console = open_console()
    for notice in history.notices:
        console.print(f"note: {notice}", markup=False, soft_wrap=True)
    if changes:
        print_changes(history)
    elif len(history.series) == 1:
        print_points(history, history.series[0])
    else:
        print_series(history)
    named = {one.key.environment for one in history.series}
    for name in sorted(named):
        console.print(f"environment {name}: {history.environments[name]}", markup=False, soft_wrap=True)


def print_series(history: History) -> None:
    """Print one row for each series, the longest first."""
    import numpy as np

    from harness.cli.terminal import open_console, plain_table

    console = open_console()
    table = plain_table(
        "backend", "problem", "environment", "first", "last", "trend", "points", "median ms", "last/median", numbers=3
    )
    for one in history.series[:MOST_SERIES]:
        first, last = (history.sources[int(one.sources[at])] for at in (0, -1))
        table.add_row(
            one.key.backend, _problem(one), one.key.environment, _when(first), _when(last), draw_trend(one.median_ns),
            str(len(one)), f"{float(np.median(one.median_ns)) / 1e6:.4g}", f"{one.ratio:.3f}",
        )  # fmt: skip
    if history.series:
        console.print(table)
    more = len(history.series) - MOST_SERIES
    shown = f"; the {MOST_SERIES} longest are shown, --backend, --problem and --output show others" if more > 0 else ""
    console.print(f"{_count(history)}{shown}", soft_wrap=True)


def print_points(history: History, series: Series) -> None:
    """Print the points of one series, oldest first."""
    from rich.markup import escape

    from harness.cli.terminal import open_console, plain_table

    console = open_console()
    key = series.key
    console.print(f"{key.backend}  {_problem(series)}  {key.environment}  {draw_trend(series.median_ns)}", markup=False)
    table = plain_table("commit", "date (UTC)", "run", "median ms", "95 % interval", numbers=2)
    points = list(history.points(series))
    for source, median, low, high in points[-MOST_POINTS:]:
        where = escape(str(source.run.path.relative_to(history.folder)))
        table.add_row(
            source.commit, source.created, where, f"{median / 1e6:.4g}", f"{low / 1e6:.4g} to {high / 1e6:.4g}"
        )
    console.print(table)
    if len(points) > MOST_POINTS:
        console.print(
            f"{len(points) - MOST_POINTS} older points are not shown; --output writes all, --since takes fewer"
        )


def print_changes(history: History) -> None:
    """Print the changes of all series, the largest first, and the number of series that could be judged."""
    from harness.analysis.history.series import LEAST_POINTS
    from harness.cli.terminal import open_console, plain_table

    console = open_console()
    found = [(one, shift) for one in history.series for shift in (history.shifts or {}).get(one.key, ())]
    found.sort(key=lambda pair: -pair[1].size)
    table = plain_table(
        "commits", "since (UTC)", "backend", "problem", "environment", "new/old", "95 % interval", numbers=2
    )
    for one, shift in found[:MOST_SERIES]:
        ratio = shift.change.ratio
        table.add_row(
            shift.commits, shift.first.created, one.key.backend, _problem(one), one.key.environment,
            f"{ratio.value:.3f}", f"{ratio.low:.3f} to {ratio.high:.3f}",
        )  # fmt: skip
    if found:
        console.print(table)
    if len(found) > MOST_SERIES:
        console.print(f"{len(found) - MOST_SERIES} smaller changes are not shown; --output writes all")
    judged = len(history.series) - history.short
    console.print(
        f"{len(found)} changes in {judged} series; {history.short} more are too short to be judged (fewer than "
        f"{LEAST_POINTS} points); {_count(history)}",
        soft_wrap=True,
    )


def draw_trend(times_ns: Sequence[float] | Array) -> str:
    """Return times as a line of bars, on a logarithmic scale; adjacent times are combined if there are many."""
    import numpy as np

    logs = [float(np.median(part)) for part in np.array_split(np.log(times_ns), min(BINS, len(times_ns)))]
    low, span = min(logs), max(max(logs) - min(logs), LEAST_SPAN)
    return "".join(BARS[round((value - low) / span * (len(BARS) - 1))] for value in logs)


def _problem(series: Series) -> str:
    return series.key.problem + (" (cold)" if series.key.mode == "cold" else "")


def _when(source: Source) -> str:
    return f"{source.commit or '?'} {source.created[:10]}"


def _count(history: History) -> str:
    points = sum(map(len, history.series))
    return f"{len(history.series)} series, {points} points from {history.runs} runs in {history.folder}"

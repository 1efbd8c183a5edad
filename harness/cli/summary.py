"""Printed summary at the end of a run, and the plan of a dry run."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.analysis.analyse import Analysis
from harness.analysis.arm_comparison import ArmComparison
from harness.analysis.bugs import BUG_STATUSES, count_statuses
from harness.analysis.causes import Cause, group_results
from harness.analysis.claims.words import LOUD_CLAIMS, Kind, conclude_claims, describe_claims, join_rows
from harness.analysis.counted import CountRatio, describe_counted
from harness.analysis.descriptions import (
    describe_failure,
    describe_idle,
    describe_incomplete,
    describe_outcome,
    describe_overdrawn,
    describe_parties,
    describe_resumed,
)
from harness.analysis.inert_text import show_text
from harness.analysis.networks import NetworkRow
from harness.analysis.repeating import repeat_command
from harness.analysis.statistics import Estimate, estimate_time
from harness.cli.terminal import open_console, plain_table
from harness.exit_codes import ExitCode
from harness.networks.graph import WORKS
from harness.networks.problem import is_network_line
from harness.plan.cell import Plan
from harness.record.passes import Measurement
from harness.record.run import OUTCOMES, WRONG, Result, Run

MOST_WRONG = 8
MOST_TIMES = 30
MOST_COUNTS = 60
COUNT_COLOURS = {"MORE": "red", "MISSING": "red", "INCONCLUSIVE": "yellow", "FEWER": "green"}
MOST_CLAIMS = 20  # lines about claims
SHOWN_CLAIMS: frozenset[Kind] = LOUD_CLAIMS | {"KNOWN FAULT", "UNCLAIMED"}
LONGEST_WHY = 110  # characters of a reason in the table of known bugs


def ratio_cells(ratio: Estimate | CountRatio | None) -> tuple[str, str]:
    """Return a ratio and its interval as two cells of a table, empty if there is none."""
    return (f"{ratio.value:.3f}", f"{ratio.low:.3f} to {ratio.high:.3f}") if ratio is not None else ("", "")


def print_effects(console: Console, arm_comparison: ArmComparison) -> None:
    """Print one line for the effect of each arm over all its cells."""
    for arm, effect in arm_comparison.overall.items():
        console.print(
            f"{arm}: {effect.value:.4f} of the base's time over all cells ({effect.low:.4f} to {effect.high:.4f})",
            markup=False,
        )


def print_summary(analysis: Analysis, written: Sequence[Path] = ()) -> None:
    """Print outcomes by backend, the first wrong results with a command that repeats each, and the paths of reports."""
    console, run = open_console(), analysis.run
    console.print(_outcome_table(run))
    _print_bugs(console, analysis)
    _print_settings(console, analysis)
    _print_networks(console, analysis)
    _print_times(console, run)
    print_counts(analysis)
    for backend, reason in run.unavailable.items():
        console.print(f"{backend} is unavailable: {reason}", markup=False, soft_wrap=True)
    _print_skipped(console, run)
    for line in analysis.refused:
        console.print(f"[yellow]{escape(show_text(line))}[/yellow]", soft_wrap=True)
    print_wrong(analysis)
    print_claims(analysis)
    overdrawn = describe_overdrawn(run.overdrawn)
    for line in overdrawn:
        console.print(f"[red]{escape(line)}[/red]", soft_wrap=True)
    if run.vacuous and not overdrawn:
        console.print(f"{run.vacuous} passed results prove nothing (see proves_nothing in the report).")
    for line in describe_idle(run):
        console.print(line, markup=False, soft_wrap=True)
    print_ending(run, written)


def print_ending(run: Run, written: Sequence[Path] = ()) -> None:
    """Print the paths of the run and of its page, and notes if it is incomplete or was resumed."""
    console = open_console()
    if resumed := describe_resumed(run):
        console.print(f"{resumed}.", markup=False, soft_wrap=True)
    if incomplete := describe_incomplete(run):
        console.print(f"{incomplete}.", markup=False, soft_wrap=True)
    for line in describe_parties(run.header.parties):
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"run:    {run.path}", markup=False, soft_wrap=True)
    page = next((path for path in written if path.suffix == ".html"), None)
    if page is not None:
        console.print(f"report: {page}", markup=False, soft_wrap=True)


def print_wrong(analysis: Analysis, results: Sequence[Result] | None = None) -> None:
    """Print the causes of wrong results, of these or by default of all, with a command that repeats the smallest."""
    console, run = open_console(), analysis.run
    known = {} if analysis.claims is None else analysis.claims.excused
    asked = run.results if results is None else results
    wrong = [result for result in asked if result.outcome in WRONG and result.cell not in known]
    causes = {cause.first.cell: cause for cause in group_results(wrong)}
    for result in _one_of_each_law([cause.first for cause in causes.values()])[:MOST_WRONG]:
        _print_wrong(console, analysis, causes[result.cell])
    if len(causes) > MOST_WRONG:
        console.print(f"... {len(causes)} causes of {len(wrong)} wrong results in all; the report lists them.")


def print_claims(analysis: Analysis) -> None:
    """Print what became of the claims of a run: what fails or excuses nothing first, then the counts."""
    report, console = analysis.claims, open_console()
    if report is None:
        return
    told = join_rows([line for line in describe_claims(report) if line.kind in SHOWN_CLAIMS])
    for line in told[:MOST_CLAIMS]:
        colour = "red" if line.fails else "yellow" if line.kind in LOUD_CLAIMS else "default"
        row = f"{line.row} of {line.backend}" if line.row else line.backend
        console.print(
            f"[{colour}]{line.kind}[/{colour}]  {escape(show_text(f'{row} ({line.what}): {line.said}'))}",
            soft_wrap=True,
        )
        if line.problem:
            console.print(f"    problem  {escape(show_text(line.problem))}", soft_wrap=True)
    if len(told) > MOST_CLAIMS:
        console.print(f"... and {len(told) - MOST_CLAIMS} more; the report has them all")
    colour = {ExitCode.OK: "green", ExitCode.WRONG: "red"}.get(report.exit_code, "yellow")
    console.print(f"[{colour}]claims: {escape(show_text(conclude_claims(report)))}[/{colour}]", soft_wrap=True)


def _outcome_table(run: Run) -> Table:
    shown: list[str] = [outcome for outcome in OUTCOMES if run.counts[outcome]]
    names = list(shown)
    if run.vacuous:
        names.insert(1, "proves nothing")
    table = plain_table("backend", *names, "timed", numbers=len(names) + 1)
    statuses = Counter[tuple[str, str]](
        (result.arm, "proves nothing" if result.vacuous else result.outcome) for result in run.results
    )
    with_times = Counter(result.arm for result in run.results if result.measurement is not None)
    for backend in run.header.arm_names:
        counts, timed = {name: statuses[backend, name] for name in names}, with_times[backend]
        cells = [f"[red]{counts[o]}[/red]" if o in WRONG and counts[o] else str(counts[o] or "") for o in names]
        table.add_row(backend, *cells, str(timed or ""))
    return table


def _print_bugs(console: Console, analysis: Analysis) -> None:
    """Print the status of each known bug, and the number of bugs by status."""
    rows = analysis.bugs
    if not rows:
        return
    table = plain_table("known bug", "backend", "status", "title", "why")
    for row in sorted(rows, key=lambda row: BUG_STATUSES.index(row.status)):
        bug, status = row.asked.bug, f"[red]{row.status}[/red]" if row.status == "present" else row.status
        why = row.reason if len(row.reason) <= LONGEST_WHY else f"{row.reason[: LONGEST_WHY - 1]}…"
        table.add_row(escape(bug.id), escape(row.asked.arm), status, escape(bug.title), escape(why))
    console.print(table)
    counts = count_statuses(rows)
    bugs = len({row.asked.bug.id for row in rows})
    told = ", ".join(f"{number} {name}" for name, number in counts.items())
    console.print(f"{bugs} known bugs, {len(rows)} with their backends: {told}", markup=False)


def _print_settings(console: Console, analysis: Analysis) -> None:
    """Print what the libraries of each arm use, and the number of wrong results there, if arms differ in settings."""
    rows = analysis.settings
    if not rows:
        return
    table = plain_table("backend", "set", "libraries use", "passed", "wrong", numbers=2)
    for row in rows:
        wrong = f"[red]{row.wrong}[/red]" if row.wrong else ""
        used = row.reported or "not told"
        passed = str(row.counts.get("passed", 0) or "")
        table.add_row(escape(row.plain), escape(row.setting or "nothing"), escape(used), passed, wrong)
    console.print(table)


def _print_networks(console: Console, analysis: Analysis) -> None:
    """Print times of whole networks, forward and in a training step, and the largest error in units of its bound."""
    rows = [row for row in analysis.networks if row.worst is not None or row.wrong or any(map(row.time, WORKS))]
    names = [name for name in analysis.run.header.arm_names if any(row.arm == name for row in rows)]
    cells = {(row.network, row.given, row.arm): _network_cell(row) for row in rows}
    if cells:
        table = plain_table("forward / step ms (error)", *names, numbers=len(names))
        for network, given in dict.fromkeys((row.network, row.given) for row in rows):
            found = [cells.get((network, given, name), "") for name in names]
            table.add_row(escape(" ".join(filter(None, (network, given)))), *found)
        console.print(table)


def _network_cell(row: NetworkRow) -> str:
    times = [f"{time.value / 1e6:.3g}" if (time := row.time(work)) is not None else "-" for work in WORKS]
    parts = [" / ".join(times)] if row.speed else []
    parts += [f"({row.worst:.2g})"] if row.worst is not None else []
    return f"[red]{' '.join((*parts, 'wrong'))}[/red]" if row.wrong else " ".join(parts)


def _print_times(console: Console, run: Run) -> None:
    """Print median and setup times, one row for each operator's problem, if there are few enough."""
    timed = [r for r in run.results if r.measurement is not None and not is_network_line(r.problem)]
    rows = list(dict.fromkeys((result.label, result.problem) for result in timed))
    if not 0 < len(rows) <= MOST_TIMES:
        return
    names = [name for name in run.header.arm_names if any(result.arm == name for result in timed)]
    times = {(r.problem, r.arm): _time_cell(r.measurement) for r in timed if r.measurement is not None}
    table = plain_table("median ms (prepare + first call)", *names, numbers=len(names))
    for _, problem in rows:
        table.add_row(escape(problem), *(times.get((problem, name), "") for name in names))
    console.print(table)


def print_counts(analysis: Analysis) -> None:
    """Print the instructions of counted cells, worst first, and what was found; nothing if none were counted."""
    counted, console = analysis.counted, open_console()
    if counted is None:
        return
    heads = ("verdict", "arm", "problem", "new/base", "least to most", "instructions", "not deterministic", "why")
    table = plain_table(*(heads if counted.counting.compares else (*heads[1:3], *heads[5:])))
    for row in counted.rows[:MOST_COUNTS]:
        verdict, ratio, counts = row.verdict or "base", row.ratio, row.new.counts
        colour = COUNT_COLOURS.get(verdict, "default")
        numbers = (f"{ratio.value:.4f}", f"{ratio.low:.4f} to {ratio.high:.4f}") if ratio is not None else ("", "")
        measured = (f"{counts.median:,.0f}", f"{100 * counts.spread:.2g} %") if counts is not None else ("", "")
        named = (escape(row.new.arm), escape(row.new.problem))
        why = escape(row.reason or row.new.reason or "")
        compared = (f"[{colour}]{verdict}[/{colour}]", *named, *numbers)
        table.add_row(*(compared if counted.counting.compares else named), *measured, why)
    console.print(table)
    if len(counted.rows) > MOST_COUNTS:
        console.print(f"... and {len(counted.rows) - MOST_COUNTS} more; the report has them all")
    console.print(describe_counted(counted), markup=False, soft_wrap=True)


def _time_cell(measurement: Measurement) -> str:
    """Median time of a call in ms, and in brackets the medians of planning and of the first call."""
    passes = measurement.passes
    before = (statistics.median(one.prepare_ns for one in passes), statistics.median(p.first_call_ns for p in passes))
    return f"{estimate_time(measurement).value / 1e6:.4g} ({' + '.join(_format_ms(ns) for ns in before)})"


def _format_ms(ns: float) -> str:
    """Milliseconds with two significant digits, or as an integer from 100 on."""
    return f"{ns / 1e6:.0f}" if ns >= 1e8 else f"{ns / 1e6:.2g}"


def _print_skipped(console: Console, run: Run) -> None:
    """Print why cells were skipped or are unsupported: a backend may decline problems that it computes wrongly."""
    declared = replace(run, results=tuple(result for result in run.results if not result.refused))
    for line in [*describe_outcome(run, "skipped"), *describe_outcome(declared, "unsupported")]:
        console.print(line, markup=False, soft_wrap=True)


def _one_of_each_law(results: list[Result]) -> list[Result]:
    """The first result of each backend and law, then the rest."""
    seen: set[tuple[str, str]] = set()
    first: list[Result] = []
    rest: list[Result] = []
    for result in results:
        (rest if (result.arm, result.law) in seen else first).append(result)
        seen.add((result.arm, result.law))
    return first + rest


def _print_wrong(console: Console, analysis: Analysis, cause: Cause[Result]) -> None:
    result = cause.first
    alike = f"{len(cause.cells)} cells ({cause.laws}), of which this is the smallest"
    only = analysis.wrong_only_in.get(result.cell, "")
    refused = None if analysis.claims is None else analysis.claims.refused.get(result.cell)
    formula = f"   {result.formula}" if result.formula else ""
    lines = (
        f"[red]{result.outcome}[/red]  {escape(result.arm)}  {result.law or 'timing'}{escape(formula)}",
        f"    problem  {escape(result.problem)}",
        *(f"    {name:<9}{escape(text)}" for name, text in describe_failure(result, only)),
        *(f"    claims   {escape(why)}" for why in filter(None, [refused])),
        *((f"    alike    {alike}",) if cause.cells[1:] else ()),
        f"    repeat   {escape(repeat_command(analysis.run.header, result))}",
    )
    for line in lines:
        console.print(line, soft_wrap=True)


def print_plan(plan: Plan) -> None:
    """Print the plan of a dry run: one row for each suite and backend, then the cells that the plan alone decides."""
    console = open_console()
    table = plain_table("suite", "backend", "cells", "to run", "unsupported", "skipped", "derived", numbers=5)
    keys = dict.fromkeys((cell.suite, cell.arm) for cell in plan.cells)
    for suite, backend in keys:
        cells = [cell for cell in plan.cells if (cell.suite, cell.arm) == (suite, backend)]
        decided = Counter(cell.decided for cell in cells)
        derived = sum(cell.route.kind == "derived" for cell in cells)
        counts = (len(cells), decided[None], decided["unsupported"], decided["skipped"], derived)
        table.add_row(suite, backend, *map(str, counts))
    console.print(table)
    reasons = Counter((cell.arm, cell.decided, cell.reason) for cell in plan.cells if cell.decided)
    for (backend, outcome, reason), count in reasons.most_common(20):
        console.print(f"{count:5d}  {backend}  {outcome}: {reason or ''}", markup=False, soft_wrap=True)

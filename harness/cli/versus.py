"""`harness versus`: time arms in turns, until every cell is decided or the budget is spent."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import (
    choose_metric,
    load_registry,
    metric_option,
    plugin_options,
    problem_options,
    read_problems,
    read_seconds,
    read_share,
    run_options,
)
from harness.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.analyse import Analysis
    from harness.analysis.arm_comparison import ArmComparison, Row
    from harness.analysis.reporter import Reporter
    from harness.plan.counting import Metric
    from harness.plan.suite import Mode

SHOWN = 60
COLOURS = {"SLOWER": "red", "MISSING": "red", "INCONCLUSIVE": "yellow", "FASTER": "green"}


@click.command("versus")
@click.argument("arms", nargs=-1, required=True, metavar="ARM ARM...")
@click.option("--suite", "suites", multiple=True, metavar="NAME", help="Suite of speed.  [default: speed-short]")
@problem_options
@click.option("--budget", metavar="TIME", help="Wall time for all passes.  [default: 10s a cell]")
@click.option("--delta", metavar="SHARE", help="Change that counts, such as 1%.  [default: 1%, or what qualify found]")
@click.option("--mode", type=click.Choice(["hot", "cold"]), help="Of the caches.  [default: the suite's, mostly hot]")
@metric_option
@click.option("--gate", "armed", is_flag=True, help="Let the verdicts make the exit code; wants a qualified machine.")
@click.option("--threads", type=click.IntRange(1), help="Threads of every worker.  [default: all]")
@run_options
@plugin_options
def command(
    arms: tuple[str, ...],
    suites: tuple[str, ...],
    problems: tuple[str, ...],
    problem_files: tuple[str, ...],
    budget: str | None,
    delta: str | None,
    mode: Mode | None,
    metric: Metric,
    armed: bool,
    threads: int | None,
    lease_wait: str | None,
    output: str | None,
    resume: str | None,
    formats: tuple[str, ...],
    plugins: tuple[str, ...],
    without: tuple[str, ...],
) -> ExitCode:
    """Time arms in turns on this machine; the first is the base that the others are compared with.

    An ARM is BACKEND, BACKEND@REVISION (checked out into a temporary worktree) or BACKEND@env:PATH (another virtual
    environment or interpreter), with environment variables behind it (@set:NAME=VALUE) and a name of your own in front
    if you like: NAME=BACKEND@REVISION. All arms of a cell are timed in turns, in short blocks, in fresh processes, pass
    after pass, until the cell is decided.

    \b
    SLOWER, FASTER   new / base lies beyond 1 + DELTA on one side   SAME  inside on both
    INCONCLUSIVE     neither could be shown, with how many more passes it would take
    MISSING          timed in one arm only    NEW  the base cannot do it

    With --metric instructions, the verdicts are MORE and FEWER, from one process for each arm. Counts do not depend on
    how busy the machine is, which needs no qualification; a change of 0.5 % counts by default.

    \b
    python -m harness versus im2col@HEAD~3 im2col --budget 2m
    python -m harness versus torch im2col fft --problem 'conv x=8x64x56x56 w=64x64x3x3 pad=1'
    python -m harness versus mine@main mine --plugin ./mine.py --suite speed --gate
    python -m harness versus mine@main mine --plugin ./mine.py --metric instructions
    python -m harness versus torch torch@set:ONEDNN_MAX_CPU_ISA=AVX2
    """
    from harness.analysis.analyse import analyse
    from harness.cli.options import command_line
    from harness.cli.progress import choose_watch
    from harness.cli.saying import say
    from harness.cli.settings import find_limits
    from harness.gating.arms import Contest, time_arms
    from harness.plan.limits_reading import check_limits

    registry = load_registry(plugins, without)
    reporters = registry.reporters_for(formats)
    given = read_problems(problems, problem_files, registry.networks)
    counting = choose_metric(
        metric,
        threads,
        (("--budget", budget), ("--mode", mode), ("--lease-wait", lease_wait)),
        delta,
        compares=True,
        armed=armed,
    )
    limits = check_limits(find_limits(Path.cwd()), registry)
    contest = Contest(
        arms=arms, suites=suites or ("speed-short",), problems=given,
        delta=read_share(delta) if delta else None, budget_s=read_seconds(budget) if budget else None, mode=mode,
        armed=armed, threads=threads, plugins=plugins, output=output, command=command_line(sys.argv[1:]),
        lease_wait_s=read_seconds(lease_wait) if lease_wait else None, resume=resume, counting=counting, limits=limits,
    )  # fmt: skip
    if limits and counting is not None:
        say("limits of pyproject.toml are not applied, as instructions are counted; --delta says what counts")
    watch = choose_watch()
    try:
        run = time_arms(registry, contest, watch)
    except KeyboardInterrupt:
        if watch.ended is not None:
            conclude(analyse(watch.ended), reporters)
        raise
    analysis = analyse(run)
    conclude(analysis, reporters)
    return analysis.exit_code


def conclude(analysis: Analysis, reporters: Sequence[Reporter]) -> None:
    """Print verdicts and wrong results, and write the reports."""
    from harness.cli.report import write_reports
    from harness.cli.summary import print_counts, print_ending, print_wrong

    if analysis.arm_comparison is not None:
        print_verdicts(analysis.arm_comparison)
    print_counts(analysis)
    print_wrong(analysis)
    print_ending(analysis.run, write_reports(reporters, analysis))


def setup_cell(row: Row) -> str:
    """Return the time of planning plus first call in the base and in the arm, in ms."""
    sides = [side.measurement.passes if side and side.measurement else () for side in (row.base, row.new)]
    costs = [statistics.median(p.prepare_ns + p.first_call_ns for p in side) / 1e6 if side else None for side in sides]
    return " → ".join("-" if cost is None else f"{cost:.3g}" for cost in costs)


def print_verdicts(arm_comparison: ArmComparison) -> None:
    """Print the table of verdicts, one effect for each arm, and the condition of the machine."""
    from rich.markup import escape

    from harness.analysis.outcomes import describe_new
    from harness.analysis.verdicts import WORST_FIRST
    from harness.cli.summary import print_effects, ratio_cells
    from harness.cli.terminal import open_console, plain_table

    console = open_console()
    rows = sorted(arm_comparison.rows, key=lambda row: WORST_FIRST.index(row.judgement.verdict))
    heads = (
        "verdict",
        "arm",
        "problem",
        "new/base",
        "95 % interval",
        "passes",
        "prepare + first call ms",
        "pays",
        "why",
    )
    table = plain_table(*heads)
    for row in rows[:SHOWN]:
        found, colour = row.judgement, COLOURS.get(row.judgement.verdict, "default")
        table.add_row(
            f"[{colour}]{found.verdict}[/{colour}]", escape(row.new.arm), escape(row.new.problem),
            *ratio_cells(found.ratio), str(found.passes), setup_cell(row), row.payback.words,
            escape(found.reason or ""),
        )  # fmt: skip
    console.print(table)
    if len(rows) > SHOWN:
        console.print(f"... and {len(rows) - SHOWN} more; the report has them all")
    for limit in arm_comparison.idle_limits:
        console.print(f"[yellow]limit {escape(limit)}[/yellow]", soft_wrap=True)
    print_effects(console, arm_comparison)
    counts = ", ".join(f"{count} {name}" for name, count in arm_comparison.counts.items() if count)
    console.print(f"{len(rows)} cells, a change of {100 * arm_comparison.gate.delta:.3g} % counts: {counts or 'none'}")
    if arm_comparison.all_new:
        console.print(f"[red]{escape(describe_new(arm_comparison.all_new))}[/red]", soft_wrap=True)
    if not arm_comparison.can_tell:
        console.print(
            f"[red]the machine cannot tell: {100 * arm_comparison.dropped:.0f} % of the blocks were disturbed[/red]; "
            "`python -m harness doctor` says by what"
        )

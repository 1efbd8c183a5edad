"""`harness gate`: compare two versions of a backend in one run on this machine; the exit code is the verdict."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import (
    build_options,
    choose_metric,
    claims_option,
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
    from harness.analysis.gate_report import GateReport
    from harness.analysis.reporter import Reporter
    from harness.gating.versions import Build
    from harness.plan.counting import Metric
    from harness.plan.gate import BaseBroken
    from harness.record.run import Run

SUITES = ("correctness", "speed-short")
SHOWN = 40
COLOURS = {
    "BROKEN": "red",
    "SLOWER": "red",
    "MORE": "red",
    "MISSING": "red",
    "MORE MEMORY": "red",
    "LESS PRECISE": "red",
    "INCONCLUSIVE": "yellow",
    "FASTER": "green",
    "FEWER": "green",
}


@click.command("gate")
@click.option("--base", default="", metavar="REV", help="Revision that the new version is compared with.")
@click.option("--head", default="", metavar="REV", help="New version.  [default: the checkout as it lies]")
@click.option("--base-env", default="", metavar="VENV", help="Environment of the base, in which it may be installed.")
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="ARM",
    help="May be repeated, as in BACKEND@set:NAME=VALUE.  [default: of --plugin, else all here]",
)
@click.option("--suite", "suites", multiple=True, metavar="NAME", help=f"[default: {', '.join(SUITES)}]")
@problem_options
@click.option("--law", "laws", multiple=True, metavar="NAME", help="This law only; may be repeated.")
@claims_option
@metric_option
@click.option("--budget", metavar="TIME", help="Wall time for all of it.  [default: 5m, or more for many cells]")
@click.option("--delta", metavar="SHARE", help="Change that counts, such as 1%.  [default: 1%, or what qualify found]")
@click.option("--resolve", default="5%", show_default=True, metavar="SHARE",
              help="Undecided cells pass where a slow-down of this is ruled out; 0% lets none pass.")  # fmt: skip
@click.option("--base-broken", type=click.Choice(["fail", "ok"]), default="fail", show_default=True,
              help="ok: what the base could not run passes where the new version's own laws hold.")  # fmt: skip
@build_options
@click.option("--unqualified", is_flag=True, help="Go on where nothing is known of this machine's false alarms.")
@click.option("--summary", metavar="FILE", help="Append a Markdown summary to this file, such as $GITHUB_STEP_SUMMARY.")
@click.option("--threads", type=click.IntRange(1), help="Threads of every worker.  [default: all]")
@run_options
@plugin_options
def command(
    base: str, head: str, base_env: str, backends: tuple[str, ...], suites: tuple[str, ...],
    problems: tuple[str, ...], problem_files: tuple[str, ...], laws: tuple[str, ...], claims: str | None,
    metric: Metric, budget: str | None, delta: str | None, resolve: str, base_broken: BaseBroken, build: Build,
    build_command: str, package: str | None,
    extras: str, unqualified: bool, summary: str | None, threads: int | None, lease_wait: str | None,
    output: str | None, resume: str | None, formats: tuple[str, ...],
    plugins: tuple[str, ...], without: tuple[str, ...],
) -> ExitCode:  # fmt: skip
    """Fail where the new version of a backend is slower or more wrong than its base, and nowhere else.

    Both versions run as arms of one comparison on this machine: laws first, then all cells are screened in a few passes
    of fresh processes, and passes are added for undecided cells until the budget is spent. The base is checked out into
    a temporary worktree; if it declares other dependencies, or has something compiled, both versions are built.

    \b
    Exit codes: 0 neither slower nor wrong   1 BROKEN: wrong, and was not   3 SLOWER, MORE, MISSING, over a limit
                5 cannot tell                4 incomplete, or nothing ran   2 bad input

    \b
    python -m harness gate --base origin/main
    python -m harness gate --base v1.2 --head HEAD --backend mine --plugin ./mine.py --budget 10m
    python -m harness gate --base-env /opt/released --plugin my_package.plugin
    python -m harness gate --base main --plugin ./mine.py --build-command 'make libmine.so'
    python -m harness gate --base main --base-broken ok
    python -m harness gate --base main --metric instructions
    """
    from harness.analysis.analyse import analyse
    from harness.api.comparing import judge_versions
    from harness.cli.options import command_line
    from harness.cli.progress import choose_watch
    from harness.cli.settings import find_limits
    from harness.errors import UsageError
    from harness.gating.arming import arm_gate
    from harness.gating.blessings import read_blessings
    from harness.gating.versions import Wanted, compare_versions
    from harness.git import find_repository
    from harness.plan.claims.check import load_claims
    from harness.plan.limits_reading import check_limits

    if not base and not base_env:
        raise UsageError("base: got none, wanted --base REV, a revision such as origin/main, or --base-env VENV")
    registry = load_registry(plugins, without)
    reporters = registry.reporters_for(formats)
    if "summary" not in formats and (summary or not formats):
        reporters.append(registry.reporter("summary"))
    ruled_out = 0.0 if resolve.strip() in ("0", "0%") else read_share(resolve)
    counting = choose_metric(
        metric, threads, (("--budget", budget), ("--lease-wait", lease_wait)), delta, compares=True, armed=True
    )
    gate = arm_gate(
        read_share(delta) if delta else None, ruled_out, threads, unqualified=unqualified, base_broken=base_broken,
        counting=counting, limits=check_limits(find_limits(Path.cwd()), registry),
    )  # fmt: skip
    repository = find_repository(plugins)
    if repository is not None:
        read_blessings(repository)  # report damaged ones now, not at the end
    if summary is not None:
        append_text("", summary)
    wanted = Wanted(
        base=base, head=head, base_env=base_env, backends=backends, suites=suites or SUITES,
        problems=read_problems(problems, problem_files, registry.networks), laws=laws, build=build, extras=extras,
        package=package, build_command=build_command, plugins=plugins, threads=threads, output=output,
        command=command_line(sys.argv[1:]), lease_wait_s=read_seconds(lease_wait) if lease_wait else None,
        resume=resume, claims=None if claims is None else load_claims(claims, registry), counting=counting,
    )  # fmt: skip
    watch = choose_watch()
    try:
        run = compare_versions(registry, wanted, gate, watch, read_seconds(budget) if budget else None)
    except KeyboardInterrupt:
        if watch.ended is not None:
            conclude(analyse(watch.ended), reporters, None, interrupted=True)
        raise
    analysis = judge_versions(run, repository)
    conclude(analysis, reporters, summary)
    return analysis.exit_code


def conclude(
    analysis: Analysis, reporters: Sequence[Reporter], summary: str | None, *, interrupted: bool = False
) -> None:  # fmt: skip
    """Print the findings and the conclusion, write the reports, and append the summary.

    analysis: of the run. reporters: formats to write. summary: file to append to, or None.
    interrupted: True if the run was interrupted; its exit code then tells so, and no conclusion is printed.
    """
    from harness.cli.report import write_reports
    from harness.cli.summary import print_claims, print_ending, print_wrong

    report = analysis.gate_report
    assert report is not None
    print_findings(report)
    print_wrong(analysis, [cell.new for cell in report.cells if cell.finding == "BROKEN"])
    print_claims(analysis)
    written = write_reports(reporters, analysis)
    if summary is not None:
        append_summary(report.run, summary)
    print_ending(report.run, written)
    if not interrupted:  # else the exit code is that of the interrupt
        print_conclusion(report, analysis.exit_code)


def append_summary(run: Run, file: str) -> None:
    """Append summary.md of the run's report to a file."""
    append_text((run.path / "report" / "summary.md").read_text("utf-8"), file)


def append_text(text: str, file: str) -> None:
    """Append to a file, which is created if missing. Raises UnwritableError if it cannot be written."""
    from harness.errors import UnwritableError

    try:
        with Path(file).open("a", encoding="utf-8") as target:
            target.write(text)
    except OSError as error:
        raise UnwritableError(f"summary: got '{file}' ({error.strerror}), wanted a file that can be written") from None


def print_findings(report: GateReport) -> None:
    """Print the table of causes of changes, worst first with their smallest problems, and one effect per backend."""
    from rich.markup import escape

    from harness.analysis.gate_conclusion import describe_silent
    from harness.analysis.repeating import repeat_command
    from harness.cli.summary import print_effects, ratio_cells
    from harness.cli.terminal import open_console, plain_table

    console, delta = open_console(), report.arm_comparison.gate.delta
    told = report.told
    heads = ("finding", "cells", "backend", "what", "problem", "new/base", report.interval, "passes", "why")
    table = plain_table(*heads)
    for cause in told[:SHOWN]:
        cell = cause.first
        judged, colour = cell.judgement, COLOURS.get(cell.finding, "default")
        numbers = ratio_cells(cell.ratio)
        table.add_row(
            f"[{colour}]{cell.finding}[/{colour}]", str(len(cause.cells)), escape(cell.backend), cause.laws,
            escape(cell.new.problem), *numbers, str(judged.passes) if judged is not None else "",
            escape(cell.reason or ""),
        )  # fmt: skip
    if told:
        console.print(table)
    if len(told) > SHOWN:
        console.print(f"... and {len(told) - SHOWN} more causes; the report has them all")
    for cause in report.causes("MORE", "MISSING", "MORE MEMORY", "LESS PRECISE")[:SHOWN]:
        command, first = repeat_command(report.run.header, cause.first.new), cause.first
        console.print(f"repeat {first.finding} of {first.backend}: {command}", markup=False, soft_wrap=True)
    for name in report.lost:
        console.print(f"[red]MISSING[/red] backend {escape(name)}: the base hands it over, the new version does not")
    for limit in report.idle_limits:
        console.print(f"[yellow]limit {escape(limit)}[/yellow]", soft_wrap=True)
    print_effects(console, report.arm_comparison)
    if silent := describe_silent(report):
        console.print(silent, markup=False, soft_wrap=True)
    files = [f"{len(own)} of {arm}" for arm, own in report.run.files.items()]
    files += [f"unknown of {arm.name}" for arm in report.run.header.arms if arm.name not in report.run.files]
    if files:
        console.print(f"own files: {', '.join(files)} (journal.jsonl has their SHA-256)", markup=False)
    counts = ", ".join(f"{count} {name}" for name, count in report.counts.items() if count)
    console.print(f"{len(report.cells)} cells, a change of {100 * delta:.3g} % counts: {counts or 'none'}")


def print_conclusion(report: GateReport, code: ExitCode) -> None:
    """Print the conclusion, with the exit code of the command, in one line.

    report: of the comparison. code: another one than the report's is due to claims.
    """
    from rich.markup import escape

    from harness.analysis.gate_conclusion import conclude_gate
    from harness.cli.terminal import open_console

    colour = "green" if code == ExitCode.OK else "yellow" if code == ExitCode.CANNOT_TELL else "red"
    joint = "but" if report.exit_code == ExitCode.OK else "and"
    also = "" if code == report.exit_code else f", {joint} its claims fail (above)"
    said = f"[{colour}]gate:   {escape(conclude_gate(report))}{also}[/{colour}] (exit code {code})"
    open_console().print(said, soft_wrap=True)

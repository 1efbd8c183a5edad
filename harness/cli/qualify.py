"""`harness qualify`: identical arms and known slow-downs through the gate; how far its verdicts can be trusted here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from harness.analysis.exit_code import find_exit_code
from harness.cli.options import load_registry, plugin_options, read_seconds, read_share
from harness.exit_codes import ExitCode

if TYPE_CHECKING:
    from harness.analysis.arm_comparison import ArmComparison
    from harness.analysis.qualification import Qualification

CHOSEN = ("numpy-direct", "im2col", "torch")
SLOWDOWNS = (0.01, 0.03, 0.05, 0.10)
BUDGET = "10m"


@click.command("qualify")
@click.option(
    "--backend", "backends", multiple=True, metavar="NAME", help=f"May be repeated.  [default: {', '.join(CHOSEN)}]"
)
@click.option("--budget", metavar="TIME", default=BUDGET, show_default=True, help="Wall time for all passes.")
@click.option("--delta", metavar="SHARE", default="1%", show_default=True, help="Change that counts.")
@click.option("--if-unknown", is_flag=True, help="Do nothing where this machine is qualified already.")
@click.option("--no-power", is_flag=True, help="Identical arms only: false alarms, and no known slow-downs.")
@click.option("--threads", type=click.IntRange(1), help="Threads of every worker.  [default: all]")
@click.option("--lease-wait", metavar="TIME", help="How long to wait for a device in use.  [default: without end]")
@click.option("--output", metavar="FOLDER", help="New folder for the run.  [default: harness-runs/DATE-TIME-qualify]")
@plugin_options
def command(
    backends: tuple[str, ...],
    budget: str,
    delta: str,
    if_unknown: bool,
    no_power: bool,
    threads: int | None,
    lease_wait: str | None,
    output: str | None,
    plugins: tuple[str, ...],
    without: tuple[str, ...],
) -> int:
    """Compare identical arms, and arms slowed down by known work, and say how often the verdict is right.

    Everything goes through the gate of `versus`: a pair of identical arms that is called SLOWER or FASTER is a false
    alarm, a slow-down that is not called SLOWER was missed. The counts are added up for this machine, interpreter and
    libraries; `gate` and `versus --gate` are refused where they show that verdicts cannot be trusted here. Exit code 5:
    they show it.

    \b
    python -m harness qualify
    python -m harness qualify --backend mine --plugin ./mine.py --budget 10m
    """
    from harness.analysis.arm_comparison import compare_to_base
    from harness.analysis.qualification import (
        name_environment,
        qualification_file,
        read_qualification,
        write_qualification,
    )
    from harness.cli.options import command_line
    from harness.cli.progress import choose_watch
    from harness.cli.summary import print_ending
    from harness.execution.pipeline import check_start, start
    from harness.experiments.qualify import make_arms, name_suites, qualify_run
    from harness.plan.gate import Gate
    from harness.plan.planner import plan_run
    from harness.record.environment import describe_environment

    known = read_qualification(name_environment(describe_environment(threads)))
    if if_unknown and known is not None and not known.failures and known.delta <= read_share(delta):
        print_total(known, str(qualification_file(known.environment)))
        return ExitCode.OK
    registry = load_registry(plugins, without)
    gate = Gate(delta=read_share(delta), budget_s=read_seconds(budget), apart=True)
    wait_s = read_seconds(lease_wait) if lease_wait else None
    check_start(output)
    names = name_suites(() if no_power else SLOWDOWNS)
    plan = plan_run(registry, names, arms=make_arms(registry, backends or CHOSEN), gate=gate)
    run = start(
        registry, plan, ("qualify",), output, plugins, None, threads, choose_watch(), command_line(sys.argv[1:]),
        lease_wait_s=wait_s,
    )  # fmt: skip
    arm_comparison = compare_to_base(run)
    if find_exit_code(run):
        print_ending(run)
        print("error: nothing is qualified by a run that is wrong or incomplete", file=sys.stderr)
        return find_exit_code(run)
    found = qualify_run(run, arm_comparison)
    print_powers(arm_comparison, found)
    passes = max((row.judgement.passes for row in arm_comparison.rows), default=0)
    if passes < gate.looks[0]:
        print_ending(run)
        print(
            f"error: nothing is qualified by {passes} passes, wanted {gate.looks[0]} at least; give a larger --budget",
            file=sys.stderr,
        )
        return ExitCode.CANNOT_TELL
    known = read_qualification(found.environment)
    total = known.plus(found) if known else found
    print_total(total, str(write_qualification(total)))
    print_ending(run)
    return ExitCode.CANNOT_TELL if total.failures else ExitCode.OK


def print_powers(arm_comparison: ArmComparison, found: Qualification) -> None:
    """What this run says: for every slow-down, and none, the verdicts by backend."""
    from collections import Counter

    from harness.cli.summary import open_console, plain_table

    verdicts = ("SLOWER", "FASTER", "SAME", "INCONCLUSIVE", "MISSING")
    table = plain_table("known slow-down", "arm", *verdicts, "median new/base", numbers=len(verdicts) + 1)
    groups: dict[tuple[str, str], list[float]] = {}
    counts: dict[tuple[str, str], Counter[str]] = {}
    for row in arm_comparison.rows:
        key = row.new.suite.partition("+")[2] or "none", row.new.backend
        counts.setdefault(key, Counter())[row.judgement.verdict] += 1
        groups.setdefault(key, []).extend([row.judgement.ratio.value] if row.judgement.ratio else [])
    for (known, arm), values in groups.items():
        middle = f"{sorted(values)[len(values) // 2]:.4f}" if values else ""
        shown = [str(counts[known, arm][verdict] or "") for verdict in verdicts]
        table.add_row(known if known == "none" else f"+{known} %", arm, *shown, middle)
    console = open_console()
    console.print(table)
    console.print(
        f"this run: {found.alarms} false alarms in {found.cells} identical pairs; 95 % of them lie within "
        f"{100 * found.floor:.2f} %; {100 * found.dropped:.1f} % of the blocks were left out"
    )


def print_total(total: Qualification, path: str) -> None:
    """What all qualifications of this environment say together, and whether a gate may be armed."""
    from harness.analysis.binomial import clopper_pearson
    from harness.cli.summary import open_console

    console = open_console()
    low, high = clopper_pearson(total.alarms, total.cells)
    console.print(
        f"false alarms: {total.alarms} of {total.cells} identical pairs ({low:.2%} to {high:.2%} with 95 % "
        f"confidence), in {total.false_suites} of {total.suites} qualifications"
    )
    for share, (seen, of) in total.powers.items():
        low, high = clopper_pearson(seen, of)
        console.print(f"found: +{100 * float(share):g} % in {seen} of {of} cells ({low:.0%} to {high:.0%})")
    for failure in total.failures:
        console.print(f"[red]not qualified[/red]: {failure}")
    if not total.failures:
        console.print("qualified: `gate` and `versus --gate` may be armed here")
    console.print(f"stored: {path}", markup=False, soft_wrap=True)

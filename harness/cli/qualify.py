"""`harness qualify`: pass identical arms and known slow-downs through the gate, to see how far to trust verdicts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from harness.cli.options import load_registry, plugin_options, read_seconds, read_share
from harness.exit_codes import ExitCode

if TYPE_CHECKING:
    from harness.analysis.arm_comparison import ArmComparison
    from harness.analysis.qualification import Qualification

CHOSEN = ("numpy-direct", "im2col", "torch")  # as in harness.experiments.qualify, which --help does not load
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
) -> ExitCode:
    """Compare identical arms, and arms slowed down by known work, and say how often the verdict is right.

    Everything goes through the gate of `versus`: a pair of identical arms that is called SLOWER or FASTER is a false
    alarm, a slow-down that is not called SLOWER was missed. The counts are added up for this machine, interpreter and
    libraries; `gate` and `versus --gate` are refused if they show that verdicts cannot be trusted here. Exit code 5: in
    that case.

    \b
    python -m harness qualify
    python -m harness qualify --backend mine --plugin ./mine.py --budget 10m
    """
    from harness.analysis.qualification import qualification_file
    from harness.cli.options import command_line
    from harness.cli.progress import choose_watch
    from harness.cli.summary import print_ending
    from harness.experiments.qualify import NotQualifiedError, run_arms, store_run
    from harness.gating.arming import read_known

    known, change = read_known(threads), read_share(delta)
    if if_unknown and known is not None and not known.failures and known.delta <= change:
        print_total(known, str(qualification_file(known.environment)))
        return ExitCode.OK
    run = run_arms(
        load_registry(plugins, without), backends, change, read_seconds(budget), output, plugins, threads,
        choose_watch(), power=not no_power, command=command_line(sys.argv[1:]),
        lease_wait_s=read_seconds(lease_wait) if lease_wait else None,
    )  # fmt: skip
    try:
        made = store_run(run)
    except NotQualifiedError:
        print_ending(run)
        raise
    print_powers(made.arm_comparison, made.found)
    print_total(made.total, str(qualification_file(made.total.environment)))
    print_ending(run)
    return ExitCode.CANNOT_TELL if made.total.failures else ExitCode.OK


def print_powers(arm_comparison: ArmComparison, found: Qualification) -> None:
    """Print the results of this run: for every slow-down, and none, the verdicts by backend."""
    from collections import Counter

    from harness.cli.terminal import open_console, plain_table

    verdicts = ("SLOWER", "FASTER", "SAME", "INCONCLUSIVE", "MISSING")
    table = plain_table("known slow-down", "arm", *verdicts, "median new/base", numbers=len(verdicts) + 1)
    groups: dict[tuple[str, str], list[float]] = {}
    counts: dict[tuple[str, str], Counter[str]] = {}
    for row in arm_comparison.rows:
        key = f"{100 * row.new.slowdown:g}" if row.new.slowdown else "none", row.new.arm
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
    """Print the results of all qualifications of this environment together, and whether a gate may be armed."""
    from harness.analysis.binomial import clopper_pearson
    from harness.cli.terminal import open_console

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

"""`harness bisect`: find the commit that made a cell slower or wrong, with the gate as the test."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import build_options, load_registry, plugin_options, read_cell, read_seconds, read_share
from harness.cli.saying import say
from harness.exit_codes import ExitCode

if TYPE_CHECKING:
    from harness.gating.bisect import Bisection, Step
    from harness.gating.versions import Build

WORDS = {
    "SLOWER": "slower", "BROKEN": "wrong", "MISSING": "without the cell", "MORE MEMORY": "in need of more memory",
    "LESS PRECISE": "less precise",
}  # fmt: skip


@click.command("bisect")
@click.option("--good", required=True, metavar="REV", help="Revision that is as it should be.")
@click.option("--bad", default="HEAD", show_default=True, metavar="REV", help="Later revision that is not.")
@click.option("--cell", required=True, metavar="'BACKEND PROBLEM'", help="Backend and problem line, as `gate` shows.")
@click.option("--law", metavar="NAME", help="Ask for this law instead of the time.")
@click.option("--budget", default="2m", show_default=True, metavar="TIME", help="Wall time for each comparison.")
@click.option("--delta", metavar="SHARE",
              help="Change between the ends that counts.  [default: 1%, or what qualify found]")  # fmt: skip
@click.option("--unqualified", is_flag=True, help="Go on where nothing is known of this machine's false alarms.")
@build_options
@click.option("--threads", type=click.IntRange(1), help="Threads of every worker.  [default: all]")
@click.option("--lease-wait", metavar="TIME", help="How long to wait for a device in use.  [default: without end]")
@click.option("--output", metavar="FOLDER", help="Folder for the runs.  [default: harness-runs]")
@plugin_options
def command(
    good: str, bad: str, cell: str, law: str | None, budget: str, delta: str | None, unqualified: bool, build: Build,
    build_command: str, package: str | None, extras: str, threads: int | None, lease_wait: str | None,
    output: str | None, plugins: tuple[str, ...], without: tuple[str, ...],
) -> ExitCode:  # fmt: skip
    """Find the commit between GOOD and BAD that made a cell slower, or wrong with --law, or exceed its limits.

    First it is shown that BAD is worse than GOOD; then a binary search compares commits with GOOD, timed in turns on
    this machine. An undecided commit gets twice the budget, and is then skipped: the result is one commit (exit code
    0), or a few that could not be separated (5). Exit code 4: the ends do not differ.

    \b
    python -m harness bisect --good v1.2 --cell 'im2col conv x=8x64x56x56 w=64x64x3x3 pad=1'
    python -m harness bisect --good v1.2 --bad main --cell 'mine conv_input_grad x=2x3x8x8 w=4x3x3x3' \\
        --law agrees-with-reference --plugin ./mine.py
    """
    from harness.cli.options import command_line
    from harness.cli.progress import choose_watch
    from harness.cli.settings import find_limits
    from harness.errors import CannotTellError, UsageError
    from harness.gating.arming import arm_gate
    from harness.gating.bisect import NothingToFindError, find_change, list_commits
    from harness.gating.versions import Wanted
    from harness.git import find_repository, resolve_revision
    from harness.plan.limits_reading import check_limits

    registry = load_registry(plugins, without)
    backend, problem = read_cell(cell, registry.networks)
    repository = find_repository(plugins)
    first, last = resolve_revision(repository, good), resolve_revision(repository, bad)
    if repository is None:
        raise UsageError("bisect: got no git repository here, wanted a command inside of one")
    commits = list_commits(repository, first, last)
    wanted = Wanted(
        base=first, backends=(backend,), suites=("correctness" if law else "speed-short",), problems=(problem,),
        laws=(law,) if law else (), build=build, extras=extras, package=package,
        build_command=build_command, plugins=plugins, threads=threads, output=output,
        command=command_line(sys.argv[1:]), lease_wait_s=read_seconds(lease_wait) if lease_wait else None,
    )  # fmt: skip
    gate = arm_gate(
        read_share(delta) if delta else None, 0.0, threads, unqualified=unqualified or law is not None,
        limits=check_limits(find_limits(Path.cwd()), registry),
    )  # fmt: skip
    if gate.untimed and law is None:
        raise CannotTellError(f"bisect compares no times: {gate.untimed}")
    gate = replace(gate, budget_s=read_seconds(budget))
    say(f"{len(commits)} commits between {good} and {bad}; about {_most(len(commits))} comparisons")
    try:
        found = find_change(registry, wanted, gate, choose_watch(), commits, print_step)
    except NothingToFindError as error:
        say(f"bad is not shown to be worse than good: {error}", error=True)
        return ExitCode.CANNOT_TELL if error.unclear else ExitCode.INCOMPLETE
    print_found(repository, found)
    return ExitCode.OK if found.found else ExitCode.CANNOT_TELL


def _most(commits: int) -> int:
    return 1 + commits.bit_length()


def print_step(step: Step) -> None:
    """Print a tested commit, and its result."""
    ratio = f"{step.ratio.value:.3f} ({step.ratio.low:.3f} to {step.ratio.high:.3f})  " if step.ratio else ""
    say(f"{step.revision[:12]}  {step.answer:<8}{ratio}{step.reason or ''}")


def print_found(repository: Path, found: Bisection) -> None:
    """Print the commit, or the commits that could not be separated."""
    from harness.git import git

    change = WORDS.get(found.finding, "wrong")
    if found.change is not None:
        change += f", by {100 * (found.change.value - 1):.1f} % between the ends"
    if found.found:
        say(f"the first commit that is {change}:")
    else:
        say(f"cannot tell which of these {len(found.suspects)} commits is the first that is {change}:")
    for revision in found.suspects:
        say("  " + git(repository, "show", "--no-patch", "--format=%h %an %as %s", revision))

"""`harness baseline`: named runs, and changes since."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.compare import shown_options
from harness.cli.options import Command, load_registry, plugin_options, read_share
from harness.cli.saying import say
from harness.exit_codes import ExitCode
from harness.record.baselines import DEFAULT

if TYPE_CHECKING:
    from harness.record.run import Run

LARGE_BYTES = 2**20
SHORT = 12


def folder_option(command: Command) -> Command:
    """Add --folder."""
    return click.option(
        "--folder", default=DEFAULT, show_default=True, metavar="FOLDER", help="Where the baselines lie."
    )(command)


@click.group("baseline", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Keep runs by name, one file each, in git or as artifacts of CI, and compare later runs with them.

    Runs from different times contain the drift of the machine. Trust `gate --base REV` instead, which times both
    versions in turns.

    \b
    python -m harness run speed-short --backend im2col
    python -m harness baseline save v1.2
    python -m harness baseline compare v1.2 --threshold 10%
    """


@command.command("save")
@click.argument("name", metavar="NAME")
@click.argument("run", metavar="[RUN]", required=False)
@click.option("--suite", metavar="NAME", help="Keep only the cells of this suite.")
@click.option("--replace", "overwrite", is_flag=True, help="Overwrite a baseline of this name.")
@click.option("--incomplete", is_flag=True, help="Keep a run that did not come to its end.")
@folder_option
def save(name: str, run: str | None, suite: str | None, overwrite: bool, incomplete: bool, folder: str) -> None:
    """Store the run in directory RUN as NAME; without RUN, the latest complete one of harness-runs."""
    from harness.record.baselines import baseline_file, read_baseline, save_baseline

    baseline_file(Path(folder), name)  # before a large run is read
    found = _read(run)
    path = save_baseline(found, name, Path(folder), suite=suite, replace=overwrite, incomplete=incomplete)
    kept = read_baseline(Path(folder), name)
    size = path.stat().st_size
    say(f"{path}: {len(kept.results)} cells of {found.path}, {size / 2**10:.0f} KiB")
    wrong = sum(kept.counts[outcome] for outcome in ("failed", "error", "crashed", "timeout"))
    if wrong:
        say(f"note: {wrong} cells of it are wrong; a comparison with it cannot call them BROKEN")
    speed = dict.fromkeys(result.suite for result in kept.results if result.kind == "speed")
    if size > LARGE_BYTES and suite is None and speed and len(kept.header.suites) > len(speed):
        say(f"note: most of it are results of laws; --suite {next(iter(speed))} keeps the times alone")


@command.command("list")
@folder_option
def list_command(folder: str) -> None:
    """Show all baselines: when, which commit, which environment, and whether it is the one here."""
    from rich.markup import escape

    from harness.cli.terminal import open_console, plain_table
    from harness.record.baselines import list_baselines
    from harness.record.environment import describe_environment

    baselines = list_baselines(Path(folder))
    if not baselines:
        say(f"no baselines in '{folder}'; save one with `python -m harness baseline save NAME`")
        return
    here, table = describe_environment(), plain_table("name", "created", "commit", "environment", "cells", "same here")
    for one in baselines:
        if one.run is None:
            table.add_row(escape(one.name), f"[red]damaged:[/red] {escape(one.reason or '')}", "", "", "", "")
            continue
        header = one.run.header
        cells = str(len(one.run.results)) + ("" if one.run.complete else f" of {header.cells}, INCOMPLETE")
        table.add_row(
            escape(one.name), escape(header.created), escape(name_commit(one.run)),
            escape(str(header.environment.get("fingerprint", "unknown"))), cells, _same(header.environment, here),
        )  # fmt: skip
    open_console().print(table)


@command.command("show")
@click.argument("name", metavar="NAME")
@folder_option
def show(name: str, folder: str) -> None:
    """Show what a baseline holds: when, commit, environment, cells by outcome, and the times."""
    from harness.analysis.analyse import analyse
    from harness.cli.summary import MOST_TIMES, print_summary
    from harness.cli.terminal import open_console
    from harness.record.baselines import read_baseline

    run = read_baseline(Path(folder), name)
    console = open_console()
    for label, value in _facts(run):
        console.print(f"{label + ':':<14}{value}", markup=False, soft_wrap=True)
    console.print()
    print_summary(analyse(run))
    if len({(r.label, r.problem) for r in run.results if r.measurement is not None}) > MOST_TIMES:
        _print_all_times(run)


@command.command("compare")
@click.argument("name", metavar="NAME")
@click.argument("run", metavar="[RUN]", required=False)
@click.option("--threshold", default="10%", show_default=True, metavar="SHARE", help="Change of time that counts.")
@folder_option
@shown_options
@plugin_options
def compare(
    name: str, run: str | None, threshold: str, folder: str, everything: bool, output: str | None,
    formats: tuple[str, ...], plugins: tuple[str, ...], without: tuple[str, ...],
) -> ExitCode:  # fmt: skip
    """Compare the run in directory RUN with baseline NAME; without RUN, the latest complete one of harness-runs.

    A cell that the run lacks is MISSING. Exit code 1: something broke; 3: slower or missing; 4: no time, or nothing,
    could be compared, as where the environments differ.
    """
    from harness.cli.compare import conclude
    from harness.errors import UsageError
    from harness.record.baselines import read_baseline

    share = read_share(threshold)
    reporters = load_registry(plugins, without, runs=False).reporters_for(formats, "write_comparison")
    base = read_baseline(Path(folder), name)
    found = _read(run)
    if run is None and (found.header.created, found.header.command) == (base.header.created, base.header.command):
        raise UsageError(
            f"run: the latest complete one, '{found.path}', is the run that was saved as {name}, wanted a later one; "
            "make it, or name one"
        )
    new, others = _narrow(found, base.header.suites)
    say(f"base: {base.path} ({name_commit(base)})")
    say(f"new:  {new.path} ({name_commit(new)})")
    code = conclude(base, new, share, everything, output, reporters)
    if others:
        say(f"{others} cells of suites that the baseline does not have are left out")
    revision = name_commit(base).split(",")[0] if base.header.environment.get("git") else "REV"
    say(
        "Stored runs are not made in turns: the machine's drift lies in every ratio. To be sure: "
        f"python -m harness gate --base {revision}{''.join(f' --plugin {one}' for one in new.header.plugins)}"
    )
    return code


def _read(run: str | None) -> Run:
    from harness.record.baselines import latest_run
    from harness.record.directory import read_run

    return latest_run() if run is None else read_run(run)


def _narrow(run: Run, suites: tuple[str, ...]) -> tuple[Run, int]:
    """The run with only the cells of these suites, and how many others it has; cells without a result stay missing."""
    kept = tuple(result for result in run.results if result.suite in suites)
    others = len(run.results) - len(kept)
    return replace(run, results=kept, header=replace(run.header, cells=run.header.cells - others)), others


def name_commit(run: Run) -> str:
    """Abbreviated revision, and whether files differed from it; of two versions, those of the new one."""
    header = run.header
    git = header.environment.get("git") or {}
    new = [arm for arm in header.arms if header.base_of[arm.name] != arm.name and arm.revision]
    if header.gate is not None and header.gate.whole and new:
        git = {"revision": new[0].revision, "dirty": new[0].dirty}
    if not git.get("revision"):
        return "no commit"
    return str(git["revision"])[:SHORT] + (", with changes" if git.get("dirty") else "")


def _same(there: dict[str, Any], here: dict[str, Any]) -> str:
    """Answer "yes" if times may be compared, except for the number of threads, which a command may choose."""
    return "yes" if all(there.get(name) == here.get(name) for name in ("fingerprint", "variables")) else "no"


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    """Names and values of what is known of a baseline."""
    header, there = run.header, run.header.environment
    yield from (("created", header.created), ("commit", name_commit(run)), ("command", header.command))
    yield from (("suites", ", ".join(header.suites)), ("environment", str(there.get("fingerprint", "unknown"))))
    yield "cpu", f"{there.get('cpu', 'unknown')}, {there.get('cores', '?')} cores"
    yield "threads", str(there.get("threads", "unknown"))
    yield "python", str(there.get("python", "unknown"))
    libraries = ", ".join(f"{name} {version}" for name, version in there.get("libraries", {}).items())
    yield "libraries", libraries or "unknown"
    if not run.complete:
        yield "INCOMPLETE", f"{len(run.results)} of {header.cells} cells"


def _print_all_times(run: Run) -> None:
    """Print a row for every timed cell, if there are too many for the table of problems."""
    from rich.markup import escape

    from harness.analysis.statistics import estimate_time
    from harness.cli.terminal import open_console, plain_table

    table = plain_table("problem", "backend", "median ms", "low", "high", numbers=3)
    for result in run.results:
        if result.measurement is not None:
            time = estimate_time(result.measurement)
            numbers = (f"{ns / 1e6:.4g}" for ns in (time.value, time.low, time.high))
            table.add_row(escape(result.problem), escape(result.arm), *numbers)
    open_console().print(table)

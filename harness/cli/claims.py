"""`harness claims`: write a file of promises and known faults from a run, and check one."""

from __future__ import annotations

import datetime
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import load_registry, plugin_options, problem_options, read_problems
from harness.cli.saying import say
from harness.plan.claims.rows import FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.plan.claims.rows import Claims
    from harness.plan.suite import Depth, NamedProblem
    from harness.plugins.manager import Registry
    from harness.record.run import Run

MOST_SHOWN = 8  # rows in a message
DAYS = 180  # from the run to the last day of a fault that it shows


@click.group("claims", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Say in a file, kept in git, what a backend supports and what is known to be wrong with it.

    \b
    python -m harness claims observe harness-runs/20260101-120000-suite
    python -m harness run correctness --plugin ./mine.py --backend mine --claims harness-claims.toml
    """


@command.command("observe")
@click.argument("run", metavar="RUN")
@click.option("--output", default=FILE, show_default=True, metavar="FILE", help="File to write; - for the terminal.")
@click.option("--backend", "backends", multiple=True, metavar="NAME", help="Only this backend; may be repeated.")
@click.option("--reason", metavar="TEXT", help="Why the wrong cells are accepted; wanted where there are some.")
@click.option("--link", metavar="URL", help="Address of the report about them; wanted where there are some.")
@click.option("--expires", metavar="DATE", help=f"Last day of their rows.  [default: {DAYS} days after the run]")
@click.option("--replace", "overwrite", is_flag=True, help="Overwrite the file; rows of faults that it has are kept.")
def observe(
    run: str, output: str, backends: tuple[str, ...], reason: str | None, link: str | None, expires: str | None,
    overwrite: bool,
) -> None:  # fmt: skip
    """Write the claims that the run in directory RUN shows: what passed as promises, what is wrong as known faults.

    The text of one run is always the same. With --replace, rows of known faults keep their reason, link and last day.
    """
    from harness.analysis.claims.observe import observe as find_claims
    from harness.analysis.claims.write import write_claims
    from harness.errors import UsageError
    from harness.plan.claims.read import build_claims, read_claims
    from harness.record.directory import read_run

    path, found = Path(output), read_run(run)
    _check_run(found, backends)
    exists = output != "-" and path.exists()
    if exists and not overwrite:
        raise UsageError(f"claims exist: got '{output}'; overwrite them with --replace, or name another --output")
    known = read_claims(path).faults if exists else ()
    last = _read_day(found, expires)
    observed = find_claims(found, known, (reason or "").strip(), (link or "").strip(), last, backends)
    new = [seen for seen in observed.faults if not seen.kept]
    if new and not (reason and reason.strip() and link and link.strip()):
        raise UsageError(
            f"claims: '{run}' has {sum(seen.cells for seen in new)} wrong cells that no row knows, wanted --reason and "
            "--link for them; edit single rows afterwards"
        )
    if not observed.groups and not observed.faults:
        raise UsageError(f"claims: '{run}' shows no support and no fault, wanted a run in which a backend was asked")
    text = write_claims(found, observed)
    build_claims(output, tomllib.loads(text))  # nothing is written that could not be read
    if output == "-":
        for line in text.splitlines():
            say(line)
        return
    _write(path, text)
    cells = sum(seen.cells for seen in observed.faults)
    say(f"{output}: {len(observed.groups)} promises, {len(observed.faults)} known faults ({cells} cells)")


def _check_run(run: Run, backends: Sequence[str]) -> None:
    """Raise UsageError for a run that is incomplete, or for a backend that it does not have."""
    from harness.analysis.descriptions import describe_incomplete
    from harness.errors import UsageError, unknown

    if incomplete := describe_incomplete(run):
        raise UsageError(f"claims: got '{run.path}', which is {incomplete}; wanted a complete run")
    for name in backends:
        if name not in run.header.backends:
            raise unknown("backend", name, run.header.backends, f"python -m harness report {run.path}")


def _read_day(run: Run, text: str | None) -> datetime.date:
    """Return the last day of new rows: the given one, or DAYS after the run. Raises UsageError."""
    from harness.analysis.claims.judge import read_day
    from harness.errors import UsageError

    if text is None:
        begun = read_day(run.header)
        if begun is None:
            raise UsageError(f"claims: '{run.path}' does not say when it began, wanted --expires DATE")
        return begun + datetime.timedelta(days=DAYS)
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"expires: got '{text}', wanted a date such as 2027-03-31") from None


def _write(path: Path, text: str) -> None:
    from harness.errors import UnwritableError

    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise UnwritableError(f"claims cannot be written: got '{path}' ({error.strerror}), see --output") from None
    finally:
        part.unlink(missing_ok=True)


@command.command("check")
@click.argument("file", metavar="FILE")
@click.option(
    "--suite", "suites", multiple=True, metavar="NAME", help="Hold rows against this suite; may be repeated.  "
    "[default: suite]",
)  # fmt: skip
@click.option(
    "--depth", type=click.Choice(["quick", "default", "full"]), default="default", show_default=True,
    help="How much the suites ask, as in `run`.",
)  # fmt: skip
@problem_options
@plugin_options
def check(
    file: str, suites: tuple[str, ...], depth: Depth, problems: tuple[str, ...], problem_files: tuple[str, ...],
    plugins: tuple[str, ...], without: tuple[str, ...],
) -> None:  # fmt: skip
    """Check the claims in FILE without a run: every row, name and date, and whether it matches any cell.

    Rows that match no cell of the suites are stale, and rows after their last day excuse nothing: both are refused.

    \b
    python -m harness claims check harness-claims.toml --plugin ./mine.py
    """
    from harness.errors import UsageError
    from harness.plan.claims.check import load_claims

    registry = load_registry(plugins, without, runs=False)
    claims = load_claims(file, registry)
    given = read_problems(problems, problem_files, registry.networks)
    useless = [*_list_stale(claims, registry, suites or ("suite",), depth, given), *_list_expired(claims)]
    if useless:
        more = f"; and {len(useless) - MOST_SHOWN} more" if len(useless) > MOST_SHOWN else ""
        raise UsageError(f"{file}: {'; '.join(useless[:MOST_SHOWN])}{more}; remove or mend them")
    say(f"{file}: {len(claims.promises)} promises and {len(claims.faults)} known faults can be used")


def _list_stale(
    claims: Claims, registry: Registry, suites: Sequence[str], depth: Depth, given: Sequence[NamedProblem]
) -> Iterator[str]:
    from harness.machine.system import read_flags
    from harness.plan.arm import parse_arms
    from harness.plan.claims.check import find_stale
    from harness.plan.planner import plan_run

    arms = parse_arms(dict.fromkeys(scope.backend for _, scope in claims.scopes))
    plan = plan_run(registry, suites, problems=given, arms=arms, depth=depth, flags=read_flags())
    for name in find_stale(claims, plan.cells):
        yield f"{name} is stale, as it matches no cell of {', '.join(suites)}"


def _list_expired(claims: Claims) -> Iterator[str]:
    today = datetime.date.today()
    for number, fault in enumerate(claims.faults, 1):
        if fault.is_expired(today):
            yield f"fault {number} has expired, {fault.expires} was its last day"

"""`harness bless`: accept a known change, with the reason, so that it no longer fails a build."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import read_cell
from harness.cli.saying import say
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.analysis.gate_report import Compared
    from harness.gating.blessings import Blessing
    from harness.record.run import ArmRecord, Run

NAMES = "SLOWER, MORE, MISSING, MORE MEMORY and LESS PRECISE"


@click.command("bless")
@click.argument("cell", metavar="[CELL]", required=False)
@click.option("--reason", metavar="TEXT", help="Why the change is accepted; wanted unless --list or --remove.")
@click.option("--run", "run", metavar="RUN", help="Run that showed it.  [default: the latest of gate or versus]")
@click.option("--commit", metavar="REV", help="Commit that made the change.  [default: the new version's]")
@click.option("--suite", metavar="NAME", help="Suite that showed it, where several timed the cell.")
@click.option("--list", "listing", is_flag=True, help="Show the blessings, and whether each still holds.")
@click.option("--base", metavar="REV", help="With --list: revision that would be compared with.")
@click.option("--remove", is_flag=True, help="Take the blessings of CELL away, or with --commit that one.")
def command(
    cell: str | None, reason: str | None, run: str | None, commit: str | None, suite: str | None, listing: bool,
    base: str | None, remove: bool,
) -> None:  # fmt: skip
    """Accept that CELL is SLOWER, MORE, MISSING, MORE MEMORY or LESS PRECISE; CELL is 'BACKEND PROBLEM LINE'.

    CELL is one argument. What it accepts, with its value, comes from the run. The blessing goes into
    harness-blessings.json at the top of the repository, to be committed. 'BACKEND OPERATOR' accepts that the backend
    does not offer an operator any more. A blessing holds for comparisons whose head has the commit and whose base has
    not, as long as the cell does not become worse still. Wrong results cannot be blessed.

    \b
    python -m harness bless 'im2col conv x=8x64x56x56 w=64x64x3x3 pad=1' --reason 'pays for the padding fix'
    python -m harness bless --list --base main
    """
    from harness.gating.blessings import FILE, add_blessing

    repository = _repository()
    if listing:
        _list(repository, base)
        return
    if cell is None:
        raise UsageError("bless: got no cell, wanted 'BACKEND PROBLEM LINE', or --list")
    name, problem = read_blessed(cell)
    if remove:
        _remove(repository, name, problem, commit)
        return
    if reason is None or not reason.strip():
        raise UsageError("bless: got no reason, wanted --reason with why the change is accepted")
    for blessing in _make(repository, _read(run), name, problem, " ".join(reason.split()), commit, suite):
        add_blessing(repository, blessing)
        say(f"blessed: {_describe(blessing)}")
    say(f"commit {repository / FILE}")


def read_blessed(cell: str) -> tuple[str, str]:
    """Parse a cell, or a backend and an operator that it no longer offers. Raises UsageError."""
    from harness.problems.operator import Operator

    backend, _, operator = cell.strip().partition(" ")
    return (backend, operator) if operator in Operator.__members__ else read_cell(cell)


def _repository() -> Path:
    from harness.git import find_repository

    found = find_repository(())
    if found is None:
        raise UsageError(f"bless: '{Path.cwd()}' is in no git repository, wanted a command inside the one of the code")
    return found


def _read(run: str | None) -> Run:
    from harness.record.baselines import latest_run
    from harness.record.directory import read_run

    found = latest_run(arms=True) if run is None else read_run(run)
    if not found.header.arms:
        raise UsageError(f"run: '{found.path}' compares no arms, wanted one made by `gate` or `versus`")
    return found


def _make(
    repository: Path, run: Run, name: str, problem: str, reason: str, commit: str | None, suite: str | None
) -> list[Blessing]:
    """Blessings of a cell, one for each reason why it fails, from the results of a run."""
    from harness.gating.blessings import Blessing, ratio_of

    arms = {arm.name: arm for arm in run.header.arms}
    cells = _find_cells(run, name, problem, suite)
    new = arms[cells[0].new.arm]
    found = _find_commit(repository, run, arms[run.header.base_of[new.name]], new, commit)
    seen = dict.fromkeys(one for cell in cells for one in cell.seen)
    return [
        Blessing(
            backend=new.backend, problem=problem, verdict=one.verdict, ratio=ratio_of(one.ratio), amounts=one.amounts,
            law=one.law, commit=found, reason=reason,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            fingerprint=str(run.header.environment.get("fingerprint", "")),
        )
        for one in seen
    ]  # fmt: skip


def _find_cells(run: Run, name: str, problem: str, suite: str | None) -> list[Compared]:
    """The failing cells of a problem in one arm and one suite, or all MISSING ones of an operator.

    name: of the backend or, if several arms have it, of the arm.
    """
    from harness.analysis.arm_comparison import compare_to_base
    from harness.analysis.gate_report import judge_gate
    from harness.gating.blessings import covers
    from harness.record.run import WRONG

    judged = sorted(judge_gate(compare_to_base(run)).cells, key=lambda cell: cell.new.cell)
    cells = [cell for cell in judged if name in (cell.new.arm, cell.backend)]
    if not cells:
        names = ", ".join(run.header.backends)
        raise UsageError(f"backend: got '{name}', of which '{run.path}' compared nothing; wanted one of {names}")
    mine = [cell for cell in cells if covers(problem, cell.new.problem) and suite in (None, cell.new.suite)]
    if missing := [cell for cell in mine if cell.finding == "MISSING"]:
        return missing[:1]
    mine = [cell for cell in mine if cell.new.problem == problem]
    if not mine:
        raise UsageError(
            f"cell: '{run.path}' did not compare '{problem}' on {name}{f' in {suite}' if suite else ''}; "
            "`python -m harness report` of it lists the cells"
        )
    failing = [cell for cell in mine if cell.seen]
    if not failing:
        wrong = next((cell.new.outcome for cell in mine if cell.new.outcome in WRONG), None)
        if wrong:
            raise UsageError(f"cell is wrong ({wrong}): only {NAMES} can be blessed; mend it")
        raise UsageError(f"cell is {mine[0].finding} in '{run.path}': only {NAMES} need a blessing")
    places = dict.fromkeys(f"{cell.new.arm} in {cell.new.suite}" for cell in failing)
    if len(places) > 1:
        raise UsageError(f"cell: got '{name}', but there are {', '.join(places)}; name the arm instead, or the --suite")
    return failing


def _find_commit(repository: Path, run: Run, base: ArmRecord, new: ArmRecord, commit: str | None) -> str:
    """Full hash of the commit that made the change; never one that the base already contains."""
    from harness.gating.blessings import is_ancestor, knows_commit
    from harness.git import resolve_revision

    if commit is None and new.dirty:
        raise UsageError(
            f"commit: '{new.name}' of '{run.path}' was timed with changes that are in no commit; "
            "commit them, and name that with --commit"
        )
    found = commit or new.revision
    if not found:
        raise UsageError(f"commit: '{new.name}' of '{run.path}' does not say its revision; name one with --commit")
    full = resolve_revision(repository, found)
    if base.revision and knows_commit(repository, base.revision) and is_ancestor(repository, full, base.revision):
        raise UsageError(
            f"commit: got {full[:12]}, which is part of the base {base.revision[:12]} already and cannot have made "
            "the change; name the one that did with --commit"
        )
    return full


def _remove(repository: Path, name: str, problem: str, commit: str | None) -> None:
    from harness.gating.blessings import read_blessings, remove_blessings
    from harness.git import resolve_revision

    if commit:  # commits that the repository has lost, as after a rebase, must be removable too
        known = [one.commit for one in read_blessings(repository) if one.commit.startswith(commit)]
        commit = known[0] if known else resolve_revision(repository, commit)
    removed = remove_blessings(repository, name, problem, commit or "")
    if not removed:
        raise UsageError(f"no blessing: got '{name} {problem}', see `python -m harness bless --list`")
    for one in removed:
        say(f"removed: {_describe(one)}")


def _list(repository: Path, base: str | None) -> None:
    """Print every blessing, and whether it holds between base and the checkout."""
    from rich.markup import escape

    from harness.cli.terminal import open_console, plain_table
    from harness.gating.blessings import FILE, SHORT, find_state, read_blessings
    from harness.git import resolve_revision

    blessings = read_blessings(repository)
    if not blessings:
        say(f"no blessings in '{repository / FILE}'")
        return
    head, first = resolve_revision(repository, "HEAD"), resolve_revision(repository, base) if base else ""
    table = plain_table("state", "verdict", "backend", "problem", "value", "commit", "created", "reason")
    for one in blessings:
        cells = (one.backend, one.problem, _describe_value(one), one.commit[:SHORT], one.created, one.reason)
        table.add_row(find_state(one, first, head, repository), one.verdict, *map(escape, cells))
    open_console().print(table)
    if not base:
        say("A blessing holds against any base that lacks its commit; --base REV says which are spent there.")


def _describe(one: Blessing) -> str:
    value = f" {value}" if (value := _describe_value(one)) else ""
    return f"{one.backend} {one.problem}: {one.verdict}{value} at {one.commit[:12]}: {one.reason}"


def _describe_value(one: Blessing) -> str:
    """The accepted value in words; empty for MISSING."""
    from harness.analysis.excess import describe_amount

    if one.ratio is not None:
        digits = 4 if one.verdict == "MORE" else 3
        value, low, high = (f"{number:.{digits}f}" for number in (one.ratio.value, one.ratio.low, one.ratio.high))
        return f"{value} ({low} to {high})"
    said = "; ".join(map(describe_amount, one.amounts))
    return f"{said} ({one.law})" if one.law else said

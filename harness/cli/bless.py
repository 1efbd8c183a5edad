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
    from harness.analysis.arm_comparison import Row
    from harness.gating.blessings import Blessing
    from harness.record.run import ArmRecord, Run


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
    """Accept that CELL is SLOWER or MISSING; CELL is 'BACKEND PROBLEM LINE' in one argument.

    Verdict and ratio come from the run. The blessing goes into harness-blessings.json at the top of the repository, to
    be committed. 'BACKEND OPERATOR' accepts that the backend does not offer an operator any more. A blessing holds for
    comparisons whose head has the commit and whose base has not, as long as the cell does not become slower still.
    Wrong results cannot be blessed.

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
    blessing = _make(repository, _read(run), name, problem, " ".join(reason.split()), commit, suite)
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
) -> Blessing:
    """Blessing of a cell, from the results of a run."""
    from harness.gating.blessings import Blessing, ratio_of

    arms, ratio = {arm.name: arm for arm in run.header.arms}, None
    missing = _find_missing(run, name, problem)
    if missing is not None:
        new = arms[missing]
    else:
        row = _find_row(run, name, problem, suite)
        if row.judgement.verdict != "SLOWER":
            raise UsageError(
                f"cell is {row.judgement.verdict} in '{run.path}': only SLOWER and MISSING need a blessing"
            )
        new, ratio = arms[row.new.arm], ratio_of(row.judgement.ratio)
    base = arms[run.header.base_of[new.name]]
    return Blessing(
        backend=new.backend, problem=problem, verdict="MISSING" if missing is not None else "SLOWER",
        ratio=ratio, commit=_find_commit(repository, run, base, new, commit), reason=reason,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        fingerprint=str(run.header.environment.get("fingerprint", "")),
    )  # fmt: skip


def _find_missing(run: Run, name: str, problem: str) -> str | None:
    """The new arm that no longer supports a problem, or any problem of an operator; None if there is none."""
    from harness.analysis.analyse import analyse
    from harness.gating.blessings import covers

    report = analyse(run).gate_report
    for cell in report.cells if report is not None else ():
        named = name in (cell.backend, cell.new.arm)
        if named and cell.finding == "MISSING" and covers(problem, cell.new.problem):
            return cell.new.arm
    return None


def _find_row(run: Run, name: str, problem: str, suite: str | None) -> Row:
    """The row of a cell, named by its backend or, if several arms have it, by its arm."""
    from harness.analysis.arm_comparison import compare_to_base
    from harness.record.run import WRONG

    rows = [row for row in compare_to_base(run).rows if name in (row.new.arm, row.new.backend)]
    if not rows:
        names = ", ".join(run.header.backends)
        raise UsageError(f"backend: got '{name}', of which '{run.path}' compared nothing; wanted one of {names}")
    rows = [row for row in rows if row.new.problem == problem and suite in (None, row.new.suite)]
    if not rows:
        raise UsageError(
            f"cell: '{run.path}' did not time '{problem}' on {name}{f' in {suite}' if suite else ''}; "
            "`python -m harness report` of it lists the cells"
        )
    rows = [row for row in rows if row.judgement.verdict in ("SLOWER", "MISSING")] or rows[:1]
    if len(rows) > 1:
        found = ", ".join(f"{row.new.arm} in {row.new.suite}" for row in rows)
        raise UsageError(f"cell: got '{name}', but there are {found}; name the arm instead, or the --suite")
    if rows[0].new.outcome in WRONG:
        raise UsageError(f"cell is wrong ({rows[0].new.outcome}): only SLOWER and MISSING can be blessed; mend it")
    return rows[0]


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
    table = plain_table("state", "verdict", "backend", "problem", "ratio", "commit", "created", "reason")
    for one in blessings:
        ratio = f"{one.ratio.value:.3f} ({one.ratio.low:.3f} to {one.ratio.high:.3f})" if one.ratio else ""
        cells = (one.backend, one.problem, ratio, one.commit[:SHORT], one.created, one.reason)
        table.add_row(find_state(one, first, head, repository), one.verdict, *map(escape, cells))
    open_console().print(table)
    if not base:
        say("A blessing holds against any base that lacks its commit; --base REV says which are spent there.")


def _describe(one: Blessing) -> str:
    ratio = f" {one.ratio.value:.3f} ({one.ratio.low:.3f} to {one.ratio.high:.3f})" if one.ratio else ""
    return f"{one.backend} {one.problem}: {one.verdict}{ratio} at {one.commit[:12]}: {one.reason}"

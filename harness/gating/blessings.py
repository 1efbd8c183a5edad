"""Blessings: accepted changes of cells, each with the reason, in a file under version control.

A blessing names the commit that made the change. It accepts the verdict of a comparison if that commit lies between
base and head, so that it expires once the change is part of the base, and if the change is no larger than the accepted
one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import msgspec

from harness.analysis.counted import CountRatio
from harness.analysis.excess import BITS, NOISE, describe_amount
from harness.analysis.run_comparison import Change, Comparison
from harness.analysis.seen import VERDICTS, Amount, Seen, Verdict
from harness.analysis.statistics import Estimate
from harness.errors import DAMAGED, UnwritableError, UsageError
from harness.git import GitError, git
from harness.machine.files import read_file
from harness.record.run import Run

FILE = "harness-blessings.json"
MARGIN = 0.01  # beyond the accepted ratio or growth; what is surely larger than that is refused
MARGIN_OF_COUNTS = 0.001
SHORT = 12  # digits of a commit in messages

State = Literal["holds", "spent", "not in head", "unknown commit"]


class Ratio(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """new / base with its 95 % interval, as accepted."""

    value: float
    low: float
    high: float


class Blessing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An accepted change of a cell.

    problem: a problem line, or an operator for all of its problems.
    ratio: of times or instructions; None for other verdicts.
    amounts: of memory or bits; empty for other verdicts. law: that lost bits.
    commit: full hash of the commit that made the change.
    fingerprint: of the environment of the run that showed it.
    Unknown fields are an error, since rewriting the file would lose them.
    """

    backend: str
    problem: str
    verdict: Verdict
    ratio: Ratio | None = None
    amounts: tuple[Amount, ...] = ()
    law: str = ""
    commit: str
    reason: str
    created: str
    fingerprint: str = ""


def read_blessings(folder: Path) -> tuple[Blessing, ...]:
    """Return the blessings in a repository's top folder; empty without a file. Raises UsageError for a damaged file."""
    path = folder / FILE
    try:
        return tuple(msgspec.json.decode(read_file(path), type=list[Blessing]))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise UsageError(f"blessings cannot be read: got '{path}' ({error.strerror})") from None
    except DAMAGED as error:
        raise UsageError(
            f"blessings are damaged: '{path}' ({error}), wanted a list as `python -m harness bless` writes it; "
            "mend it, or take it from an earlier commit"
        ) from None


def change_blessings(folder: Path, change: Callable[[tuple[Blessing, ...]], Iterable[Blessing]]) -> None:
    """Read, change and write the blessings under a lock. Raises UsageError, with the file unchanged."""
    from filelock import FileLock

    path = folder / FILE
    try:
        lock = Path(git(folder, "rev-parse", "--absolute-git-dir"), f"{FILE}.lock")  # outside of the working tree
        with FileLock(lock):
            found = sorted(change(read_blessings(folder)), key=_order)
            part = path.with_name(f".{FILE}.{os.getpid()}.part")
            try:
                part.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise UnwritableError(f"blessings cannot be written: got '{path}' ({error.strerror})") from None


def add_blessing(folder: Path, blessing: Blessing) -> None:
    """Store a blessing; it replaces one of the same cell, commit, verdict and law."""
    change_blessings(folder, lambda known: [*(one for one in known if _order(one) != _order(blessing)), blessing])


def _order(one: Blessing) -> tuple[str, ...]:
    return one.backend, one.problem, one.commit, one.verdict, one.law


def remove_blessings(folder: Path, backend: str, problem: str, commit: str = "") -> tuple[Blessing, ...]:
    """Remove the blessings of a cell, or only that of `commit`; return the removed ones.

    folder: the repository's top folder.
    backend, problem: of the cell.
    commit: full hash; "" for all.
    """
    removed: list[Blessing] = []

    def keep(known: tuple[Blessing, ...]) -> list[Blessing]:
        removed[:] = [
            one for one in known
            if (one.backend, one.problem) == (backend, problem) and commit in ("", one.commit)
        ]  # fmt: skip
        return [one for one in known if one not in removed]

    change_blessings(folder, keep)
    return tuple(removed)


def find_blessing(
    blessings: Sequence[Blessing], backend: str, problem: str, seen: Seen, base: str, head: str,
    repository: Path,
) -> tuple[Blessing | None, str | None]:  # fmt: skip
    """Return the blessing that accepts a verdict of base..head, or None and why the cell's newest one does not.

    backend, problem: of the cell.
    base, head: revisions; "" if a side has none.
    repository: its top folder.
    The reason is None if the verdict needs no blessing, or the cell has none.
    blessings: all that are known; one of the verdict counts before others. seen: the verdict with its value.
    """
    if seen.verdict not in VERDICTS:
        return None, None
    why = None
    mine = [one for one in blessings if one.backend == backend and covers(one.problem, problem)]
    for one in sorted(mine, key=lambda one: (_is_of(one, seen), one.created), reverse=True):
        refusal = _refuse(one, seen, base, head, repository)
        if not refusal:
            return one, None
        why = why or f"its blessing at {one.commit[:SHORT]} does not accept it: {refusal}"
    return None, why


def covers(blessed: str, problem: str) -> bool:
    """Return True if a blessed problem line or operator includes a problem."""
    return problem == blessed or problem.partition(" ")[0] == blessed


def _is_of(one: Blessing, seen: Seen) -> bool:
    return (one.verdict, one.law) == (seen.verdict, seen.law if one.verdict == "LESS PRECISE" else "")


def _refuse(one: Blessing, seen: Seen, base: str, head: str, repository: Path) -> str | None:
    """Return why a blessing does not accept a verdict; None if it does."""
    if not base or not head:
        return f"the {'new' if base else 'base'} side does not say its revision"
    state = find_state(one, base, head, repository)
    if state == "spent":
        return "it is spent, its commit is part of the base"
    if state == "not in head":
        return f"its commit is not part of {head[:SHORT]}"
    if state == "unknown commit":
        return "the repository does not know all of the commits; is the clone shallow?"
    if not _is_of(one, seen):
        accepted, found = (f"{verdict}{f' of {law}' if law else ''}" for verdict, law in (
            (one.verdict, one.law), (seen.verdict, seen.law)
        ))  # fmt: skip
        return f"it accepts {accepted}, and the cell is {found}"
    return _outgrow(one.ratio, seen) if one.ratio is not None else _exceed(one.amounts, seen.amounts)


def _outgrow(accepted: Ratio, seen: Seen) -> str | None:
    """Return why a ratio is not accepted; None if it is."""
    ratio, margin = seen.ratio, MARGIN_OF_COUNTS if seen.verdict == "MORE" else MARGIN
    if ratio is None or ratio.low <= accepted.value * (1 + margin):
        return None
    digits = 4 if seen.verdict == "MORE" else 3
    value, low, high, was = (f"{one:.{digits}f}" for one in (ratio.value, ratio.low, ratio.high, accepted.value))
    return f"the cell changed again, to {value} ({low} to {high}); accepted was {was}"


def _exceed(accepted: Sequence[Amount], seen: Sequence[Amount]) -> str | None:
    """Return which amount is not accepted; None if all are.

    Memory is compared by its growth, as processes differ in what they need by themselves; bits by what is left of them.
    """
    known = {one.what: one for one in accepted}
    for one in seen:
        if (was := known.get(one.what)) is None:
            return f"it accepts no {one.what}, and the cell has {describe_amount(one)}"
        if one.what == BITS:
            more = was.new - one.new
        else:
            more = (one.new - (one.base or 0)) - (was.new - (was.base or 0)) * (1 + MARGIN)
        if more > NOISE[one.what]:
            return f"the cell changed again, to {describe_amount(one)}; accepted was {describe_amount(was)}"
    return None


def find_state(one: Blessing, base: str, head: str, repository: Path) -> State:
    """Return the state of a blessing between two revisions; without a base, whether its commit is part of the head.

    base: revision; "" for none.
    head: revision.
    repository: its top folder.
    """
    if not all(knows_commit(repository, name) for name in (one.commit, head, *([base] if base else []))):
        return "unknown commit"
    if not is_ancestor(repository, one.commit, head):
        return "not in head"
    return "spent" if base and is_ancestor(repository, one.commit, base) else "holds"


def knows_commit(repository: Path, name: str) -> bool:
    """Return True if a repository contains a commit."""
    try:
        git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except GitError:
        return False
    return True


def is_ancestor(repository: Path, one: str, other: str) -> bool:
    """Return True if `one` equals `other` or is its ancestor; both must be known.

    repository: its top folder.
    one, other: commits.
    """
    try:
        git(repository, "merge-base", "--is-ancestor", one, other)
    except GitError:
        return False
    return True


def accept_changes(comparison: Comparison, blessings: Sequence[Blessing], repository: Path) -> Comparison:
    """Return the comparison with BLESSED for timed cells whose change is accepted, by the revisions of both runs.

    repository: its top folder.
    blessings: all that are known.
    """
    if not blessings:
        return comparison
    changes = tuple(_accept(change, comparison, blessings, repository) for change in comparison.changes)
    return replace(comparison, changes=changes)


def _accept(change: Change, comparison: Comparison, blessings: Sequence[Blessing], repository: Path) -> Change:
    if change.kind != "speed" or change.verdict not in ("SLOWER", "MISSING"):
        return change
    seen = Seen(verdict="SLOWER" if change.verdict == "SLOWER" else "MISSING", ratio=change.ratio)
    base, head = (revision_of(run, change.arm) for run in (comparison.base, comparison.new))
    found, why = find_blessing(blessings, change.backend, change.problem, seen, base, head, repository)
    if found is not None:
        return replace(change, verdict="BLESSED", reason=describe_blessing(found))
    return replace(change, reason="; ".join(part for part in (change.reason, why) if part) or None)


def describe_blessing(one: Blessing) -> str:
    """Return the accepted verdict, its commit and the reason in words."""
    return f"{one.verdict} accepted at {one.commit[:SHORT]}: {one.reason}"


def revision_of(run: Run, arm: str) -> str:
    """Return the revision of an arm or backend of a run; "" if the run did not record it."""
    own = next((one.revision for one in run.header.arms if one.name == arm), "")
    found: object = own or run.header.environment.get("git", {}).get("revision", "")
    return str(found)


def ratio_of(estimate: Estimate | CountRatio | None) -> Ratio | None:
    """Return a ratio in the form in which it is stored."""
    return None if estimate is None else Ratio(value=estimate.value, low=estimate.low, high=estimate.high)

"""Find the commit that made a cell slower or wrong, by binary search with comparisons that may be undecided.

registry: backends, suites and laws. gate: settings of the comparison. watch: receives progress.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from harness.analysis.analyse import analyse
from harness.analysis.gate_report import Compared, Finding
from harness.analysis.outcomes import BEYOND
from harness.analysis.statistics import Estimate
from harness.errors import UsageError
from harness.execution.progress import Watch
from harness.gating.versions import Wanted, compare_versions
from harness.git import GitError, git
from harness.plan.gate import Gate
from harness.plugins.manager import Registry

Answer = Literal["good", "bad", "unclear"]
WORSE: tuple[Finding, ...] = ("SLOWER", "BROKEN", "MISSING", "MORE MEMORY", "LESS PRECISE")
MOST_DELTA = 0.99  # the largest change of time that can be asked for; it stands where times do not matter, too
MORE = 2.0  # factor on the budget for a commit that the first comparison left undecided


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One tested commit and its result.

    ratio: new / good end, if the cell was timed.
    """

    revision: str
    answer: Answer
    ratio: Estimate | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bisection:
    """Result of a search: `suspects` is one commit, or those between which nothing could be decided, oldest first.

    change: how much slower the bad end is than the good one; None if something else is worse.
    finding: what the bad end is.
    """

    suspects: tuple[str, ...]
    steps: tuple[Step, ...]
    change: Estimate | None = None
    finding: Finding = "BROKEN"

    @property
    def found(self) -> bool:
        """True if a single commit remains."""
        return len(self.suspects) == 1


class NothingToFindError(Exception):
    """The ends do not differ, or a difference could not be shown (`unclear`)."""

    def __init__(self, reason: str, *, unclear: bool) -> None:
        super().__init__(reason)
        self.unclear = unclear


def list_commits(repository: Path, good: str, bad: str) -> list[str]:
    """Return the commits after `good` up to `bad`, oldest first, a merge as one. Raises UsageError if there are none.

    repository: its top folder.
    good, bad: revisions; `good` must be an ancestor of `bad`, else UsageError.
    """
    try:
        git(repository, "merge-base", "--is-ancestor", good, bad)
    except GitError:
        raise UsageError(f"good: got {good[:12]}, wanted an ancestor of the bad revision {bad[:12]}") from None
    found = git(repository, "rev-list", "--first-parent", "--reverse", f"{good}..{bad}").splitlines()
    if not found:
        raise UsageError(f"good and bad: got the same commit {good[:12]} twice, wanted an older and a newer one")
    return found


def bisect(commits: Sequence[str], test: Callable[[str], Step]) -> Bisection:
    """Search the commits by bisection. The last one is known to be bad; commits that cannot be judged are skipped."""
    low, high, steps, unclear = -1, len(commits) - 1, [], set()
    while left := [at for at in range(low + 1, high) if at not in unclear]:
        at = min(left, key=lambda one: abs(one - (low + high) / 2))
        step = test(commits[at])
        steps.append(step)
        if step.answer == "good":
            low = at
        elif step.answer == "bad":
            high = at
        else:
            unclear.add(at)
    return Bisection(suspects=tuple(commits[low + 1 : high + 1]), steps=tuple(steps))


def find_change(
    registry: Registry, wanted: Wanted, gate: Gate, watch: Watch, commits: Sequence[str], tell: Callable[[Step], None]
) -> Bisection:
    """Show that the last commit is worse than `wanted.base`, then find the commit that made it so.

    wanted: a comparison of one cell.
    commits: candidates, oldest first; the last one is the bad end.
    tell: receives each step.
    A commit counts as bad if it is closer to the bad end: beyond the square root of the total change, or twice as slow.
    Raises NothingToFindError if the ends do not surely differ, UsageError if the bad end cannot run.
    """
    ends = _compare(registry, wanted, gate, watch, commits[-1])
    if ends.new.outcome == "unavailable":
        raise UsageError(
            f"bad: got {commits[-1][:12]}, which cannot run ({ends.new.reason or ends.new.outcome}), "
            "wanted one that can be asked"
        )
    if ends.finding not in WORSE:
        why = ends.reason or ends.new.reason
        seen = ends.finding + (f", {why}" if why else "")
        raise NothingToFindError(seen, unclear=ends.finding == "INCONCLUSIVE")
    change = ends.judgement.ratio if ends.finding == "SLOWER" and ends.judgement is not None else None
    tell(Step(revision=commits[-1], answer="bad", ratio=change, reason=ends.reason))
    gate = find_threshold(gate, ends)

    def test(revision: str) -> Step:
        step = try_commit(registry, wanted, gate, watch, revision, ends.finding)
        if step.answer == "unclear" and step.ratio is not None:  # undecided times: more passes may decide
            tell(step)
            more = replace(gate, budget_s=MORE * gate.budget_s)
            step = try_commit(registry, wanted, more, watch, revision, ends.finding)
        tell(step)
        return step

    return replace(bisect(commits, test), change=change, finding=ends.finding)


def find_threshold(gate: Gate, ends: Compared) -> Gate:
    """Return the gate that says which end a commit is closer to.

    gate: that compared the ends. ends: what it found. The limit of a cell, if it has one, is about the whole change;
    where memory or bits are worse, times must not decide.
    """
    limits = tuple(replace(limit, delta=None) for limit in gate.limits)
    if ends.finding == "SLOWER" and ends.judgement is not None and ends.judgement.ratio is not None:
        return replace(gate, delta=min(math.sqrt(ends.judgement.ratio.value) - 1, MOST_DELTA), limits=limits)
    return replace(gate, delta=MOST_DELTA, limits=limits) if ends.finding in BEYOND else gate


def try_commit(registry: Registry, wanted: Wanted, gate: Gate, watch: Watch, revision: str, worse: Finding) -> Step:
    """Compare one commit with the good end; a commit that cannot be prepared is unclear, with the reason.

    wanted: a comparison of one cell. revision: the commit. worse: what the bad end is.
    """
    try:
        found = _compare(registry, wanted, gate, watch, revision)
    except UsageError as error:
        return Step(revision=revision, answer="unclear", reason=str(error))
    return Step(
        revision=revision, answer=read_answer(found, worse), reason=found.reason,
        ratio=found.judgement.ratio if found.judgement is not None else None,
    )  # fmt: skip


def read_answer(found: Compared, worse: Finding) -> Answer:
    """Return what a finding says about a commit.

    found: compared with the good end. worse: what the bad end is; if it is slower, a cell without a time is unclear,
    and if it is beyond a limit, so is all that is not shown to be within.
    """
    if worse == "SLOWER":
        answers: dict[str, Answer] = {"SLOWER": "bad", "SAME": "good", "FASTER": "good"}
        return answers.get(found.finding, "unclear")
    if worse in BEYOND:
        within = found.finding in ("SLOWER", "SAME", "FASTER", "UNCHANGED") and found.new.outcome == "passed"
        return "bad" if found.finding == worse else "good" if within else "unclear"
    if found.new.outcome == "unavailable":  # it does not load, which says nothing about the change
        return "unclear"
    return "bad" if found.finding in ("BROKEN", "MISSING") else "good" if found.new.outcome == "passed" else "unclear"


def _compare(registry: Registry, wanted: Wanted, gate: Gate, watch: Watch, revision: str) -> Compared:
    run = compare_versions(
        registry, replace(wanted, head=revision, output=_folder(wanted, revision)), gate, watch, gate.budget_s
    )
    report = analyse(run).gate_report
    assert report is not None
    return report.cells[0]


def _folder(wanted: Wanted, revision: str) -> str | None:
    """Return a new output folder for a comparison; None if no output was requested."""
    if wanted.output is None:
        return None
    tries = (Path(wanted.output, f"{revision[:12]}{suffix}") for suffix in ("", "-more"))
    return str(next((path for path in tries if not path.exists()), Path(wanted.output, revision)))

"""Status of known bugs in a run: present, absent, does not apply, or undecided; computed from stored results alone.

A bug is absent only if every law was applied to every line, passed, and its comparison proves something.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.plan.bug import AskedBug
from harness.record.run import WRONG, Result, Run

BugStatus = Literal["present", "absent", "does not apply", "undecided"]
BUG_STATUSES: tuple[BugStatus, ...] = ("present", "undecided", "absent", "does not apply")


@dataclass(frozen=True, slots=True, kw_only=True)
class BugRow:
    """One known bug on one backend: its status, the reason for it, and the results."""

    asked: AskedBug
    status: BugStatus
    reason: str
    results: tuple[Result, ...] = ()


def bug_rows(run: Run) -> tuple[BugRow, ...]:
    """Return a row for every known bug and backend that the run tested, in the order of the table."""
    found: dict[tuple[str, str], list[Result]] = {}
    for result in run.results if run.header.bugs else ():
        found.setdefault((result.label, result.arm), []).append(result)
    return tuple(
        _judge(asked, found.get((asked.bug.id, asked.arm), ()), run.versions.get(asked.arm, {}))
        for asked in run.header.bugs
    )


def count_statuses(rows: Sequence[BugRow]) -> dict[BugStatus, int]:
    """Count rows by status, in the order of BUG_STATUSES; statuses without a row are left out."""
    counts = Counter(row.status for row in rows)
    return {status: counts[status] for status in BUG_STATUSES if counts[status]}


def _judge(asked: AskedBug, results: Sequence[Result], versions: Mapping[str, str]) -> BugRow:
    def row(status: BugStatus, reason: str) -> BugRow:
        return BugRow(asked=asked, status=status, reason=reason, results=tuple(results))

    bug = asked.bug
    shown = next((one for one in results if one.outcome in bug.shows), None)
    if shown is not None:
        return row("present", shown.told)
    other = next((one for one in results if one.outcome in WRONG), None)
    if other is not None:
        return row("undecided", f"wrong, but not as reported: {other.told}")
    outside = asked.hindrance or _outside(asked, versions)
    if outside:
        return row("does not apply", outside)
    for outcome in ("unavailable", "unsupported"):  # of all results; a part of them counts as open, see below
        if results and all(one.outcome == outcome for one in results):
            return row("does not apply", results[0].reason or outcome)
    if len(results) < asked.cells or not results:
        return row("undecided", f"{len(results)} of {asked.cells} cells have a result")
    open_ = [one for one in results if one.outcome != "passed" or one.vacuous]
    if open_:
        first = open_[0]
        why = "proves nothing" if first.vacuous else first.told
        return row("undecided", f"{len(open_)} of {len(results)} cells are open; the first: {why}")
    return row("absent", f"{len(results)} of {len(results)} cells pass")


def _outside(asked: AskedBug, versions: Mapping[str, str]) -> str | None:
    """Reason why the installed version cannot have the bug; None if it may have it."""
    bug = asked.bug
    here = versions.get(bug.package, "")
    if not here:
        return None
    if bug.fixed and _number(here) >= _number(bug.fixed):
        return f"{bug.package} {here} is here, fixed in {bug.fixed}"
    if bug.since and _number(here) < _number(bug.since):
        return f"{bug.package} {here} is here, reported since {bug.since}"
    return None


def _number(version: str) -> tuple[int, ...]:
    """Release segment of a version: 2.13.0+cpu is (2, 13, 0)."""
    found = re.match(r"\d+(?:\.\d+)*", version.lstrip("v"))
    return tuple(map(int, found[0].split("."))) if found else ()

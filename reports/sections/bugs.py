"""Known bugs: a row for each report and backend, present ones first, and the numbers by status."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.analysis import BUG_STATUSES, BugRow, BugStatus, count_statuses
from reports.markdown_syntax import code, escape, section, table
from reports.number_format import count, shorten
from reports.sections.section import Section

if TYPE_CHECKING:
    from harness import Analysis

HEADS = ("known bug", "backend", "status", "what it is", "why", "problem lines")
LONGEST_WHY = 300
GITHUB = "https://github.com/"
NOTE = (
    "Present: the law is broken as reported. Absent: every law was applied to every line, and passed with proof. "
    "Undecided: neither; the reason says what is missing."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One row as shown. link: address of the report, empty if there is none."""

    id: str
    link: str
    backend: str
    status: BugStatus
    title: str
    see: str
    why: str
    lines: tuple[str, ...]


def bug_words(rows: Sequence[BugRow]) -> list[Words]:
    """Return the rows of the table, present ones first."""
    found = sorted(rows, key=lambda row: BUG_STATUSES.index(row.status))
    return [
        Words(
            id=row.asked.bug.id,
            link=f"{GITHUB}{row.asked.bug.project}/issues/{row.asked.bug.number}" if row.asked.bug.number else "",
            backend=row.asked.arm, status=row.status, title=row.asked.bug.title, see=row.asked.bug.see,
            why=shorten(row.reason, LONGEST_WHY), lines=tuple(problem.line for problem in row.asked.bug.problems),
        )
        for row in found
    ]  # fmt: skip


def describe_counts(rows: Sequence[BugRow]) -> str:
    """Return the number of rows by status, in words."""
    parts = (f"{number} {status}" for status, number in count_statuses(rows).items())
    bugs = len({row.asked.bug.id for row in rows})
    return f"{count(bugs, 'known bug')}, {len(rows)} with their backends: {', '.join(parts)}."


def markdown(analysis: Analysis) -> Iterator[str]:
    """Yield the section; nothing if no known bug was tested."""
    words = bug_words(analysis.bugs)
    if not words:
        return
    yield from section("Known bugs", describe_counts(analysis.bugs), NOTE)
    rows = []
    for one in words:
        name = f"[{escape(one.id)}]({one.link})" if one.link else escape(one.id)
        status = f"**{one.status}**" if one.status == "present" else one.status
        lines = "<br>".join(map(code, one.lines))
        rows.append([name, escape(one.backend), status, escape(f"{one.title}: {one.see}"), escape(one.why), lines])
    yield from table(HEADS, rows, numbers=0)


def page(analysis: Analysis) -> dict[str, Any]:
    """Return known bugs, present ones first, and their numbers by status."""
    rows = analysis.bugs
    return {"bugs": bug_words(rows), "bug_counts": describe_counts(rows), "bug_heads": HEADS, "bug_note": NOTE}


BUGS = Section(page=page, markdown=markdown, lines="known bugs")

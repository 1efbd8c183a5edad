"""Known bugs: a row for each report and backend, present ones first, and how many there are of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.markdown_syntax import code, escape, section, table
from reports.number_format import count, shorten

if TYPE_CHECKING:
    from harness.record.run import Run

HEADS = ("known bug", "backend", "status", "what it is", "why", "problem lines")
LONGEST_WHY = 300
GITHUB = "https://github.com/"
NOTE = (
    "Present: the law is broken as reported. Absent: every law was applied to every line, and passed with proof. "
    "Undecided: neither; the reason says what is missing."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One row as it is shown; link: address of the report, empty where there is none."""

    id: str
    link: str
    backend: str
    status: str
    title: str
    see: str
    why: str
    lines: tuple[str, ...]


def bug_words(run: Run) -> list[Words]:
    """Rows of the table, present ones first."""
    from harness.analysis.bugs import STATUSES, bug_rows

    found = sorted(bug_rows(run), key=lambda row: STATUSES.index(row.status))
    return [
        Words(
            id=row.asked.bug.id,
            link=f"{GITHUB}{row.asked.bug.project}/issues/{row.asked.bug.number}" if row.asked.bug.number else "",
            backend=row.asked.arm, status=row.status, title=row.asked.bug.title, see=row.asked.bug.see,
            why=shorten(row.reason, LONGEST_WHY), lines=tuple(problem.line for problem in row.asked.bug.problems),
        )
        for row in found
    ]  # fmt: skip


def describe_counts(run: Run) -> str:
    """How many rows have each status."""
    from harness.analysis.bugs import bug_rows, count_statuses

    rows = bug_rows(run)
    parts = (f"{number} {status}" for status, number in count_statuses(rows).items())
    bugs = len({row.asked.bug.id for row in rows})
    return f"{count(bugs, 'known bug')}, {len(rows)} with their backends: {', '.join(parts)}."


def markdown(run: Run) -> Iterator[str]:
    """Make the section of the Markdown document; nothing where no known bug was asked."""
    words = bug_words(run)
    if not words:
        return
    yield from section("Known bugs", describe_counts(run), NOTE)
    rows = []
    for one in words:
        name = f"[{escape(one.id)}]({one.link})" if one.link else escape(one.id)
        status = f"**{one.status}**" if one.status == "present" else one.status
        lines = "<br>".join(map(code, one.lines))
        rows.append([name, escape(one.backend), status, escape(f"{one.title}: {one.see}"), escape(one.why), lines])
    yield from table(HEADS, rows, numbers=0)

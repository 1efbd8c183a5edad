"""Outcomes: the number of cells by backend and status."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.analysis import STATUSES
from reports.markdown_syntax import escape, section, table
from reports.rows import unavailable_arms
from reports.sections.section import Section

if TYPE_CHECKING:
    from harness import Analysis


def page(analysis: Analysis) -> dict[str, Any]:
    """Return counts by backend for the statuses that occur, with the number of timed cells."""
    counts = analysis.outcomes
    times = analysis.timed["arm"].value_counts()
    columns = [status for status in STATUSES if counts[status].any()]
    rows = [
        (str(name), [(s, int(n)) for s, n in zip(columns, numbers, strict=True)], int(times.get(name, 0)))
        for name, *numbers in counts[columns].itertuples()
    ]
    return {"outcomes": {"columns": columns, "rows": rows}, "unavailable": unavailable_arms(analysis.run)}


def markdown(analysis: Analysis) -> Iterator[str]:
    """Yield a table of counts; nothing if no cell has a result."""
    results = analysis.results
    if results.empty:
        return
    counts = analysis.outcomes
    times = analysis.timed["arm"].value_counts()
    shown = [status for status in STATUSES if counts[status].any()]
    rows = [
        [escape(name), *(str(counts.at[name, s] or "") for s in shown), str(times.get(name, "") or "")]
        for name in counts.index
    ]
    yield from section("Outcomes", "Number of cells; `passed` leaves out those that prove nothing.")
    yield from table(["backend", *shown, "timed"], rows, numbers=len(shown) + 1)


OUTCOMES = Section(page=page, markdown=markdown)

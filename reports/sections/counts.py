"""Counts: the instructions of calls, with verdicts where arms were compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from harness.analysis import count_record, describe_counted
from reports.markdown_syntax import code, escape, section, table
from reports.number_format import count, shorten
from reports.sections.section import Section

if TYPE_CHECKING:
    from harness import Analysis
    from harness.analysis import Counted

MOST_ROWS = 600  # on the page
COMMENT_ROWS = 60  # in Markdown, which must fit a comment of 65536 characters
LONGEST = 160  # characters of a reason
COLUMNS = (
    "verdict", "arm", "base", "problem", "new/base", "from least to most", "instructions", "of the base",
    "not deterministic", "why",
)  # fmt: skip


def page(analysis: Analysis) -> dict[str, Any]:
    """Return the rows of counted cells; None if no instructions were counted."""
    counted = analysis.counted
    if counted is None:
        return {"counted": None}
    rows = make_rows(counted)
    shown = {
        "said": describe_counted(counted), "columns": COLUMNS, "rows": rows[:MOST_ROWS],
        "more": max(0, len(rows) - MOST_ROWS),
    }  # fmt: skip
    return {"counted": shown}


def markdown(analysis: Analysis) -> Iterator[str]:
    """Yield the rows of counted cells; nothing if no instructions were counted."""
    counted = analysis.counted
    if counted is None:
        return
    rows = make_rows(counted)
    yield from section("Counted instructions", f"{escape(describe_counted(counted))}.")
    lines = [
        [*map(escape, row[:3]), code(row[3]), *row[4:9], escape(shorten(row[9], LONGEST))]
        for row in rows[:COMMENT_ROWS]
    ]  # fmt: skip
    yield from table(COLUMNS, lines, numbers=0)
    if len(rows) > COMMENT_ROWS:
        yield from ("", f"and {count(len(rows) - COMMENT_ROWS, 'more cell')}, in counts.csv.")


COUNTS = Section(page=page, markdown=markdown)


def make_rows(counted: Counted) -> list[Sequence[str]]:
    """Return a row of text for each counted cell, in the order of COLUMNS."""
    rows: list[Sequence[str]] = []
    for made in map(count_record, counted.rows):
        ratio = made["ratio"] is not None
        rows.append(
            (
                made["verdict"] or made["outcome"], made["arm"], made["base"] or "", made["problem"],
                f"{made['ratio']:.4f}" if ratio else "",
                f"{made['ratio_low']:.4f} to {made['ratio_high']:.4f}" if ratio else "",
                format_count(made["instructions"]), format_count(made["base_instructions"]),
                "" if made["spread"] is None else f"{100 * made['spread']:.2g} %", made["reason"] or "",
            )
        )  # fmt: skip
    return rows


def format_count(instructions: float | None) -> str:
    """Format a number of instructions, in thousands separated by commas; empty for None."""
    return "" if instructions is None else f"{instructions:,.0f}"

"""Claims: what became of promises and known faults, what fails first, and the counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.analysis import LOUD_CLAIMS, ClaimLine, conclude_claims, describe_claims
from reports.markdown_syntax import code, escape, section, table
from reports.number_format import shorten
from reports.sections.section import Section

if TYPE_CHECKING:
    from harness import Analysis

HEADS = ("claims", "row", "backend", "what", "why", "such as")
LONGEST = 300  # characters of a text
NOTE = (
    "A broken promise fails the run, and so does a strict row whose fault is gone. A known fault excuses a wrong cell "
    "by its law, problem, outcome, reason and error together, until its last day."
)


def markdown(analysis: Analysis) -> Iterator[str]:
    """Yield the section; nothing for a run without claims."""
    report = analysis.claims
    if report is None:
        return
    yield from section("Claims", f"{escape(conclude_claims(report))}.", NOTE)
    rows = []
    for line in describe_claims(report):
        kind = f"**{line.kind}**" if line.kind in LOUD_CLAIMS else line.kind
        texts = (escape(shorten(text, LONGEST)) for text in (line.row, line.backend, line.what, line.said))
        rows.append([kind, *texts, code(line.problem) if line.problem else ""])
    yield from table(HEADS, rows, numbers=0)


def page(analysis: Analysis) -> dict[str, Any]:
    """Return the statements about claims, and their counts; no statement for a run without claims."""
    report = analysis.claims
    lines: list[ClaimLine] = [] if report is None else describe_claims(report)
    concluded = "" if report is None else conclude_claims(report)
    return {
        "claims": lines,
        "claims_concluded": concluded,
        "claim_heads": HEADS,
        "claim_note": NOTE,
        "loud": LOUD_CLAIMS,
    }


CLAIMS = Section(page=page, markdown=markdown, lines="claims")

"""Findings of a run as workflow commands of GitHub: `cat annotations.txt` in a step shows them at the change."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis import show_text
from reports.ci_findings import Finding, judge_cells, judge_whole
from reports.number_format import count

if TYPE_CHECKING:
    from harness import Analysis, Result

MOST = 10  # GitHub shows ten errors and ten warnings per step
LONGEST_TITLE = 200  # characters
LEVELS = ("error", "failure", "open")


def write(analysis: Analysis, folder: Path) -> tuple[Path, ...]:
    """Write annotations.txt: findings on the run and the worst cells, ten in all, and how many more there are.

    Empty if nothing is wrong.
    """
    path = folder / "annotations.txt"
    path.write_text("".join(f"{line}\n" for line in _lines(analysis)), encoding="utf-8", errors="backslashreplace")
    return (path,)


def _lines(analysis: Analysis) -> Iterator[str]:
    cells = _worst_first(analysis)
    whole = list(judge_whole(analysis))[:MOST]
    shown = cells[: MOST - len(whole)]
    for found in whole:
        yield _command(found, found.kind)
    for result, found in shown:
        yield _command(found, f"{found.kind} {result.arm} {result.law or result.label}")
    if len(cells) > len(shown):
        more = count(len(cells) - len(shown), "more cell is", "more cells are")
        yield f"::notice title=and more::{more} wrong, slower, missing or inconclusive; the report has them all"


def _worst_first(analysis: Analysis) -> list[tuple[Result, Finding]]:
    """Wrong cells, by decreasing error (infinite without a comparison); then missing, slower, inconclusive ones."""
    ranked = []
    for result, row, found in judge_cells(analysis):
        if found is None or found.level == "idle" or (found.level == "open" and found.kind != "INCONCLUSIVE"):
            continue
        wrong = found.kind == result.outcome
        size = _error(result) if wrong else row.judgement.ratio.value if row and row.judgement.ratio else math.inf
        ranked.append(((LEVELS.index(found.level), not wrong, -size), result, found))
    return [(result, found) for _, result, found in sorted(ranked, key=lambda one: one[0])]


def _error(result: Result) -> float:
    """Largest error in units of its bound; infinite if it is not a number, or nothing was compared."""
    worst = math.inf if result.deviation is None else result.deviation.worst
    return math.inf if math.isnan(worst) else worst


def _command(found: Finding, title: str) -> str:
    command = "warning" if found.level == "open" else "error"
    text = "\n".join(map(show_text, found.text.split("\n")))
    return f"::{command} title={escape_property(show_text(title, LONGEST_TITLE))}::{escape_data(text)}"


def escape_data(text: str) -> str:
    """Escape a message, so that it stays on one line and contains no command (as @actions/core does)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """Escape a property, in which colons and commas have a meaning too."""
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")

"""One Markdown document of a run or a comparison, for a pull request, a job summary or a terminal; below 1 MiB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.analysis import VERDICTS, comparison_frame, describe_outcome, plain_records
from reports.headline import Verdict, judge_analysis, judge_comparison
from reports.markdown_syntax import code, escape, fit, table
from reports.number_format import count, shorten
from reports.rows import unavailable_arms
from reports.sections.arithmetic import ARITHMETIC
from reports.sections.arms import ARMS
from reports.sections.bugs import BUGS
from reports.sections.cards import CARDS
from reports.sections.claims import CLAIMS
from reports.sections.counts import COUNTS
from reports.sections.coverage import COVERAGE
from reports.sections.failures import FAILURES
from reports.sections.gallery import GALLERY
from reports.sections.laws import LAWS
from reports.sections.learning import LEARNING
from reports.sections.networks import NETWORKS
from reports.sections.outcomes import OUTCOMES
from reports.sections.semantics import SEMANTICS
from reports.sections.settings import SETTINGS
from reports.sections.times import TIMES
from reports.words import run_facts

if TYPE_CHECKING:
    from harness import Analysis, Run
    from harness.analysis import Comparison

COMMENT_ROOM = 18_000  # of a long section if arms were compared: all must fit a comment of 65536 characters
ROOM = 400_000  # characters of one long section; at most two together stay below 1 MiB
LONGEST = 1000  # characters of a reason
QUIET = frozenset({"SAME", "UNCHANGED"})
FIRST = (CARDS, COUNTS, OUTCOMES, SETTINGS)
LAST = (CLAIMS, BUGS, FAILURES, LAWS, NETWORKS, LEARNING, GALLERY, SEMANTICS, ARITHMETIC, COVERAGE, TIMES)


def write(analysis: Analysis, folder: Path) -> tuple[Path, ...]:
    """Write report.md."""
    path = folder / "report.md"
    path.write_text("\n".join(_run_lines(analysis)) + "\n", encoding="utf-8")
    return (path,)


def write_comparison(comparison: Comparison, folder: Path) -> tuple[Path, ...]:
    """Write comparison.md."""
    path = folder / "comparison.md"
    path.write_text("\n".join(_comparison_lines(comparison)) + "\n", encoding="utf-8")
    return (path,)


def _run_lines(analysis: Analysis) -> Iterator[str]:
    room = ROOM if analysis.verdicts is None and analysis.counted is None else COMMENT_ROOM
    yield from _head(f"Run {analysis.run.path.name}", judge_analysis(analysis))
    yield from ARMS.markdown(analysis)
    for section in FIRST:
        yield from section.markdown(analysis)
    yield from _idle(analysis.run)
    for section in LAST:
        lines = section.markdown(analysis)
        yield from fit(lines, section.lines, room // section.share) if section.lines else lines
    yield from ("", "## Machine and command", "")
    yield from (f"- {name}: {code(value)}" for name, value in run_facts(analysis.run))


def _idle(run: Run) -> Iterator[str]:
    """Backends that are unavailable, and cells that were skipped."""
    if unavailable := unavailable_arms(run):
        yield from ("", "## Unavailable backends", "")
        yield from (f"- {escape(name)}: {escape(shorten(why, LONGEST))}" for name, why in unavailable.items())
    if skipped := describe_outcome(run, "skipped"):
        yield from ("", "## Skipped", "", *(f"- {escape(shorten(line, LONGEST))}" for line in skipped))


def _head(title: str, verdict: Verdict) -> Iterator[str]:
    yield f"# {escape(title)}"
    yield ""
    if verdict.incomplete:
        yield from (f"**{escape(verdict.incomplete)}**", "")
    yield f"**{escape(verdict.text)}.** {escape(verdict.detail)}".rstrip()
    yield ""
    for line in verdict.overdrawn:
        yield from (f"**{escape(line)}.**", "")


def _comparison_lines(comparison: Comparison) -> Iterator[str]:
    base, new = comparison.base, comparison.new
    yield from _head(f"{base.path.name} against {new.path.name}", judge_comparison(comparison))
    yield f"A change of time counts beyond {comparison.threshold:.0%}, with the whole interval of its ratio."
    if comparison.obstacles:
        yield from ("", "**Times are not comparable**: the environments differ (base / new).", "")
        yield from (f"- {escape(obstacle)}" for obstacle in comparison.obstacles)
    sides = {"base": dict(run_facts(base)), "new": dict(run_facts(new))}
    names = dict.fromkeys([*sides["base"], *sides["new"]])
    yield from ("", "## Runs", "")
    rows = [[name, *(escape(side.get(name, "")) for side in sides.values())] for name in names]
    yield from table(["", *sides], rows, numbers=0)
    counts = [[name, str(number)] for name, number in comparison.counts.items() if number]
    if counts:
        yield from ("", "## Verdicts", "", *table(["verdict", "cells"], counts, numbers=1))
    changed = [row for row in plain_records(comparison_frame(comparison)) if row["verdict"] not in QUIET]
    changed.sort(key=lambda row: VERDICTS.index(row["verdict"]))
    yield from fit(_changes(changed), "changes", ROOM)


def _changes(changed: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not changed:
        return
    yield from ("", "## Changes", "", f"{count(len(changed), 'cell')}; new/base with its 95 % interval.", "")
    rows = []
    for row in changed:
        ratio = ""
        if row["ratio"] is not None:
            ratio = f"{row['ratio']:.3f} ({row['ratio_low']:.3f} to {row['ratio_high']:.3f})"
        words = [escape(shorten(row[name], LONGEST)) for name in ("verdict", "arm", "law")]
        rows.append([*words, ratio, code(row["problem"]), escape(shorten(row["reason"] or "", LONGEST))])
    yield from table(["verdict", "backend", "law", "new/base", "problem", "why"], rows, numbers=0)

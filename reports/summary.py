"""A short Markdown summary of a comparison of two versions, for a comment on a pull request or a job summary."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness import ExitCode
from harness.analysis import (
    FAILING,
    FINDING_MEANINGS,
    LOUD_CLAIMS,
    conclude_claims,
    conclude_gate,
    describe_claims,
    describe_silent,
    join_rows,
    repeat_command,
)
from reports.number_format import count, shorten

if TYPE_CHECKING:
    from harness import Analysis, Run
    from harness.analysis import Cause, Compared, GateReport

ROOM = 60_000  # characters; GitHub's comments end at 65 536, its job summaries at 1 MiB
ROWS, REPEATS, REASON = 60, 5, 200
SIGNS = {ExitCode.OK: "✅", ExitCode.CANNOT_TELL: "⚠️"}  # of every other exit code: ❌


def write(analysis: Analysis, folder: Path) -> tuple[Path, ...]:
    """Write summary.md; for a run that compared no versions it says so."""
    path = folder / "summary.md"
    path.write_text("\n".join(_fit(_lines(analysis))) + "\n", encoding="utf-8")
    return (path,)


def _lines(analysis: Analysis) -> Iterator[str]:
    run, report = analysis.run, analysis.gate_report
    if report is None:
        yield f"### {run.path.name}: no comparison of versions; `report.md` says what it is"
        yield from _claims(analysis)
        return
    also = "" if analysis.exit_code == report.exit_code else ", but its claims fail"
    yield f"### {SIGNS.get(analysis.exit_code, '❌')} {conclude_gate(report)}{also}"
    yield ""
    yield _versions(run)
    yield ""
    counts = ((finding, number) for finding, number in report.counts.items() if number)
    yield from (f"- {number} {finding}: {FINDING_MEANINGS[finding]}" for finding, number in counts)
    for arm, effect in report.arm_comparison.overall.items():
        change = f"{100 * (effect.value - 1):+.2f} % ({100 * (effect.low - 1):+.2f} to {100 * (effect.high - 1):+.2f})"
        yield f"- `{arm}` over all its timed cells: {change}"
    if silent := describe_silent(report):
        yield f"- {shorten(silent, 2 * REASON)}"
    yield from (f"- backend `{name}` is gone: the base has it" for name in report.lost)
    yield from (f"- limit {shorten(limit, 2 * REASON)}" for limit in report.idle_limits)
    told = report.told
    if told:
        yield from ("", f"| finding | cells | backend | what | problem | new / base | {report.interval} | why |")
        yield "|---|--:|---|---|---|--:|--:|---|"
        yield from map(_row, told[:ROWS])
    if len(told) > ROWS:
        yield f"\n... and {count(len(told) - ROWS, 'more cause')}; the report has them all."
    for cause in report.causes(*FAILING)[:REPEATS]:
        first = cause.first
        yield f"\nTo repeat {first.finding} in `{first.new.problem}`: `{repeat_command(run.header, first.new)}`"
    yield from _claims(analysis)
    yield from _how(run, report)


def _claims(analysis: Analysis) -> Iterator[str]:
    """Statements about claims that need attention, and the counts; nothing for a run without claims."""
    report = analysis.claims
    if report is None:
        return
    yield from ("", f"Claims: {shorten(conclude_claims(report), 2 * REASON)}.", "")
    told = [line for line in join_rows(describe_claims(report)) if line.kind in LOUD_CLAIMS]
    for line in told[:ROWS]:
        problem = f" `{line.problem}`" if line.problem else ""
        yield f"- {line.kind}: {line.row} of `{line.backend}`: {shorten(line.said, REASON)}{problem}"
    if len(told) > ROWS:
        yield f"- and {len(told) - ROWS} more; the report has them all"


def _versions(run: Run) -> str:
    said = []
    for arm in run.header.arms[:2]:
        revision = f"`{arm.revision[:10]}`" if arm.revision else f"`{arm.text}`"
        said.append(revision + (" with uncommitted changes" if arm.dirty else ""))
    environment = run.header.environment
    where = f"{environment.get('cpu', 'unknown processor')}, {count(int(environment.get('threads') or 0), 'thread')}"
    return f"{said[-1]} compared with {said[0]}, interleaved on one machine ({where})"


def _row(cause: Cause[Compared]) -> str:
    cell = cause.first
    ratio = cell.ratio
    numbers = (f"{ratio.value:.3f}", f"{ratio.low:.3f} to {ratio.high:.3f}") if ratio is not None else ("", "")
    reason = shorten(cell.reason or "", REASON).replace("|", "\\|").replace("\n", " ")
    what = f"`{cause.laws}`" if cause.laws == cell.new.law else cause.laws
    cells = (
        cell.finding, str(len(cause.cells)), f"`{cell.backend}`", what, f"`{cell.new.problem}`", *numbers, reason
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _how(run: Run, report: GateReport) -> Iterator[str]:
    gate, ending = report.arm_comparison.gate, run.ending
    passes = max((cell.judgement.passes for cell in report.cells if cell.judgement is not None), default=0)
    took = f"{ending.seconds:.0f} s" if ending is not None else "an unknown time"
    counting = run.header.counting
    what = f"up to {count(passes, 'pass', 'passes')} of fresh processes" if counting is None else "instructions"
    yield ""
    yield (f"<sub>A change of {100 * gate.delta:.3g} % counts; {what} in {took}. `{run.header.command}`</sub>")


def _fit(lines: Iterator[str]) -> Iterator[str]:
    left = ROOM
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            yield "\n... cut here to fit; the report has the rest."
            return
        yield line

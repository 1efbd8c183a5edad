"""Conclusion of a comparison of two versions in words: why a build passes or fails, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from harness.analysis.gate_report import BROKEN_OK, FAILING, MENDS, UNPROVEN, GateReport
from harness.exit_codes import ExitCode

LONGEST_WHY = 300  # characters of a reason in the conclusion
ACCEPTS = "accept it where the laws of the new version hold (--base-broken ok)"


def describe_silent(report: GateReport) -> str:
    """Return the counts of `silent` in words, with a reason for each outcome; empty if there are none."""
    said = []
    for outcome, number in report.silent.items():
        reason = next(c.new.reason for c in report.cells if c.new.outcome == outcome and c.finding == "UNCHANGED")
        said.append(f"{number} {outcome} ({reason or outcome}{'; ...' if number > 1 else ''})")
    return f"run in neither version: {', '.join(said)}" if said else ""


def conclude_gate(report: GateReport) -> str:
    """Return the conclusion for a build in one line."""
    counts, resolve = report.counts, report.arm_comparison.gate.resolve
    named = [f"{counts[name]} {name}" for name in FAILING if counts[name]]
    named += [f"backend {name} is gone" for name in report.lost]
    match report.exit_code:
        case ExitCode.OK:
            left, mended, alone = counts["INCONCLUSIVE"], report.accepted_baseless, len(report.alone)
            rest = f"; {left} undecided, with a slow-down of {100 * resolve:.3g} % ruled out" if left else ""
            if mended:
                rest += f"; {len(mended)} of {len(report.cells)} cells compared with nothing, {mended[0].reason}"
            if alone:
                rest += f"; {alone} of {len(report.cells)} cells compared with nothing, {BROKEN_OK}: all are NEW"
            return f"passed: {report.praise if report.compared else 'laws of the new version hold'}{rest}"
        case ExitCode.WRONG | ExitCode.SLOWER:
            said = ", ".join(named) or "too many comparisons prove nothing"
            return f"failed: {'; '.join([said, *_name_causes(report)])}"
        case ExitCode.INCOMPLETE:
            if not report.run.complete:
                return "failed: the run is incomplete"
            why = next((cell.reason for cell in report.cells if cell.baseless), None)
            advice = "" if report.arm_comparison.gate.base_broken == "ok" else f"; {MENDS}"
            more = f"{why}{advice}" if why else _describe_unsupported(report)
            return f"failed: nothing ran that could be compared{f'; {more}' if more else ''}"
    if report.arm_comparison.gate.untimed:
        return f"cannot tell: times were not compared, {report.arm_comparison.gate.untimed}"
    if not report.arm_comparison.can_tell:
        return f"cannot tell: {100 * report.arm_comparison.dropped:.0f} % of the blocks were disturbed"
    return f"cannot tell: {'; '.join(_advise(report))}"


def _describe_unsupported(report: GateReport) -> str | None:
    """Return why nothing ran, and what to ask for; None if the new version supports a cell."""
    reasons = Counter(cell.new.reason for cell in report.cells if cell.new.outcome == "unsupported")
    if not report.cells or reasons.total() < len(report.cells):
        return None
    backends = ", ".join(dict.fromkeys(cell.backend for cell in report.cells))
    neither = all(cell.base is not None and cell.base.outcome == "unsupported" for cell in report.cells)
    return (
        f"{backends} supports none of the {len(report.cells)} cells in {'either' if neither else 'the new'} version "
        f"({reasons.most_common(1)[0][0]}); ask for what it supports (--suite, --problem)"
    )


def _name_causes(report: GateReport) -> Iterator[str]:
    """The worst cause of a failure in words, and how many others there are; nothing if no cell failed."""
    causes = report.causes(*FAILING)
    if not causes:
        return
    cells = causes[0].cells
    first, many = cells[0], f" and {len(cells) - 1} more" if len(cells) > 1 else ""
    ratio = first.ratio if first.finding in ("SLOWER", "MORE") else None
    what = "instructions of the base" if first.finding == "MORE" else "base"
    why = f"{ratio.value:.3f} times the {what}" if ratio is not None else first.reason or first.new.outcome
    why = " ".join(why.split())
    why = why if len(why) <= LONGEST_WHY else f"{why[:LONGEST_WHY]}…"
    yield f"{first.backend}, {causes[0].laws}, {first.new.problem}{many}: {why}"
    if len(causes) > 1:
        yield f"and {len(causes) - 1} more cause{'' if len(causes) == 2 else 's'}"


def _advise(report: GateReport) -> Iterator[str]:
    """Advice for undecided cells: more time if both sides run, else a base that runs."""
    baseless, cells = report.baseless, len(report.cells)
    if unmatched := report.unmatched:
        accepted = report.arm_comparison.gate.base_broken == "ok"
        backends = ", ".join(dict.fromkeys(cell.backend for cell in unmatched))
        yield (
            f"{len(unmatched)} of {cells} cells are NEW and nothing of their kind was compared, as the base of "
            f"{backends} can do none of them ({unmatched[0].reason}); compare with a revision that can "
            f"(--base), ask for what it can do (--suite, --problem), or {UNPROVEN if accepted else ACCEPTS}"
        )
    if by_count := sum(cell.counted is not None and cell.finding == "INCONCLUSIVE" for cell in report.cells):
        yield (
            f"{by_count} of {cells} cells undecided, as the instructions of calls differ by more than is compared; "
            "compare a larger change (--delta), or times"
        )
    if by_time := report.undecided - len(baseless) - by_count:
        yield (
            f"{by_time} of {cells} cells undecided; give it more time (--budget), fewer cells (--suite, --problem), or "
            "a quieter machine (`python -m harness doctor`)"
        )
    if baseless:
        backends = ", ".join(dict.fromkeys(cell.backend for cell in baseless))
        yield (
            f"{len(baseless)} of {cells} cells have nothing to be compared with, and more time does not help: "
            f"{baseless[0].reason}; make the base of {backends} run here (--base-env, --build), compare other "
            "backends (--backend), or accept a broken base (--base-broken ok)"
        )

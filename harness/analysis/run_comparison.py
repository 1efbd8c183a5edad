"""Comparison of two stored runs, cell by cell: cells that changed, are new, are gone, or cannot be compared.

The runs were not interleaved, and a shared machine drifts between them; therefore a slow-down counts only if the whole
interval of the ratio lies beyond the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.analysis.descriptions import describe_incomplete
from harness.analysis.outcomes import CODE, Silent, find_silent, find_transition
from harness.analysis.statistics import Estimate, estimate_ratio
from harness.exit_codes import ExitCode
from harness.plan.suite import CellKind
from harness.record.run import RAN, Outcome, Result, Run

Verdict = Literal[
    "SLOWER", "FASTER", "SAME", "INCONCLUSIVE", "BROKEN", "WRONG BEFORE", "MENDED", "UNCHANGED", "NEW", "MISSING",
    "BLESSED", "NOT COMPARABLE",
]  # fmt: skip
VERDICTS: tuple[Verdict, ...] = (
    "BROKEN", "SLOWER", "MISSING", "BLESSED", "INCONCLUSIVE", "NOT COMPARABLE", "WRONG BEFORE", "FASTER", "MENDED",
    "NEW", "SAME", "UNCHANGED",
)  # fmt: skip
THRESHOLD = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One cell in both runs: its outcomes, the ratio new / base of its times, and the verdict with its reason.

    base, new: outcomes, empty if a run has no such cell.
    BLESSED: the cell was SLOWER or MISSING, and that was accepted (harness.gating.blessings); the reason says what and
    why.
    """

    suite: str
    arm: str
    backend: str
    label: str
    problem: str
    law: str
    kind: CellKind
    base: Outcome | Literal[""]
    new: Outcome | Literal[""]
    ratio: Estimate | None = None
    verdict: Verdict
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Comparison of two runs.

    threshold: relative change of time that counts.
    obstacles: reasons why their times cannot be compared, empty if they can.
    """

    base: Run
    new: Run
    threshold: float
    obstacles: tuple[str, ...]
    changes: tuple[Change, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Number of cells by verdict, with all verdicts as keys."""
        counts: dict[str, int] = dict.fromkeys(VERDICTS, 0)
        for change in self.changes:
            counts[change.verdict] += 1
        return counts

    @property
    def told(self) -> int:
        """Number of informative cells: run on both sides and compared, or accepted."""
        return sum(
            c.verdict == "BLESSED" or (c.verdict != "NOT COMPARABLE" and {c.base, c.new} <= RAN) for c in self.changes
        )

    @property
    def undecided(self) -> int:
        """Number of cells left open by their outcomes; times with too wide an interval are not included."""
        return sum(change.verdict == "INCONCLUSIVE" and change.ratio is None for change in self.changes)

    @property
    def exit_code(self) -> ExitCode:
        """Exit code: the first of WRONG, SLOWER, INCOMPLETE, CANNOT_TELL and OK that holds.

        SLOWER also stands for missing cells; INCOMPLETE, for an incomplete run, and if no time or nothing could be
        compared.
        """
        counts = self.counts
        codes = {CODE.get(change.verdict, ExitCode.OK) for change in self.changes if change.ratio is None}
        if ExitCode.WRONG in codes:
            return ExitCode.WRONG
        if counts["SLOWER"] or ExitCode.SLOWER in codes:
            return ExitCode.SLOWER
        if not self.told or self.blind or any(map(describe_incomplete, (self.base, self.new))):
            return ExitCode.INCOMPLETE
        return ExitCode.CANNOT_TELL if ExitCode.CANNOT_TELL in codes else ExitCode.OK

    @property
    def blind(self) -> bool:
        """True if both sides have times, but none of them could be compared."""
        return self.counts["NOT COMPARABLE"] > 0 and all(change.ratio is None for change in self.changes)


def compare_runs(base: Run, new: Run, threshold: float = THRESHOLD) -> Comparison:
    """Compare two runs.

    base, new: the earlier and the later run. threshold: relative change of time that counts.
    """
    obstacles, silent = find_obstacles(base, new), find_silent(base.results)
    old, now = _by_key(base), _by_key(new)
    keys = list(dict.fromkeys([*old, *now]))
    changes = tuple(_change(old.get(key), now.get(key), silent, bool(obstacles), threshold) for key in keys)
    return Comparison(base=base, new=new, threshold=threshold, obstacles=obstacles, changes=changes)


def find_obstacles(base: Run, new: Run) -> tuple[str, ...]:
    """Return differences of the environments that rule out a comparison of times, in words; empty if there are none."""
    a, b = base.header.environment, new.header.environment
    if all(a.get(name) == b.get(name) for name in ("fingerprint", "variables", "threads")):
        return ()
    found = [
        f"{name}: {a.get(name)} / {b.get(name)}"
        for name in ("cpu", "cores", "caches", "memory_gib", "machine", "system", "python", "variables", "threads")
        if a.get(name) != b.get(name)
    ]
    old, now = a.get("libraries", {}), b.get("libraries", {})
    found += [
        f"{name}: {old.get(name, 'absent')} / {now.get(name, 'absent')}"
        for name in sorted({*old, *now}) if old.get(name) != now.get(name)
    ]  # fmt: skip
    return tuple(found) or ("fingerprint",)


def _by_key(run: Run) -> dict[tuple[str, str, str, str], Result]:
    return {(r.suite, r.arm, r.problem, r.law): r for r in run.results}


def conclude_comparison(comparison: Comparison) -> str:
    """Return the conclusion of a comparison in one line: the reason for its exit code."""
    counts = comparison.counts
    match comparison.exit_code:
        case ExitCode.WRONG | ExitCode.SLOWER:
            named = [f"{counts[name]} {name}" for name in ("BROKEN", "SLOWER", "MISSING") if counts[name]]
            return f"failed: {', '.join(named)}"
        case ExitCode.INCOMPLETE if not comparison.told:
            return "failed: no cell ran in both runs and could be compared"
        case ExitCode.INCOMPLETE if comparison.blind:
            return "failed: no time could be compared"
        case ExitCode.INCOMPLETE:
            which = "base" if describe_incomplete(comparison.base) else "new"
            return f"failed: the {which} run is incomplete"
        case ExitCode.CANNOT_TELL:
            why = next(c.reason for c in comparison.changes if c.verdict == "INCONCLUSIVE" and c.ratio is None)
            return (
                f"cannot tell: {comparison.undecided} of {len(comparison.changes)} cells have nothing to be compared "
                f"with ({why}); compare with a run in which they ran"
            )
    wide = counts["INCONCLUSIVE"]
    rest = f"; {wide} times undecided, whose intervals cross the threshold" if wide else ""
    return f"passed: nothing is broken, slower or missing{rest}"


def _change(old: Result | None, now: Result | None, silent: Silent, foreign: bool, threshold: float) -> Change:
    one = now or old
    assert one is not None
    found, ratio = find_transition(old, now, silent), None
    verdict: Verdict = found.word
    reason = found.reason
    if found.by_count:
        verdict, reason = "NOT COMPARABLE", "instructions of two runs are not compared; versus and gate compare them"
    if found.word == "UNCHANGED" and old is not None and now is not None and old.measurement and now.measurement:
        if {one.mode for one in old.measurement.passes} != {one.mode for one in now.measurement.passes}:
            verdict, reason = "NOT COMPARABLE", "hot caches in one run, cold ones in the other"
        elif foreign:
            verdict, reason = "NOT COMPARABLE", "another environment"
        else:
            ratio = estimate_ratio(old.measurement, now.measurement)
            verdict, reason = _judge(ratio, threshold)
    return Change(
        suite=one.suite, arm=one.arm, backend=one.backend, label=one.label, problem=one.problem, law=one.law,
        kind=one.kind, base=old.outcome if old else "", new=now.outcome if now else "", ratio=ratio, verdict=verdict,
        reason=reason,
    )  # fmt: skip


def _judge(ratio: Estimate | None, threshold: float) -> tuple[Verdict, str | None]:
    """Verdict and reason of a ratio, by the position of its interval relative to the threshold."""
    if ratio is None:
        return "NOT COMPARABLE", "timed in one process only; an interval needs at least two passes"
    if ratio.low > 1 + threshold:
        return "SLOWER", None
    if ratio.high < 1 / (1 + threshold):
        return "FASTER", None
    if ratio.low > 1 / (1 + threshold) and ratio.high < 1 + threshold:
        return "SAME", None
    return "INCONCLUSIVE", "the interval crosses the threshold"

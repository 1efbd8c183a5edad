"""Comparison of two stored runs, cell by cell: what changed, what is new, gone, or cannot be compared.

The runs were made one after the other, not interleaved, and a shared machine drifts between them; so a slow-down
counts only where the whole interval of the ratio lies beyond the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.record.run import RAN, WRONG, Result, Run
from harness.timing.statistics import Estimate, estimate_ratio

Verdict = Literal[
    "SLOWER", "FASTER", "SAME", "INCONCLUSIVE", "BROKEN", "MENDED", "UNCHANGED", "NEW", "MISSING", "BLESSED",
    "NOT COMPARABLE",
]  # fmt: skip
VERDICTS: tuple[Verdict, ...] = (
    "BROKEN", "SLOWER", "MISSING", "BLESSED", "INCONCLUSIVE", "NOT COMPARABLE", "FASTER", "MENDED", "NEW", "SAME",
    "UNCHANGED",
)  # fmt: skip
THRESHOLD = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One cell in both runs: its outcomes, the ratio new/base of its times, and the verdict with its reason.

    BLESSED was SLOWER or MISSING, and somebody accepted it (harness.baselines.blessing); the reason says which and why.
    """

    suite: str
    backend: str
    label: str
    problem: str
    law: str
    kind: str
    base: str
    new: str
    ratio: Estimate | None = None
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two runs side by side; `obstacles` says why their times may not be compared (empty where they may)."""

    base: Run
    new: Run
    threshold: float
    obstacles: tuple[str, ...]
    changes: tuple[Change, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Number of cells by verdict, every verdict named."""
        counts: dict[str, int] = dict.fromkeys(VERDICTS, 0)
        for change in self.changes:
            counts[change.verdict] += 1
        return counts

    @property
    def exit_code(self) -> int:
        """1 broken, 3 slower or missing, 4 where no time (or nothing) could be compared or a run is incomplete."""
        counts = self.counts
        if counts["BROKEN"]:
            return 1
        if counts["SLOWER"] or counts["MISSING"]:
            return 3
        told = len(self.changes) - counts["NEW"] - counts["NOT COMPARABLE"]
        timed = any(change.ratio is not None for change in self.changes)
        blind = counts["NOT COMPARABLE"] > 0 and not timed
        return 0 if told and not blind and self.base.complete and self.new.complete else 4


def compare_runs(base: Run, new: Run, threshold: float = THRESHOLD) -> Comparison:
    """Compare two runs; threshold is the relative change of time that counts."""
    obstacles = find_obstacles(base, new)
    old, now = _by_key(base), _by_key(new)
    keys = list(dict.fromkeys([*old, *now]))
    changes = tuple(_change(old.get(key), now.get(key), bool(obstacles), threshold) for key in keys)
    return Comparison(base=base, new=new, threshold=threshold, obstacles=obstacles, changes=changes)


def find_obstacles(base: Run, new: Run) -> tuple[str, ...]:
    """Differences of the environments that forbid to compare times, in words."""
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
    return {(r.suite, r.backend, r.problem, r.law): r for r in run.results}


def _change(old: Result | None, now: Result | None, foreign: bool, threshold: float) -> Change:
    one = now or old
    assert one is not None
    ratio = None
    if old is None:
        verdict, reason = _pair("NEW")
    elif now is None:
        gone = old.outcome in RAN
        verdict, reason = _pair("MISSING" if gone else "UNCHANGED", "the new run has no such cell")
    elif now.outcome in WRONG and old.outcome not in WRONG:
        verdict, reason = _pair("BROKEN", now.reason)
    elif old.outcome in WRONG and now.outcome == "passed":
        verdict, reason = _pair("MENDED")
    elif old.outcome == "passed" and now.outcome != "passed":
        verdict, reason = _pair("MISSING", f"{now.outcome}: {now.reason}")
    elif old.outcome not in RAN and now.outcome == "passed":
        verdict, reason = _pair("NEW", f"it was {old.outcome}")
    elif old.measurement is None or now.measurement is None:
        verdict, reason = _pair("UNCHANGED")
    elif {one.mode for one in old.measurement.passes} != {one.mode for one in now.measurement.passes}:
        verdict, reason = _pair("NOT COMPARABLE", "hot caches in one run, cold ones in the other")
    elif foreign:
        verdict, reason = _pair("NOT COMPARABLE", "another environment")
    else:
        ratio = estimate_ratio(old.measurement, now.measurement)
        verdict, reason = _judge(ratio, threshold)
    return Change(
        suite=one.suite, backend=one.backend, label=one.label, problem=one.problem, law=one.law, kind=one.kind,
        base=old.outcome if old else "", new=now.outcome if now else "", ratio=ratio, verdict=verdict, reason=reason,
    )  # fmt: skip


def _pair(verdict: Verdict, reason: str = "") -> tuple[Verdict, str]:
    return verdict, reason


def _judge(ratio: Estimate | None, threshold: float) -> tuple[Verdict, str]:
    """Beyond the threshold on either side, inside it, or neither."""
    if ratio is None:
        return "NOT COMPARABLE", "timed in one process only; an interval needs at least two passes"
    if ratio.low > 1 + threshold:
        return "SLOWER", ""
    if ratio.high < 1 / (1 + threshold):
        return "FASTER", ""
    if ratio.low > 1 / (1 + threshold) and ratio.high < 1 + threshold:
        return "SAME", ""
    return "INCONCLUSIVE", "the interval crosses the threshold"

"""Results and runs: frozen values that hold raw samples; statistics are derived from them later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from harness.backend.routing import Route
from harness.backend.switches import SwitchName
from harness.laws.attachments import Attachments
from harness.laws.deviation import Deviation
from harness.laws.law import Role
from harness.plan.bug import AskedBug
from harness.plan.cell import DECLINED, Cell
from harness.plan.claims.rows import Claims
from harness.plan.counting import Counting
from harness.plan.gate import Gate
from harness.plan.suite import CellKind
from harness.problems.whole import Whole
from harness.record.counts import Counts
from harness.record.passes import Measurement

# Formats, all of which can be read:
# 1: header.json, journal.jsonl, results.parquet, samples.parquet
# 2: passes have blocks (blocks.parquet), memory and host time; results leave their passes to the journal's own
#    entries; peaks have copy rates by size; the header has arms and the gate
# 3: results say the role of their law and the known slow-down of their arm
# 4: a deviation has attachments, called an exhibit before
# 5: results name the arm and the backend; the header lists the arms; lines of the journal have a number and a checksum
# 6: every text that says why something is so is null where there is none; the header says what a run is resumed with
# 7: cells may be counted instead of timed: results have counts, and the header says how they were counted
FORMAT = 7

Outcome = Literal["passed", "failed", "error", "crashed", "timeout", "unsupported", "unavailable", "skipped"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
WRONG = frozenset({"failed", "error", "crashed", "timeout"})
RAN = frozenset({"passed"}) | WRONG
# Reasons, or their beginnings or ends, that distinguish results with the same outcome:
NO_PASS = "the budget ended before its first pass"
CANNOT_TELL = "the machine cannot tell"  # prefix of the reason of a cell that was begun and could not be decided
NOT_LOADED = "its plugin did not load"  # prefix of the reason if a plugin loads in the command, but not in a worker
NOT_OFFERED = "no plugin hands it over"  # prefix of the reason if no plugin registers an unavailable backend
REFUSED = "its call refused what it supports"  # prefix of the reason if a call of a supported problem was refused
GAVE_UP = "the rest is not tried"  # suffix of the reason of cells skipped because earlier ones ended the worker
VACUOUS_QUOTA = 0.02  # largest share of a backend's passed results that may prove nothing in a successful run


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Result of one cell.

    arm: name of the arm, equal to `backend` for a backend without an environment of its own. backend: registered name.
    reason: why, if the outcome is not passed, or a remark; None without one.
    """

    cell: Whole
    suite: str
    kind: CellKind
    arm: str
    backend: str
    label: str
    problem: str
    law: str
    formula: str = ""
    multiplicity: Whole = 1
    outcome: Outcome
    reason: str | None = None
    route: Route
    deviation: Deviation | None = None
    measurement: Measurement | None = None
    counts: Counts | None = None
    seconds: float = 0.0
    worker: Whole = 0
    role: Role = ""  # of its law: what else reads the result
    slowdown: float | None = None  # in a qualification, the share of a call added as known work
    threads: Whole = 0  # of a law's worker; 0 if unknown or left to the libraries

    @property
    def told(self) -> str:
        """Outcome and reason in words; the outcome alone if there is no reason."""
        return f"{self.outcome}: {self.reason}" if self.reason else self.outcome

    @property
    def untold(self) -> bool:
        """True if the machine cannot tell whether its times are true, or whether it lacked memory."""
        return self.outcome == "skipped" and (self.reason or "").startswith(CANNOT_TELL)

    @property
    def refused(self) -> bool:
        """True if a call was refused, by an exception of the backend's library, although it supports the problem."""
        return self.outcome == "unsupported" and (self.reason or "").startswith(REFUSED)

    @property
    def refused_itself(self) -> bool:
        """True if the call that was refused was of its own problem, and not of one next to it."""
        return self.refused and (self.reason or "").startswith(f"{REFUSED}: ")

    @property
    def declined(self) -> bool:
        """True if it was not asked because of the work or the memory that its backend declares."""
        return self.outcome == "skipped" and (self.reason or "").endswith(DECLINED)

    @property
    def unreached(self) -> bool:
        """True if the budget ended before the cell was timed, so that nothing is known of it."""
        return self.outcome == "skipped" and self.reason == NO_PASS

    @property
    def attachments(self) -> Attachments | None:
        """Data that its law, or its verification, attached for the report; None if there are none."""
        return None if self.deviation is None else self.deviation.attachments

    @property
    def lacks(self) -> str | None:
        """Name of what this success is without, `times` or `counts`; None if it has what its kind needs."""
        if self.outcome != "passed":
            return None
        if self.kind == "count":
            return None if self.counts is not None else "counts"
        timed = self.measurement is not None and self.measurement.passes
        return None if self.kind != "speed" or timed else "times"

    @property
    def vacuous(self) -> bool:
        """True if the result passed by a comparison that proves nothing."""
        return self.outcome == "passed" and self.deviation is not None and self.deviation.proves_nothing

    @property
    def idle(self) -> str | None:
        """Reason why its law had nothing to check in this backend; None if it had something."""
        return None if self.deviation is None else self.deviation.idle


def result_of(cell: Cell, outcome: Outcome, **more: Any) -> Result:
    """Build a result with the identity of its cell.

    more: other fields of the result.
    """
    return Result(
        cell=cell.number, suite=cell.suite, kind=cell.kind, arm=cell.arm, backend=cell.backend, label=cell.label,
        problem=cell.line, law=cell.law, role=cell.role, slowdown=cell.slowdown, multiplicity=cell.multiplicity,
        route=cell.route, outcome=outcome, **more,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """Peak rates of this machine in this run: GEMM in GFLOP/s per dtype, copy bandwidth in GB/s, also by bytes."""

    device: str
    gemm_gflops: dict[str, float]
    copy_gbs: float
    copy_by_bytes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRecord:
    """An arm of the run: a backend in an environment; the first arm of a family is the base of the others.

    text: the arm on the command line, without its label.
    switch: kind of the instruction set that is the only difference from the previous arm, if `--isa` created the arm.
    """

    name: str
    backend: str
    text: str = ""
    family: str = ""
    revision: str = ""
    interpreter: str = ""
    dirty: bool = False
    switch: Literal[SwitchName, ""] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Facts that are known before the first result.

    arm_names: of all arms, in the order of the run. arms: the given ones; empty if backends were given by name alone.
    parties: plugins of others that are judge and party, with what they bring in addition to a backend of this run.
    run: random name of the run. identity: what a command must have in common with this one to resume it, by name; empty
    if the run cannot be resumed. claims: about the backends, as they were when the run began; None for none.
    counting: how instructions are counted instead of times; None if times are taken.
    """

    format: Whole
    created: str
    command: str
    suites: tuple[str, ...]
    arm_names: tuple[str, ...]
    cells: Whole
    environment: dict[str, Any]
    plugins: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()  # limits and threads given by the user, to repeat a result
    arms: tuple[ArmRecord, ...] = ()
    gate: Gate | None = None
    bugs: tuple[AskedBug, ...] = ()
    parties: dict[str, tuple[str, ...]] = field(default_factory=dict)
    run: str = ""
    identity: dict[str, str] = field(default_factory=dict)
    claims: Claims | None = None
    counting: Counting | None = None

    @property
    def backend_of(self) -> dict[str, str]:
        """Map each arm to its backend: a given arm, one of a known bug, or the backend of that name."""
        known = {one.arm: one.backend for one in self.bugs} | {arm.name: arm.backend for arm in self.arms}
        return {name: known.get(name, name) for name in self.arm_names}

    @property
    def backends(self) -> tuple[str, ...]:
        """Names of the backends, in the order of the run."""
        return tuple(dict.fromkeys(self.backend_of.values()))

    @property
    def base_of(self) -> dict[str, str]:
        """Map each arm to the first arm of its family; without arms, each backend to the first one."""
        families = {arm.name: arm.family for arm in self.arms} or dict.fromkeys(self.arm_names, "")
        first = {family: name for name, family in reversed(families.items())}
        return {name: first[family] for name, family in families.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Facts that are known after the last result; a run without it is incomplete."""

    complete: bool
    reason: str | None = None
    seconds: float = 0.0
    timed_s: float = 0.0
    speed_wall_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """One continuation of a run after an interruption.

    at, stopped: when it went on, and when its journal was written last before. reason: of the end that the journal had
    by then; None after a kill. results: number of recorded results. spent_s: seconds of all parts before. sealed: True
    if the records were compared with their seal. changed: facts of the machine that differ, as (before, now), by name.
    """

    at: str
    stopped: str
    reason: str | None = None
    results: int = 0
    spent_s: float = 0.0
    sealed: bool = False
    changed: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run read from its directory: header, results, peaks and ending.

    Counts are computed on first access and cached.
    """

    path: Path
    header: Header
    results: tuple[Result, ...] = ()
    measured_peaks: tuple[Peak, ...] = ()
    versions: dict[str, dict[str, str]] = field(default_factory=dict)  # by arm: of its libraries
    unavailable: dict[str, str] = field(default_factory=dict)  # by arm: why its backend cannot run
    offered: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by arm: backends registered by its plugins
    instruction_sets: dict[str, dict[str, str]] = field(default_factory=dict)  # by arm: as reported by its libraries
    files: dict[str, dict[str, str]] = field(default_factory=dict)  # by arm: its own files that it loaded, with SHA-256
    ending: Ending | None = None
    resumptions: tuple[Resumption, ...] = ()
    torn: bool = False  # whether the last line of the journal is incomplete
    damage: tuple[str, ...] = ()  # what else is damaged, missing or repeated in the journal

    @property
    def peaks(self) -> tuple[Peak, ...]:
        """Best rates of each device over all passes of this run."""
        return self.best_peaks(self.measured_peaks)

    @staticmethod
    def best_peaks(measured: Sequence[Peak]) -> tuple[Peak, ...]:
        """Return the best rates of each device over several measurements."""
        best: dict[str, Peak] = {}
        for peak in measured:
            known = best.get(peak.device, peak)
            rates = {dtype: max(rate, known.gemm_gflops.get(dtype, 0.0)) for dtype, rate in peak.gemm_gflops.items()}
            copies = {size: max(rate, known.copy_by_bytes.get(size, 0.0)) for size, rate in peak.copy_by_bytes.items()}
            best[peak.device] = Peak(
                device=peak.device, gemm_gflops=known.gemm_gflops | rates, copy_gbs=max(peak.copy_gbs, known.copy_gbs),
                copy_by_bytes=known.copy_by_bytes | copies,
            )  # fmt: skip
        return tuple(best.values())

    @property
    def complete(self) -> bool:
        """True if every planned cell has a result, the run ended normally and its journal is whole."""
        whole = not self.torn and not self.damage
        return whole and self.ending is not None and self.ending.complete and len(self.results) == self.header.cells

    @cached_property
    def counts(self) -> dict[str, int]:
        """Number of results by outcome, with zeros."""
        return count_outcomes(self.results)

    @cached_property
    def vacuous(self) -> int:
        """Number of passed results that compared nothing, or only against bounds as large as the values."""
        return sum(result.vacuous for result in self.results if result.outcome == "passed")

    @cached_property
    def overdrawn(self) -> dict[str, tuple[int, int]]:
        """Arms with too many passed results that prove nothing (see `find_overdrawn`), in the order of the run."""
        found = find_overdrawn(self.results)
        return {arm: found[arm] for arm in self.header.arm_names if arm in found}


def count_outcomes(results: Iterable[Result]) -> dict[str, int]:
    """Count results by outcome, with zeros."""
    return {**dict.fromkeys(OUTCOMES, 0), **Counter(result.outcome for result in results)}


def find_overdrawn(results: Iterable[Result]) -> dict[str, tuple[int, int]]:
    """Map arms with more passed results that prove nothing than VACUOUS_QUOTA permits to (number, all passed).

    Results of laws with nothing to check count as passed, but not as weak; they are reported separately
    (`describe_idle`).
    """
    done = [result for result in results if result.outcome == "passed"]
    passed = Counter(result.arm for result in done)
    vacuous = Counter(result.arm for result in done if result.vacuous and not result.idle)
    return {arm: (vacuous[arm], number) for arm, number in passed.items() if vacuous[arm] > VACUOUS_QUOTA * number}

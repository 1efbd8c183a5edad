"""Results and runs: frozen values that hold raw samples; statistics are derived from them later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.backend.routing import Route
from harness.laws.deviation import Deviation
from harness.laws.exhibit import Exhibit
from harness.plan.bug import AskedBug
from harness.plan.cell import Cell
from harness.plan.gate import Gate

# Formats, every one of which can be read:
# 1: header.json, journal.jsonl, results.parquet, samples.parquet
# 2: passes have blocks (blocks.parquet), memory and host time; results leave their passes to the journal's own
#    entries; peaks have copy rates by size; the header has arms and the gate
FORMAT = 2

Outcome = Literal["passed", "failed", "error", "crashed", "timeout", "unsupported", "unavailable", "skipped"]
OUTCOMES: tuple[Outcome, ...] = (
    "passed", "failed", "error", "crashed", "timeout", "unsupported", "unavailable", "skipped",
)  # fmt: skip
WRONG = frozenset({"failed", "error", "crashed", "timeout"})
RAN = frozenset({"passed"}) | WRONG
# What begins or ends a reason, or is one, and tells outcomes of one name apart:
NO_PASS = "the budget ended before its first pass"
NOT_OFFERED = "no plugin hands it over"  # begins the reason why a backend is unavailable that is not there at all
GAVE_UP = "the rest is not tried"  # ends the reason of cells that are skipped since those before ended the worker
VACUOUS_QUOTA = 0.02  # of a backend's passed results may prove nothing; more than that is not a success


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One visit to an arm: `count` samples of its pass, in order, and what the machine did meanwhile.

    visit: place among the blocks of its contest in this pass.
    control_ns: the control kernel, just before; wall_ns: of the whole visit, seen from outside the process.
    cpu_ns, span_ns, waited_ns: from the begin of every sample to its end, as the process sees it: processor time of the
        process and all that it started, wall time, and how long its first thread waited for a core.
    visit_cpu_ns, visit_waited_ns: the same of the whole visit, seen from outside (the former 0 where it had not been
        stopped before); delayed_ns: waiting of the harness.
    readings: counters of the machine by name; dropped: why the rule leaves the block out, empty where it counts.
    """

    visit: int
    count: int
    warmups: int = 0
    wall_ns: int = 0
    control_ns: int = 0
    cpu_ns: int = 0
    span_ns: int = 0
    waited_ns: int = 0
    visit_cpu_ns: int = 0
    visit_waited_ns: int = 0
    delayed_ns: int = 0
    readings: dict[str, float] = field(default_factory=dict)
    dropped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Raw samples of one cell in one fresh process; each sample is the mean of `loops` calls, in ns per call.

    prepare_ns: planning, allocation and algorithm search; first_call_ns: the call after it.
    memory_bytes: how far the peak of memory rose in both; workspace_bytes: what the backend declares.
    host_ns: host time of the samples, where the clock is a device's.
    """

    number: int
    process: int
    loops: int
    warmups: int
    clock: str
    device: str
    prepare_ns: int
    first_call_ns: int
    samples_ns: tuple[float, ...]
    verify_ns: int = 0  # comparing outputs with the reference, before and after timing
    spent_ns: int = 0  # all of this pass in the worker
    blocks: tuple[Block, ...] = ()
    memory_bytes: int = 0
    workspace_bytes: int = 0
    host_ns: float = 0.0
    mode: Literal["hot", "cold"] = "hot"

    @property
    def cores(self) -> float | None:
        """Cores that the calls kept busy: processor time over wall time of the samples; None where it is unknown."""
        blocks = [block for block in self.blocks if not block.dropped]
        span_ns = sum(block.span_ns for block in blocks)
        return sum(block.cpu_ns for block in blocks) / span_ns if span_ns else None

    @property
    def kept(self) -> tuple[tuple[float, ...], ...]:
        """The samples of every block that counts; all of them as one block where none are told apart."""
        if not self.blocks:
            return (self.samples_ns,)
        found, at = [], 0
        for block in self.blocks:
            if not block.dropped:
                found.append(self.samples_ns[at : at + block.count])
            at += block.count
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """All passes of a timed cell; the process is the unit of replication."""

    passes: tuple[Pass, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one cell."""

    cell: int
    suite: str
    kind: Literal["correctness", "consensus", "speed"]
    backend: str
    label: str
    problem: str
    law: str
    formula: str = ""
    multiplicity: int = 1
    outcome: Outcome
    reason: str = ""
    route: Route
    deviation: Deviation | None = None
    measurement: Measurement | None = None
    seconds: float = 0.0
    worker: int = 0
    threads: int = 0  # that a law's worker was started with; 0 where it is not known, or left to the libraries

    @property
    def exhibit(self) -> Exhibit | None:
        """What its law, or its verification, shows beside the verdict."""
        return None if self.deviation is None else self.deviation.exhibit

    @property
    def vacuous(self) -> bool:
        """Whether the result passed by a comparison that proves nothing."""
        return self.outcome == "passed" and self.deviation is not None and self.deviation.proves_nothing

    @property
    def idle(self) -> str:
        """Why its law had nothing to look at in this backend; empty where it had."""
        return "" if self.deviation is None else self.deviation.idle


def result_of(cell: Cell, outcome: Outcome, **more: Any) -> Result:
    """A result that carries its cell's identity."""
    return Result(
        cell=cell.number, suite=cell.suite, kind=cell.kind, backend=cell.backend, label=cell.label, problem=cell.line,
        law=cell.law, multiplicity=cell.multiplicity, route=cell.route, outcome=outcome, **more,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """What this machine reached in this run: GEMM in GFLOP/s per dtype, copy bandwidth in GB/s (also by bytes)."""

    device: str
    gemm_gflops: dict[str, float]
    copy_gbs: float
    copy_by_bytes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRecord:
    """An arm as it was: which backend in which environment; the first of a family is the base of the others.

    text: as the command line takes it, without a label.
    switch: the kind of instruction set that alone tells it from the arm before it, where `--isa` made it.
    """

    name: str
    backend: str
    text: str = ""
    family: str = ""
    revision: str = ""
    interpreter: str = ""
    dirty: bool = False
    switch: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What is known before the first result."""

    format: int
    created: str
    command: str
    suites: tuple[str, ...]
    backends: tuple[str, ...]
    cells: int
    environment: dict[str, Any]
    plugins: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()  # limits and threads that the user gave, for repeating a result
    arms: tuple[ArmRecord, ...] = ()
    gate: Gate | None = None
    bugs: tuple[AskedBug, ...] = ()

    @property
    def base_of(self) -> dict[str, str]:
        """The base of every arm, by names: the first of its family; without arms, the first backend is all others'."""
        families = {arm.name: arm.family for arm in self.arms} or dict.fromkeys(self.backends, "")
        first = {family: name for name, family in reversed(families.items())}
        return {name: first[family] for name, family in families.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What is known after the last result; a run without it is incomplete."""

    complete: bool
    reason: str = ""
    seconds: float = 0.0
    timed_s: float = 0.0
    speed_wall_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Run:
    """A run directory as it was read: header, results, peaks, and whether it came to its end."""

    path: Path
    header: Header
    results: tuple[Result, ...] = ()
    measured_peaks: tuple[Peak, ...] = ()
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    offered: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by arm: all backends of its plugins, there
    instruction_sets: dict[str, dict[str, str]] = field(default_factory=dict)  # by arm: what its libraries said
    files: dict[str, dict[str, str]] = field(default_factory=dict)  # by arm: what it loaded of its own, with SHA-256
    ending: Ending | None = None
    torn: bool = False

    @property
    def peaks(self) -> tuple[Peak, ...]:
        """The best that each device reached in any pass of this run."""
        return self.best_peaks(self.measured_peaks)

    @staticmethod
    def best_peaks(measured: Sequence[Peak]) -> tuple[Peak, ...]:
        """The best that each device reached in several measurements."""
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
        """Whether every planned cell has its result and the run ended by itself."""
        return self.ending is not None and self.ending.complete and len(self.results) == self.header.cells

    @property
    def counts(self) -> dict[str, int]:
        """Number of results by outcome, every outcome named."""
        return count_outcomes(self.results)

    @property
    def vacuous(self) -> int:
        """Number of passed results that compared nothing, or only against bounds as large as the values."""
        return sum(result.vacuous for result in self.results)

    @property
    def overdrawn(self) -> dict[str, tuple[int, int]]:
        """Backends of which too many passed results prove nothing (see `find_overdrawn`), in the order of the run."""
        found = find_overdrawn(self.results)
        return {backend: found[backend] for backend in self.header.backends if backend in found}


def count_outcomes(results: Iterable[Result]) -> dict[str, int]:
    """Number of results by outcome, every outcome named."""
    counts: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
    for result in results:
        counts[result.outcome] += 1
    return counts


def find_overdrawn(results: Iterable[Result]) -> dict[str, tuple[int, int]]:
    """Backends of which more passed results prove nothing than VACUOUS_QUOTA: how many, of how many passed.

    A law that had nothing to look at made no weak comparison, and is told by itself (`describe_idle`).
    """
    passed, vacuous = Counter[str](), Counter[str]()
    for result in results:
        if result.outcome == "passed":
            passed[result.backend] += 1
            vacuous[result.backend] += result.vacuous and not result.idle
    return {
        backend: (vacuous[backend], number)
        for backend, number in passed.items()
        if vacuous[backend] > VACUOUS_QUOTA * number
    }

"""State of the timing stage, and the outcomes of its cells: kept passes, failures, and final results."""

from __future__ import annotations

import bisect
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from harness.analysis.forecast import Forecast
from harness.analysis.plausibility import describe_too_fast
from harness.backend.base import Backend
from harness.execution.context import Execution, estimate_cell
from harness.execution.worker_process import Worker, WorkerDiedError
from harness.measure.device_clock import POWER_CAP, Gpu
from harness.plan.cell import Cell
from harness.record.journal import PassEntry, PeakEntry
from harness.record.passes import Block, Measurement, Pass
from harness.record.run import result_of
from harness.worker.protocol import Checked, Measured, MeasurePeak, Sampled

PEAK_LIMIT_S = 120.0
USUAL_AFTER = 3  # blocks after which the median of the device's clock counts as the usual clock
Timed = tuple[Block, Sampled]
Turn = tuple[Cell, Pass, Sequence[Timed]]  # the facts of a pass, and its blocks


@dataclass(slots=True)
class TimingState:
    """Measured passes, cells that are done, and cells that have no time; all by number of the cell.

    last: last reply to `prepare`, the seconds it took and the process number.
    restored: numbers of the passes that earlier parts of a resumed run have timed. took_s: seconds of these passes.
    forecasts: of undecided cells at the last look, one
        for every change whose exclusion decides the cell. turns_s: seconds of the passes of each contest, by
        number of its first cell; starts_s: seconds in which workers started. shown_s: progress that was shown.
    control_ns, device_mhz: sorted times of the control kernel, and clocks of the device after blocks, in this run so
        far.
    """

    execution: Execution
    measured: dict[int, list[Pass]] = field(default_factory=lambda: defaultdict(list))
    last: dict[int, tuple[Checked, float, int]] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    restored: dict[int, frozenset[int]] = field(default_factory=dict)
    took_s: list[float] = field(default_factory=list)
    control_ns: list[int] = field(default_factory=list)
    device_mhz: list[float] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)
    forecasts: dict[int, tuple[Forecast, ...]] = field(default_factory=dict)
    turns_s: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    starts_s: list[float] = field(default_factory=list)
    shown_s: float = 0.0

    def show(self, seconds: float) -> None:
        """Count seconds as progress; fewer than none where more is left than was thought."""
        self.shown_s += seconds
        self.execution.watch.advance(seconds)

    def backend(self, cell: Cell) -> Backend:
        """Return the backend of a cell."""
        return self.execution.registry.backends[cell.backend]

    def note_control(self, control_ns: int) -> float:
        """Add a time of the control kernel in ns; return the median so far."""
        bisect.insort(self.control_ns, control_ns)
        return float(self.control_ns[len(self.control_ns) // 2])

    def note_clock(self, gpu: Sequence[Gpu]) -> float:
        """Add the device's clock after a block; return the median in MHz of the blocks before, 0 if there are too few.

        A clock lowered by the power cap under heavy load is not added, as it is not the usual clock for other work.
        """
        before = self.device_mhz[len(self.device_mhz) // 2] if len(self.device_mhz) >= USUAL_AFTER else 0.0
        if gpu and not gpu[-1].reasons & POWER_CAP:
            bisect.insort(self.device_mhz, gpu[-1].sm_mhz)
        return before


def keep_turn(state: TimingState, turn: Sequence[Turn]) -> None:
    """Write the passes of all cells of a contest to disk before the next contest begins: all of them count, or none.

    state: of the timing stage.
    turn: each cell with the facts of its pass, without samples, and its blocks with the worker's samples.
    """
    execution = state.execution
    for more, (cell, facts, blocks) in zip(reversed(range(len(turn))), turn, strict=True):
        one = _join_blocks(facts, blocks)
        reply = state.last[cell.number][0]
        execution.journal.append(
            PassEntry(
                cell.number, one, more=more, spent_s=round(time.monotonic() - state.begun, 3), reason=reply.reason,
                deviation=reply.deviation,
            )
        )  # fmt: skip
        state.measured[cell.number].append(one)
        execution.timed_s += sum(reply.timed_ns for _, reply in blocks) / 1e9
        if execution.plan.gate is None:
            passes = execution.registry.suites[cell.suite].timing.passes
            execution.watch.advance(estimate_cell(execution.registry, cell) / passes)


def _join_blocks(facts: Pass, blocks: Sequence[Timed]) -> Pass:
    """Return a pass with the samples and sums of its blocks."""
    sampled = [reply for _, reply in blocks]
    return replace(
        facts, samples_ns=tuple(value for reply in sampled for value in reply.samples_ns),
        blocks=tuple(block for block, _ in blocks), host_ns=sum(reply.host_ns for reply in sampled),
        verify_ns=facts.verify_ns + sum(reply.verify_ns for reply in sampled),
        spent_ns=facts.spent_ns + sum(reply.spent_ns for reply in sampled),
    )  # fmt: skip


def keep_doubted(state: TimingState, cell: Cell, facts: Pass, blocks: Sequence[Timed]) -> None:
    """Write the pass of an accused cell, which has no part in its result.

    That follows the result, so that the pass does not count if the run is killed in between.
    state: of the timing stage.
    facts: of the pass, without samples.
    blocks: of the pass, with the worker's samples.
    """
    state.execution.journal.append(PassEntry(cell.number, _join_blocks(facts, blocks)))


def fail(state: TimingState, cell: Cell, reply: Checked) -> None:
    """Record a cell that cannot be timed, or can no longer be.

    state: of the timing stage.
    reply: its outcome, with the reason.
    """
    _, seconds, pid = state.last[cell.number]
    state.done.add(cell.number)
    state.failed.add(cell.number)
    state.measured.pop(cell.number, None)
    gated = state.execution.plan.gate is not None
    state.execution.record(
        result_of(cell, reply.outcome, reason=reply.reason, deviation=reply.deviation, seconds=seconds, worker=pid),
        0.0 if gated else estimate_cell(state.execution.registry, cell),
    )


def conclude(state: TimingState, cell: Cell, passes: Sequence[Pass], lie: Checked | None) -> None:
    """Record a cell that was timed to its end.

    state: of the timing stage.
    passes: of the cell, at least one.
    lie: outcome of a cell whose times cannot be shown; None for times that are possible.
    """
    reply, seconds, pid = state.last[cell.number]
    found = lie or reply
    state.execution.record(
        result_of(
            cell, found.outcome, reason=found.reason, deviation=reply.deviation, seconds=seconds, worker=pid,
            measurement=None if lie else Measurement(passes=tuple(passes)),
        )
    )  # fmt: skip


def find_impossible(state: TimingState, cell: Cell, passes: Sequence[Pass]) -> str | None:
    """Return why a cell's times are below what the machine can do; None if they are not.

    state: of the timing stage.
    passes: of the cell.
    The peak was measured with the number of threads of the arms, which not every thread pool obeys: it is scaled to all
    cores.
    """
    execution = state.execution
    cores = int(execution.run.header.environment.get("cores", 1))
    spare = max(1.0, cores / (execution.threads or cores))
    foreign = bool(execution.plan.arm(cell.arm).environment.interpreter)
    return describe_too_fast(cell.problem, state.backend(cell), passes, execution.peaks, spare, foreign=foreign)


def measure_machine(state: TimingState, *, quick: bool) -> None:
    """Measure the peaks of the devices in a separate worker, with the same number of threads as the backends."""
    for device in sorted({state.backend(cell).device for cell in state.execution.cells_of("speed")}):
        with open_machine(state, device) as measure:
            measure(quick=quick)


@contextmanager
def open_machine(state: TimingState, device: str) -> Iterator[Callable[..., None]]:
    """Open a worker that measures peaks; yield `measure(quick=...)`, which adds a peak to those of the run."""
    execution = state.execution
    worker = Worker(execution.path / "workers" / "machine.log", execution.threads)

    def measure(*, quick: bool) -> None:
        execution.watch.working("machine", f"peak of products and copies on {device}")
        try:
            request = MeasurePeak(device=device, quick=quick)
            reply = worker.ask(request, PEAK_LIMIT_S, execution.plan.limits.memory_bytes)
            assert isinstance(reply, Measured)
            execution.journal.append(PeakEntry(reply.peak))
            execution.peaks.append(reply.peak)
        except WorkerDiedError as error:
            execution.watch.working("machine", f"peak of {device} not measured: {error}")

    try:
        yield measure
    finally:
        worker.close()

"""Timing problems: passes of fresh processes, in which all arms of a contest take turns in short blocks.

In a pass every contest is visited in shuffled order. An arm that is not being timed is suspended. The order of the
blocks reads the same from both ends (ABBA), so that a drift of the machine meets all arms alike.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from harness.execution import Execution, estimate_cell
from harness.plan.cell import Cell
from harness.plan.suite import Timing
from harness.record.journal import PassEntry, PeakEntry
from harness.record.run import Block, Measurement, Pass, result_of
from harness.timing.contamination import RULE, contaminated, difference, read_counters
from harness.timing.control import measure_control
from harness.timing.lease import hold_device
from harness.timing.plausibility import describe_clock_lie, describe_too_fast
from harness.timing.standing import DECIDED
from harness.timing.statistics import log_ratios
from harness.timing.verdict import judge
from harness.worker.crew import Crew
from harness.worker.process import Worker, WorkerDiedError
from harness.worker.protocol import Checked, Measured, MeasurePeak, Sampled

PROBE_EVERY = 8  # passes in which it is asked anew whether times can be true, and what the machine can do
PEAK_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Contest:
    """One problem and the cells, one for each arm of a family, that are timed on it in turns."""

    cells: tuple[Cell, ...]
    timing: Timing

    @property
    def isolated(self) -> bool:
        """Whether its processes time nothing else."""
        return any(cell.isolate for cell in self.cells)


@dataclass(slots=True)
class Race:
    """The state of the timing stage: what was measured, which cells are done, and which of them have no time."""

    execution: Execution
    measured: dict[int, list[Pass]] = field(default_factory=lambda: defaultdict(list))
    last: dict[int, tuple[Checked, float, int]] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    control_ns: list[int] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)


def time_problems(execution: Execution) -> None:
    """Time all contests, as many passes as their suites or the gate ask for."""
    contests = make_contests(execution)
    if not contests:
        return
    devices = sorted({execution.registry.backends[execution.plan.arm(c.backend).backend].device
                      for contest in contests for c in contest.cells})  # fmt: skip
    race = Race(execution)
    with ExitStack() as stack:
        for device in devices:
            stack.enter_context(
                hold_device(device, execution.lease_wait_s, lambda text: execution.watch.working("machine", text))
            )
        begun = time.monotonic()
        race.begun = begun
        try:
            run_passes(race, contests)
        finally:
            execution.wall_s = time.monotonic() - begun
        for contest in contests:
            for cell in contest.cells:
                conclude(race, cell)


def make_contests(execution: Execution) -> list[Contest]:
    """Group the cells of the plan by problem and family of arms."""
    groups: dict[tuple[str, str, str], list[Cell]] = defaultdict(list)
    for cell in execution.cells_of("speed"):
        groups[cell.suite, cell.line, execution.plan.arm(cell.backend).family].append(cell)
    suites, gate = execution.registry.suites, execution.plan.gate
    timings = {name: suite.timing for name, suite in suites.items()}
    if execution.plan.mode is not None:
        timings = {name: replace(timing, mode=execution.plan.mode) for name, timing in timings.items()}
    if gate is not None:
        seconds = gate.blocks * gate.block_s
        timings = {name: replace(timing, blocks=gate.blocks, sample_s=seconds) for name, timing in timings.items()}
    return [Contest(tuple(cells), timings[cells[0].suite]) for cells in groups.values()]


def run_passes(race: Race, contests: Sequence[Contest]) -> None:
    """Add passes until every contest has those of its suite, or the gate has decided or spent its budget."""
    gate, number, longest = race.execution.plan.gate, 0, 0.0
    while going := [contest for contest in contests if goes_on(race, contest, number)]:
        begun = time.monotonic()
        if gate is not None and number and begun - race.begun + longest > gate.budget_s:
            break
        run_pass(race, going, number)
        longest = time.monotonic() - begun  # passes become shorter as cells are decided
        number += 1
        if gate is not None and number in gate.looks:
            look(race, contests)


def goes_on(race: Race, contest: Contest, number: int) -> bool:
    """Whether a contest takes part in the next pass."""
    gate = race.execution.plan.gate
    if not any(cell.number not in race.done for cell in contest.cells):
        return False
    return number < (gate.looks[-1] if gate is not None else contest.timing.passes)


def look(race: Race, contests: Sequence[Contest]) -> None:
    """Judge all cells; those that are decided are done."""
    gate = race.execution.plan.gate
    assert gate is not None
    groups: dict[str, dict[int, list[float]]] = defaultdict(dict)
    for contest in contests:
        base, *others = contest.cells
        for cell in others:
            ratios = log_ratios(race.measured.get(base.number, ()), race.measured.get(cell.number, ()))
            groups[cell.suite if gate.apart else ""][cell.number] = ratios
    judged = {number: j for group in groups.values() for number, j in judge(group, gate.design).items()}
    race.done |= {number for number, judgement in judged.items() if judgement.verdict in DECIDED}
    for contest in contests:
        base, *others = contest.cells
        if base.number in race.failed:  # there is nothing to compare the others with
            race.done |= {cell.number for cell in others}
        elif all(cell.number in race.done for cell in others):
            race.done.add(base.number)
    left = sum(number not in race.done for number in judged)
    spent = time.monotonic() - race.begun
    race.execution.watch.working("gate", f"{left} of {len(judged)} cells undecided after {spent:.0f} s")


def run_pass(race: Race, contests: Sequence[Contest], number: int) -> None:
    """One pass: fresh processes for all arms, every contest once; isolated contests get processes of their own."""
    if number % PROBE_EVERY == 0:
        measure_machine(race, quick=number > 0)
    together = [contest for contest in contests if not contest.isolated]
    random.Random(number).shuffle(together)
    for group in ([together] if together else []) + [[c] for c in contests if c.isolated]:
        with ExitStack() as stack:
            crews = start_crews(race, stack, {cell.backend for contest in group for cell in _alive(race, contest)})
            for contest in group:
                begun = time.monotonic()
                time_contest(race, contest, crews, number)
                if race.execution.plan.gate is not None:  # what is left is then a matter of time, not of cells
                    race.execution.watch.advance(time.monotonic() - begun)


def start_crews(race: Race, stack: ExitStack, arms: Iterable[str]) -> dict[str, Crew]:
    """Start a worker for every arm, side by side, and suspend them."""
    execution = race.execution
    crews = {arm: stack.enter_context(execution.crew(arm, execution.threads)) for arm in sorted(arms)}

    def start(crew: Crew) -> None:
        try:
            crew.launch()
        except WorkerDiedError as error:
            crew.died(error)

    execution.watch.working("workers", f"starting {len(crews)}")
    with ThreadPoolExecutor(execution.jobs) as pool:
        list(pool.map(start, crews.values()))
    for crew in crews.values():
        execution.introduce(crew)
        crew.suspend()
    return crews


def _alive(race: Race, contest: Contest) -> list[Cell]:
    """The cells of a contest that are still timed: the undecided ones, and the base that they are compared with."""
    left = [cell for cell in contest.cells if cell.number not in race.done]
    base = contest.cells[0]
    return left if not left or base in left or base.number in race.failed else [base, *left]


def time_contest(race: Race, contest: Contest, crews: dict[str, Crew], number: int) -> None:
    """Make the problem ready in every arm, then time blocks in turns, and put the passes on disk."""
    execution, ready = race.execution, []
    shuffle = random.Random(f"{number} {contest.cells[0].line}")
    cells = _alive(race, contest)
    shuffle.shuffle(cells)
    for cell in cells:
        passes = contest.timing.passes if execution.plan.gate is None else "?"
        execution.watch.working(cell.backend, f"pass {number + 1}/{passes}  {cell.label}  {cell.problem.operator}")
        crew = crews[cell.backend]
        crew.resume()
        reply, seconds, pid = crew.prepare(cell, number, contest.timing.mode, probe=number % PROBE_EVERY == 0)
        crew.suspend()
        race.last[cell.number] = reply, seconds, pid
        if reply.samples is None:
            fail(race, cell, reply)
        else:
            ready.append((cell, reply.samples))
    found: dict[int, list[tuple[Block, Sampled]]] = {cell.number: [] for cell, _ in ready}
    for visit, cell in enumerate(order_blocks([cell for cell, _ in ready], contest.timing.blocks, shuffle)):
        if cell.number in found:
            block = time_block(race, cell, crews[cell.backend], contest.timing, visit)
            if isinstance(block, Checked):
                fail(race, cell, block)
                del found[cell.number]
            else:
                found[cell.number].append(block)
    for cell, facts in ready:
        crews[cell.backend].resume()
        crews[cell.backend].release()
        crews[cell.backend].suspend()
        if cell.number in found:
            keep(race, cell, facts, found[cell.number])


def order_blocks(cells: Sequence[Cell], blocks: int, shuffle: random.Random) -> Iterator[Cell]:
    """ABBA for any number of arms: a shuffled order and its reverse, anew for every two blocks."""
    for _ in range(blocks // 2):
        order = list(cells)
        shuffle.shuffle(order)
        yield from order
        yield from reversed(order)


def time_block(
    race: Race, cell: Cell, crew: Crew, timing: Timing, visit: int
) -> tuple[Block, Sampled] | Checked:  # fmt: skip
    """Wake an arm, time a block, suspend it again; with the control kernel before and the machine's counters around."""
    control_ns = measure_control()
    race.control_ns.append(control_ns)
    pids = [crew.worker.pid] if crew.worker is not None else []
    before = read_counters(pids)
    crew.resume()
    begun = time.perf_counter_ns()
    reply, _, _ = crew.sample(cell, timing)
    wall_ns = time.perf_counter_ns() - begun
    after = read_counters(pids)
    crew.suspend(look_again=False)
    if isinstance(reply, Checked):
        return reply
    reading = difference(before, after)
    return Block(
        visit=visit, count=len(reply.samples_ns), warmups=reply.warmups, wall_ns=wall_ns, control_ns=control_ns,
        readings=reading.values, dropped=contaminated(reading, control_ns, usual_control(race), RULE),
    ), reply  # fmt: skip


def usual_control(race: Race) -> float:
    """Median of the control kernel in this run so far."""
    ordered = sorted(race.control_ns)
    return float(ordered[len(ordered) // 2])


def keep(race: Race, cell: Cell, facts: Pass, blocks: Sequence[tuple[Block, Sampled]]) -> None:
    """Put the pass of a cell on disk, before the next contest begins."""
    lie = describe_clock_lie([(s.timed_ns, s.spent_ns, block.wall_ns) for block, s in blocks])
    if lie:
        fail(race, cell, Checked("error", lie))
        return
    samples = tuple(value for _, sampled in blocks for value in sampled.samples_ns)
    one = replace(
        facts, samples_ns=samples, blocks=tuple(block for block, _ in blocks),
        host_ns=sum(sampled.host_ns for _, sampled in blocks),
        verify_ns=facts.verify_ns + sum(sampled.verify_ns for _, sampled in blocks),
        spent_ns=facts.spent_ns + sum(sampled.spent_ns for _, sampled in blocks),
    )  # fmt: skip
    execution = race.execution
    race.measured[cell.number].append(one)
    execution.timed_s += sum(sampled.timed_ns for _, sampled in blocks) / 1e9
    execution.journal.append(PassEntry(cell.number, one))
    if execution.plan.gate is None:
        passes = execution.registry.suites[cell.suite].timing.passes
        execution.watch.advance(estimate_cell(execution.registry, cell) / passes)


def fail(race: Race, cell: Cell, reply: Checked) -> None:
    """Record a cell that cannot be timed (any more)."""
    _, seconds, pid = race.last[cell.number]
    race.done.add(cell.number)
    race.failed.add(cell.number)
    race.measured.pop(cell.number, None)
    gated = race.execution.plan.gate is not None
    race.execution.record(
        result_of(cell, reply.outcome, reason=reply.reason, deviation=reply.deviation, seconds=seconds, worker=pid),
        0.0 if gated else estimate_cell(race.execution.registry, cell),
    )


def conclude(race: Race, cell: Cell) -> None:
    """Record a cell that was timed to its end, unless the machine cannot have been that fast."""
    if cell.number in race.failed:
        return
    passes = race.measured.get(cell.number)
    if not passes:
        race.execution.record(result_of(cell, "skipped", reason="the budget ended before its first pass"))
        return
    reply, seconds, pid = race.last[cell.number]
    registry, peaks = race.execution.registry, race.execution.peaks
    backend = registry.backends[race.execution.plan.arm(cell.backend).backend]
    lie = describe_too_fast(cell.problem, backend, passes, peaks)
    if lie:  # before anybody is accused, the machine gets another chance to show what it can do
        measure_machine(race, quick=False)
        lie = describe_too_fast(cell.problem, backend, passes, peaks)
    measurement = None if lie else Measurement(passes=tuple(passes))
    race.execution.record(
        result_of(
            cell, "error" if lie else reply.outcome, reason=lie or reply.reason, deviation=reply.deviation,
            seconds=seconds, worker=pid, measurement=measurement,
        )
    )  # fmt: skip


def measure_machine(race: Race, *, quick: bool) -> None:
    """Measure the machine's own peak in a worker of its own, with the threads that the backends get."""
    execution = race.execution
    execution.watch.working("machine", "peak of GEMM and copy")
    worker = Worker(execution.path / "workers" / "machine.log", execution.threads)
    try:
        reply = worker.ask(MeasurePeak(quick=quick), PEAK_LIMIT_S, execution.plan.limits.memory_bytes)
        assert isinstance(reply, Measured)
        execution.journal.append(PeakEntry(reply.peak))
        execution.peaks.append(reply.peak)
    except WorkerDiedError as error:
        execution.watch.working("machine", f"peak not measured: {error}")
    finally:
        worker.close()

"""Timing stage: passes in fresh processes, in which all arms of a contest take turns in short blocks.

A pass visits the contests in shuffled order. Arms that are not being timed are suspended. The order of the blocks is a
palindrome (ABBA), so that a drift of the machine affects all arms alike.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

from harness.analysis.plausibility import IMPOSSIBLE
from harness.execution.contests import Contest, make_contests
from harness.execution.context import Execution, estimate_run
from harness.execution.looking import choose_contests, count_passes, expect_pass, find_next_pass, look, name_contest
from harness.execution.timed_block import time_block
from harness.execution.timing_restore import is_concluding, restore_passes
from harness.execution.timing_state import (
    Timed,
    TimingState,
    Turn,
    conclude,
    fail,
    find_impossible,
    keep_doubted,
    keep_turn,
    measure_machine,
)
from harness.execution.trial import Accusation, Trial, find_accusation, hold_trial
from harness.execution.worker_process import WorkerDiedError
from harness.execution.worker_supervisor import WorkerSupervisor
from harness.measure.device_lock import hold_device
from harness.plan.cell import Cell
from harness.record.passes import Pass
from harness.record.run import NO_PASS, result_of
from harness.worker.protocol import Checked

RESERVE = 1.25  # times the longer of the last two passes: remaining budget needed for another one
PROBE_EVERY = 8  # passes between repetitions of the honesty checks and of the machine's peak


def time_problems(execution: Execution) -> None:
    """Time all contests, with as many passes as their suites or the gate require."""
    contests = make_contests(execution)
    if not execution.recorded.missing(cell for contest in contests for cell in contest.cells):
        return
    state = TimingState(execution)
    devices = {state.backend(cell).device for contest in contests for cell in contest.cells}
    with ExitStack() as stack:
        for device in sorted(devices | {"cpu"}):  # the host launches the work of other devices and waits for it
            stack.enter_context(
                hold_device(device, execution.lease_wait_s, lambda text: execution.watch.working("machine", text))
            )
        begun = time.monotonic()
        gate = execution.plan.gate
        spent_s = restore_passes(state)
        state.begun = execution.begun if gate is not None and gate.whole else begun - spent_s
        if gate is not None and gate.whole:  # progress counts the budget from here on, whatever laws were to take
            laws_s = estimate_run(execution.registry, None, (c for c in execution.plan.cells if c.kind != "speed"))
            state.shown_s = max(laws_s, begun - state.begun)
            execution.watch.advance(state.shown_s - laws_s)
        try:
            if not is_concluding(execution):
                run_passes(state, contests)
        finally:
            execution.wall_s += time.monotonic() - begun
        for contest in contests:
            for cell in contest.cells:
                conclude_cell(state, contest, cell)


def conclude_cell(state: TimingState, contest: Contest, cell: Cell) -> None:
    """Record a cell that was timed to its end, or never; hold a trial if the machine cannot be so fast.

    state: of the timing stage.
    contest: of the cell.
    """
    if cell.number in state.failed or state.execution.recorded.has(cell):
        return
    passes, outcome = state.measured.get(cell.number), None
    if not passes:
        state.execution.record(result_of(cell, "skipped", reason=NO_PASS))
        return
    if (reason := find_impossible(state, cell, passes)) is not None:
        outcome = Checked("error", reason)
    if reason is not None and reason.startswith(
        IMPOSSIBLE
    ):  # else the backend raised where it was asked for its arithmetic
        with state.execution.supervisor(cell.arm, state.execution.threads) as supervisor:
            accusation = Accusation(reason, "speed")
            outcome = hold_trial(
                Trial(state=state, cell=cell, timing=contest.timing, supervisor=supervisor, accusation=accusation)
            )
    conclude(state, cell, passes, outcome)


def run_passes(state: TimingState, contests: Sequence[Contest]) -> None:
    """Add passes until every contest has those of its suite, or the gate has decided or spent its budget."""
    gate, took_s = state.execution.plan.gate, [0.0, *state.took_s]
    if gate is not None and state.restored:  # what the looks before the interruption decided follows from the passes
        look(state, contests)
    number = find_next_pass(state, contests)
    if state.restored and number % PROBE_EVERY:
        measure_machine(state, quick=True)
    while going := choose_contests(state, contests, number):
        begun = time.monotonic()
        # Passes become shorter as cells are decided, and longer when the machine is busy.
        if (
            gate is not None
            and number
            and begun - state.begun + RESERVE * expect_pass(state, going, took_s) > gate.budget_s
        ):
            break
        run_pass(state, going, number)
        took_s.append(time.monotonic() - begun)
        number += 1
        if gate is not None and any(count_passes(state, contest) in gate.looks for contest in going):
            look(state, contests)


def run_pass(state: TimingState, contests: Sequence[Contest], number: int) -> None:
    """Run one pass: fresh processes for all arms, every contest once; isolated contests get their own processes.

    state: of the timing stage.
    contests: the ones that are not finished.
    number: of the pass, from 0.
    """
    begun = time.monotonic()
    if number % PROBE_EVERY == 0:
        measure_machine(state, quick=number > 0)
    together = [contest for contest in contests if not contest.isolated]
    random.Random(number).shuffle(together)
    for group in ([together] if together else []) + [[c] for c in contests if c.isolated]:
        with ExitStack() as stack:
            started = time.monotonic()
            supervisors = start_supervisors(
                state, stack, {cell.arm for contest in group for cell in _alive(state, contest)}
            )
            if not group[0].isolated:  # an isolated contest has its start to itself
                state.starts_s.append(time.monotonic() - started)
                started = time.monotonic()
            for contest in group:
                time_contest(state, contest, supervisors, number)
                state.turns_s[name_contest(contest)].append(time.monotonic() - started)
                started = time.monotonic()
                if state.execution.plan.gate is not None:  # progress then counts time instead of cells
                    begun = advance(state, begun)


def advance(state: TimingState, begun: float) -> float:
    """Count all time since `begun` as progress, the start of workers too; return the time now."""
    now = time.monotonic()
    state.show(now - begun)
    return now


def start_supervisors(state: TimingState, stack: ExitStack, arms: Iterable[str]) -> dict[str, WorkerSupervisor]:
    """Start a worker for every arm in parallel, and suspend them all.

    state: of the timing stage.
    stack: closes the supervisors.
    """
    execution = state.execution
    supervisors = {arm: stack.enter_context(execution.supervisor(arm, execution.threads)) for arm in sorted(arms)}

    def start(supervisor: WorkerSupervisor) -> None:
        try:
            supervisor.launch()
        except WorkerDiedError as error:
            supervisor.died(error)

    execution.watch.working("workers", f"starting {len(supervisors)}")
    with ThreadPoolExecutor(execution.jobs) as pool:
        list(pool.map(start, supervisors.values()))
    for supervisor in supervisors.values():
        execution.introduce(supervisor)
        supervisor.suspend()
    return supervisors


def _alive(state: TimingState, contest: Contest) -> list[Cell]:
    """Return the cells of a contest that are still timed: the undecided ones and their base."""
    left, base = [cell for cell in contest.cells if cell.number not in state.done], contest.base
    return left if not left or base is None or base in left or base.number in state.failed else [base, *left]


def time_contest(state: TimingState, contest: Contest, supervisors: dict[str, WorkerSupervisor], number: int) -> None:
    """Prepare the problem in every arm, time blocks in turns, and write the passes to disk.

    state: of the timing stage.
    supervisors: by arm.
    number: of the pass, from 0.
    """
    shuffle = random.Random(f"{number} {contest.cells[0].line}")
    cells = _alive(state, contest)
    shuffle.shuffle(cells)
    ready = {
        cell.number: facts
        for cell in cells
        if (facts := prepare(state, contest, cell, supervisors, number)) is not None
    }
    cells = [cell for cell in cells if cell.number in ready]
    found: dict[int, list[Timed]] = {number: [] for number in ready}
    ended: dict[int, Checked] = {}
    for visit, cell in enumerate(order_blocks(cells, contest.timing.blocks, shuffle)):
        if cell.number in found:
            block = time_block(state, cell, supervisors[cell.arm], contest.timing, visit)
            if isinstance(block, Checked):
                ended[cell.number] = block
                del found[cell.number]
            else:
                found[cell.number].append(block)
    found = drop_rounds(found, 2 * len(cells))
    believed: list[Turn] = []
    for cell in cells:
        supervisor, accusation = supervisors[cell.arm], None
        if cell.number in found:
            accusation = find_accusation(found[cell.number], state.execution.threads)
            if accusation is None:
                believed.append((cell, ready[cell.number], found[cell.number]))
        elif ended[cell.number].accuses:
            accusation = Accusation(ended[cell.number].reason or "")
        if accusation is not None:
            ended[cell.number] = hold_trial(
                Trial(state=state, cell=cell, timing=contest.timing, supervisor=supervisor, accusation=accusation)
            )
        if cell.number in ended:
            fail(state, cell, ended[cell.number])
            if cell.number in found:
                keep_doubted(state, cell, ready[cell.number], found[cell.number])
        supervisor.resume()
        supervisor.release()
        supervisor.suspend()
    keep_turn(state, believed)


def prepare(
    state: TimingState, contest: Contest, cell: Cell, supervisors: dict[str, WorkerSupervisor], number: int
) -> Pass | None:
    """Prepare the problem in one arm and suspend it again; return None, after recording why, if it cannot be timed.

    state: of the timing stage.
    cell: of the arm and the contest.
    supervisors: by arm.
    number: of the pass, from 0.
    """
    passes = contest.timing.passes if state.execution.plan.gate is None else "?"
    state.execution.watch.working(
        cell.arm, f"pass {number + 1}/{passes}  {cell.label}  {cell.line.split(maxsplit=1)[0]}"
    )  # fmt: skip
    supervisor = supervisors[cell.arm]
    supervisor.resume()
    reply, seconds, pid = supervisor.prepare(
        cell, number, contest.timing.mode, probe=count_passes(state, contest) % PROBE_EVERY == 0
    )
    supervisor.suspend()
    state.last[cell.number] = reply, seconds, pid
    if reply.accuses:
        accusation = Accusation(reply.reason or "")
        reply = hold_trial(
            Trial(state=state, cell=cell, timing=contest.timing, supervisor=supervisor, accusation=accusation)
        )
    if reply.samples is None:
        fail(state, cell, reply)
    return reply.samples


def drop_rounds(found: dict[int, list[Timed]], visits: int) -> dict[int, list[Timed]]:
    """Drop all blocks of a round (ABBA) in which one was disturbed, so that the rest stays balanced.

    found: blocks by cell number.
    visits: blocks of a round, over all arms.
    """
    disturbed = {
        block.visit // visits: block.visit for blocks in found.values() for block, _ in blocks if block.dropped
    }
    return {
        number: [
            (replace(block, dropped=f"visit {disturbed[block.visit // visits]} of its round was disturbed"), sampled)
            if block.visit // visits in disturbed and not block.dropped else (block, sampled)
            for block, sampled in blocks
        ]
        for number, blocks in found.items()
    }  # fmt: skip


def order_blocks(cells: Sequence[Cell], blocks: int, shuffle: random.Random) -> Iterator[Cell]:
    """Yield cells in ABBA order for any number of arms: for every two blocks a new shuffled order and its reverse.

    blocks: for each cell, an even number.
    shuffle: source of the random order.
    """
    for _ in range(blocks // 2):
        order = list(cells)
        shuffle.shuffle(order)
        yield from order
        yield from reversed(order)

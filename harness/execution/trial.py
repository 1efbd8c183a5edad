"""Trials: an accused backend is asked again in fresh processes, and is called wrong only if they show the same.

Timing asks cheap questions in every block, whose answers a busy machine can spoil. They accuse, and no more. A trial
repeats what accused a cell, with a new judge and a new host. What rests on bytes, counts or the order of events has to
be there again. What rests on times is measured in pairs of a long and a short block, or of the machine's peak and a
block, in alternating order, until the signs of the pairs decide (`harness.measure.pairs`). Otherwise the machine cannot
tell: the cell has no time, and the run is no success.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from harness.analysis.plausibility import describe_clock_lie, is_clock_behind
from harness.execution.timed_block import time_block
from harness.execution.timing_state import Timed, TimingState, find_impossible, open_machine
from harness.execution.worker_supervisor import WorkerSupervisor
from harness.measure.pairs import decide
from harness.measure.processor_time import describe_excess, is_excessive
from harness.plan.cell import Cell
from harness.plan.suite import Timing
from harness.record.passes import Pass
from harness.record.run import CANNOT_TELL, WRONG
from harness.worker.protocol import Checked

GUILTY = 0.9  # probability that a pair shows a lie; more than one half is needed for any accusation
LONG = 4  # of the blocks of the contest: a lie then exceeds what the machine adds to either block by chance
SHORT_S = 1e-6  # of a short block: one sample

Kind = Literal["shown", "clock", "threads", "threads outside", "speed"]


@dataclass(frozen=True, slots=True)
class Accusation:
    """Reason why the times of a cell cannot be true, before a trial.

    kind: "shown" in the process or by the order of events; else what a trial measures in pairs: the clock, processor
        time as seen inside or outside of the process, or times below what the machine can do.
    """

    reason: str
    kind: Kind = "shown"


class TrialEndedError(Exception):
    """A block of a trial has an outcome instead of times."""

    def __init__(self, outcome: Checked) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


def find_accusation(blocks: Sequence[Timed], threads: int | None) -> Accusation | None:
    """Return why the times of a pass cannot be true; None if there is no reason.

    blocks: of the pass, with the worker's samples; dropped ones do not count.
    threads: that the arm may use; None for all.
    """
    kept = [(block, reply) for block, reply in blocks if not block.dropped]
    clocks = [(s.timed_ns, s.spent_ns, b.wall_ns, b.visit_waited_ns + b.delayed_ns) for b, s in kept]
    if reason := describe_clock_lie(clocks):
        return Accusation(reason, "clock")
    if reason := describe_excess([(b.cpu_ns, b.span_ns, b.waited_ns) for b, _ in kept], threads):
        return Accusation(reason, "threads")
    if reason := describe_excess([(b.visit_cpu_ns, b.wall_ns, b.visit_waited_ns) for b, _ in kept], threads):
        return Accusation(reason, "threads outside")
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """An accused cell, and what it takes to ask it again.

    state: of the timing stage.
    timing: of the contest.
    supervisor: of the cell's arm, whose worker is replaced.
    """

    state: TimingState
    cell: Cell
    timing: Timing
    supervisor: WorkerSupervisor
    accusation: Accusation

    def take(self, timing: Timing, visit: int) -> Timed:
        """Time block number `visit`. Raises TrialEndedError if it has another outcome than times."""
        found = time_block(self.state, self.cell, self.supervisor, timing, visit)
        if isinstance(found, Checked):
            raise TrialEndedError(found)
        return found


def hold_trial(trial: Trial) -> Checked:
    """Repeat what accused a cell in fresh processes, and return its outcome: an error if they show it again."""
    state, cell, accusation, supervisor = trial.state, trial.cell, trial.accusation, trial.supervisor
    state.execution.watch.working(cell.arm, f"asked again in a fresh process  {cell.label}: {accusation.reason}")
    supervisor.close()
    reply, seconds, pid = supervisor.prepare(cell, 0, trial.timing.mode, probe=True)
    supervisor.suspend()
    state.last[cell.number] = reply, seconds, pid
    if reply.samples is None:
        return conclude_ended(accusation, reply)
    try:
        shown = ask_pairs(trial, reply.samples)
    except TrialEndedError as error:
        return conclude_ended(accusation, error.outcome)
    if not shown:
        return cannot_tell(accusation, "a fresh process did not show it again")
    return Checked("error", f"{accusation.reason}; {shown} in a fresh process showed the same")


def conclude_ended(accusation: Accusation, again: Checked) -> Checked:
    """Return the outcome of a trial that ended before anything was timed."""
    if again.outcome in WRONG:
        return Checked(again.outcome, f"{accusation.reason}; in a fresh process: {again.reason}", again.deviation)
    return cannot_tell(accusation, f"in a fresh process: {again.outcome}{f', {again.reason}' if again.reason else ''}")


def cannot_tell(accusation: Accusation, why: str) -> Checked:
    """Return the outcome of a cell that was accused once, and not again."""
    return Checked("skipped", f"{CANNOT_TELL} whether its times are true: {accusation.reason}; {why}")


def ask_pairs(trial: Trial, facts: Pass) -> str | None:
    """Return how many pairs showed what a cell is accused of, in words; None if too few did.

    facts: of the prepared cell.
    Raises TrialEndedError if a block has another outcome than times.
    """
    kind = trial.accusation.kind
    if kind == "shown":
        for visit in range(trial.timing.blocks):
            trial.take(trial.timing, visit)
        return None
    if kind != "speed":
        return decide_pairs(partial(compare_blocks, trial))
    with open_machine(trial.state, trial.state.backend(trial.cell).device) as measure:
        measure(quick=False)
        return decide_pairs(partial(compare_with_machine, trial, facts, measure))


def decide_pairs(speaks_against: Callable[[int], bool]) -> str | None:
    """Return how many pairs spoke against the backend, in words, if they decide against it; else None.

    speaks_against: measures the pair of a number, from 0.
    """
    signs: list[bool] = []

    def ask() -> bool:
        signs.append(speaks_against(len(signs)))
        return signs[-1]

    return f"{sum(signs)} of {len(signs)} pairs" if decide(ask, GUILTY) else None


def compare_blocks(trial: Trial, number: int) -> bool:
    """Return True if a long and a short block speak against the backend.

    number: of the pair; in every other one, the short block comes first.
    """
    long = replace(trial.timing, sample_s=LONG * trial.timing.sample_s)
    short = replace(trial.timing, sample_s=trial.timing.blocks * SHORT_S, least_samples=1)
    order = (short, long) if number % 2 else (long, short)
    taken = {timing.sample_s: trial.take(timing, number) for timing in order}
    return SPEAKS[trial.accusation.kind](taken[long.sample_s], taken[short.sample_s], trial.state.execution.threads)


def compare_with_machine(trial: Trial, facts: Pass, measure: Callable[..., None], number: int) -> bool:
    """Measure the machine's peak and a block; return True if the block is faster, whether or not it was disturbed.

    facts: of the prepared cell.
    measure: adds a peak to those of the run, of which the best counts.
    number: of the pair; in every other one, the block comes first.
    """
    if number % 2 == 0:
        measure(quick=True)
    block, reply = trial.take(trial.timing, number)
    if number % 2:
        measure(quick=True)
    one = replace(facts, samples_ns=reply.samples_ns, blocks=(replace(block, dropped=None),))
    return find_impossible(trial.state, trial.cell, [one]) is not None


def shows_clock(long: Timed, short: Timed, threads: int | None) -> bool:
    """Return True if two blocks speak against the clock of the process, whatever its threads."""
    first, second = ((reply.spent_ns, block.wall_ns) for block, reply in (long, short))
    return is_clock_behind(first, second)


def shows_threads(long: Timed, short: Timed, threads: int | None) -> bool:
    """Return True if two blocks speak of more threads than allowed, as seen inside of the process."""
    first, second = ((block.cpu_ns, block.span_ns, block.waited_ns) for block, _ in (long, short))
    return threads is not None and is_excessive(first, second, threads)


def shows_threads_outside(long: Timed, short: Timed, threads: int | None) -> bool:
    """Return True if two blocks speak of more threads than allowed, as seen from outside."""
    blocks = (long[0], short[0])
    if threads is None or not all(block.visit_cpu_ns for block in blocks):  # 0: it had not stood still before
        return False
    first, second = ((block.visit_cpu_ns, block.wall_ns, block.visit_waited_ns) for block in blocks)
    return is_excessive(first, second, threads)


SPEAKS = {"clock": shows_clock, "threads": shows_threads, "threads outside": shows_threads_outside}

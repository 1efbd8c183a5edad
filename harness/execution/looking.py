"""Looks of the timing stage: which cells are decided, and which contests take part in the next pass."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from harness.analysis.arm_comparison import DECIDED, judge_cells
from harness.analysis.statistics import log_ratios
from harness.execution.allocation import Prospect, choose_prospects, expect_seconds
from harness.execution.contests import Contest, base_arms, pair_cells
from harness.execution.timing_state import TimingState
from harness.plan.gate import Gate

RECENT = 2  # passes whose seconds are expected again: a busy machine makes passes longer


def name_contest(contest: Contest) -> int:
    """Return a number that stands for a contest: that of its first cell."""
    return contest.cells[0].number


def count_passes(state: TimingState, contest: Contest) -> int:
    """Return the number of passes that a contest has had."""
    return max((len(state.measured.get(cell.number, ())) for cell in contest.cells), default=0)


def find_next_pass(state: TimingState, contests: Sequence[Contest]) -> int:
    """Return the number of the next pass: 0, unless the run was resumed.

    Without a gate it is the first one that a contest lacks. With one, contests differ in their passes, and numbers go
    on after the last; a contest that the interruption left behind has its pass then.
    """
    if state.execution.plan.gate is not None:
        return max((number + 1 for numbers in state.restored.values() for number in numbers), default=0)
    most = max(contest.timing.passes for contest in contests)
    return next((n for n in range(most) if any(goes_on(state, contest, n) for contest in contests)), 0)


def was_visited(state: TimingState, contest: Contest, number: int) -> bool:
    """Return True if a contest has had a pass, before the run was interrupted.

    state: of the timing stage.
    number: of the pass, from 0.
    """
    return any(number in state.restored.get(cell.number, ()) for cell in contest.cells)


def goes_on(state: TimingState, contest: Contest, number: int) -> bool:
    """Return True if a contest may take part in the next pass.

    state: of the timing stage.
    number: of the next pass, from 0.
    """
    gate = state.execution.plan.gate
    if not any(cell.number not in state.done for cell in contest.cells) or was_visited(state, contest, number):
        return False
    if gate is None:
        return number < contest.timing.passes
    others = [c for c in contest.cells if c is not contest.base and c.number not in state.failed]
    alone = contest.base is None or contest.base.number in state.failed or not others
    return count_passes(state, contest) < (1 if alone else gate.looks[-1])  # one pass shows that only one side can run


def choose_contests(state: TimingState, contests: Sequence[Contest], number: int) -> list[Contest]:
    """Return the contests that take part in the next pass.

    Contests between two looks go on. Of those at a look, after the screening of all, the passes that are left in the
    budget go where they decide.
    state: of the timing stage.
    number: of the next pass, from 0.
    """
    open_ = [contest for contest in contests if goes_on(state, contest, number)]
    gate = state.execution.plan.gate
    if gate is None:
        return open_
    waiting = [contest for contest in open_ if count_passes(state, contest) in gate.looks]
    going = [contest for contest in open_ if contest not in waiting]
    if not waiting or any(count_passes(state, contest) < gate.looks[0] for contest in going):
        return going
    prospects = [find_prospect(state, contest) for contest in waiting]
    committed_s = sum(_count_to_look(state, contest, gate) * expect_turn(state, contest) for contest in going)
    left_s = gate.budget_s - (time.monotonic() - state.begun) - committed_s
    chosen = {name_contest(waiting[n]) for n in choose_prospects(prospects, left_s, expect_start(state), gate.looks)}
    if not chosen and not going:  # the next pass is the last one, if there is time for it
        return open_
    return [contest for contest in open_ if contest in going or name_contest(contest) in chosen]


def find_prospect(state: TimingState, contest: Contest) -> Prospect:
    """Return what is expected of a contest: the nearest decision of its cells."""
    open_ = [cell.number for cell in contest.cells if cell.number not in state.done | state.failed]
    forecasts = tuple(state.forecasts[number] for number in open_ if state.forecasts.get(number))
    needed = (forecast.count_needed() for cell in forecasts for forecast in cell)
    more = min((one for one in needed if one is not None), default=None)
    return Prospect(
        passes=count_passes(state, contest), more=more, pass_s=expect_turn(state, contest), forecasts=forecasts
    )


def _count_to_look(state: TimingState, contest: Contest, gate: Gate) -> int:
    passes = count_passes(state, contest)
    return next((look - passes for look in gate.looks if look > passes), 0)


def expect_turn(state: TimingState, contest: Contest) -> float:
    """Return the seconds that a contest is expected to take in a pass, without the start of workers."""
    return max(state.turns_s[name_contest(contest)][-RECENT:], default=0.0)


def expect_start(state: TimingState) -> float:
    """Return the seconds in which the workers of a pass are expected to start."""
    return max(state.starts_s[-RECENT:], default=0.0)


def expect_pass(state: TimingState, going: Sequence[Contest], took_s: Sequence[float]) -> float:
    """Return the seconds that the next pass is expected to take; a resumed run knows those of whole passes alone.

    state: of the timing stage. going: contests that take part. took_s: of the passes so far.
    """
    turns = [expect_turn(state, contest) for contest in going]
    if not all(turns):
        return max(took_s[-RECENT:])
    return expect_start(state) + sum(turns)


def look(state: TimingState, contests: Sequence[Contest]) -> None:
    """Judge all cells, and mark the decided ones as done."""
    plan, gate = state.execution.plan, state.execution.plan.gate
    assert gate is not None
    bases, pairs = base_arms(plan), pair_cells(plan)
    ratios = {
        new.number: log_ratios(state.measured.get(base.number, ()), state.measured.get(new.number, ()))
        for base, new in pairs
    }
    suites = {new.number: new.suite for _, new in pairs}
    deltas = {c.number: gate.delta_of(c.suite, c.backend, c.arm, c.line) for _, c in pairs}
    judged = judge_cells(ratios, suites, deltas, gate)
    state.done |= {number for number, judgement in judged.items() if judgement.verdict in DECIDED}
    state.forecasts = {number: (one.forecast,) for number, one in judged.items() if one.forecast is not None}
    if gate.resolve > gate.delta:  # a cell that rules out a large slow-down is decided for the exit code
        large = {number: max(delta, gate.resolve) for number, delta in deltas.items()}
        for number, judgement in judge_cells(ratios, suites, large, replace(gate, delta=gate.resolve)).items():
            if judgement.forecast is not None and number in state.forecasts:
                state.forecasts[number] += (judgement.forecast,)
    for contest in contests:
        others = [cell for cell in contest.cells if cell.arm not in bases]
        if contest.base is not None and all(cell.number in state.done for cell in others):
            state.done.add(contest.base.number)
    left = sum(number not in state.done for number in judged)
    spent = time.monotonic() - state.begun
    tell_left(state, contests)
    state.execution.watch.working("gate", f"{left} of {len(judged)} cells undecided after {spent:.0f} s")


def tell_left(state: TimingState, contests: Sequence[Contest]) -> None:
    """Correct the progress by what is measured: a gate ends with its budget, or sooner where all cells will be decided.

    A resumed run counts its budget alone.
    """
    gate, spent_s = state.execution.plan.gate, time.monotonic() - state.begun
    assert gate is not None
    if state.restored or not state.turns_s:
        return
    undecided = [find_prospect(state, contest) for contest in contests if goes_on(state, contest, -1)]
    left_s = max(0.0, min(gate.budget_s - spent_s, expect_seconds(undecided, expect_start(state))))
    state.show(max(state.shown_s, gate.budget_s) * spent_s / max(spent_s + left_s, 1e-9) - state.shown_s)

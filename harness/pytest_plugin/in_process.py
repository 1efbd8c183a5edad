"""Run a cell in this process: apply a law, or prepare a call that pytest-benchmark times."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any, TypeVar

import numpy as np

from harness.laws.deviation import Deviation
from harness.laws.law import Law
from harness.measure.block import WARM_NS
from harness.plan.cell import Cell
from harness.plan.suite import Mode, Timing
from harness.worker import outcome
from harness.worker.host.execute import open_verified, settle
from harness.worker.host.timed_problem import Session
from harness.worker.outcome import Seen
from harness.worker.protocol import Checked, Prepare

Done = TypeVar("Done")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The reply of a worker for the same cell, and the exception behind it, for its traceback."""

    reply: Checked
    raised: Exception | None = None


def judge_law(choose: Callable[[], Seen], law: Law) -> Judged:
    """Apply a law as a worker does."""
    raised: list[Exception] = []

    def check(subject: Any, problem: Any) -> Deviation:
        return _keep(lambda: law.check(subject, problem), raised)

    return _judged(outcome.check(choose, replace(law, check=check)), raised)


def judge_work(work: Callable[[], Checked], asked: Sequence[Seen] = ()) -> Judged:
    """Prepare or time calls, with the same outcomes of exceptions as in a worker.

    asked: the backend under test, if it may refuse what it supports.
    """
    raised: list[Exception] = []
    with np.errstate(all="ignore"):  # NaN, Inf and subnormals are test data here
        found = outcome.guard(lambda: _keep(work, raised), settle=lambda error: settle(asked, error))
    return _judged(found, raised)


def _keep(work: Callable[[], Done], raised: list[Exception]) -> Done:
    """Do the work, and keep the exception that it raises."""
    try:
        return work()
    except Exception as error:
        raised.append(error)
        raise


def _judged(reply: Checked, raised: list[Exception]) -> Judged:
    return Judged(reply=reply, raised=raised[0] if raised and reply.outcome == "error" else None)


def open_timing(choose: Callable[[], Seen], cell: Cell, mode: Mode) -> tuple[Session | None, Judged]:
    """Prepare a cell for timing: verify its answers and run the honesty checks.

    choose: builds the backend under test.
    mode: of the caches.
    Returns the session, None if the cell cannot be timed, and the reply.
    """
    opened: list[Session] = []
    asked: list[Seen] = []

    def work() -> Checked:
        asked.append(choose())
        return open_verified(asked[0], request, opened)

    request = Prepare(problem=cell.line, number=0, mode=mode, slowdown=cell.slowdown or 0.0)
    judged = judge_work(work, asked)
    return (opened[0] if opened else None), judged


class Turns:
    """One synchronous call; the members of the pool take turns, and the last result of each is kept."""

    def __init__(self, session: Session) -> None:
        self.turns, self.session, self.next = cycle(enumerate(session.ready.calls)), session, 0
        self.synchronize = session.timed.backend.synchronize
        self.results: dict[int, Any] = {}

    def __call__(self) -> None:
        """Call, and wait until every queued operation has ended."""
        member, call = next(self.turns)
        self.results[member] = call()
        self.synchronize()
        self.next = (member + 1) % len(self.session.members)

    def renew_next(self) -> None:
        """Fill the arrays of the next member with contents that were never used."""
        self.session.renew(self.next)


def time_session(session: Session, timing: Timing, benchmark: Any) -> Judged:
    """Let pytest-benchmark time calls on rotated inputs, and verify the last answers.

    timing: of the suite.
    benchmark: fixture of pytest-benchmark.
    session: the prepared problem.
    """
    turns = Turns(session)

    def time_calls() -> Checked:
        session.rotate()
        rounds, warmups = choose_rounds(session.ready.single_ns * session.ready.loops, timing)
        before = [work for work in (turns.renew_next if session.never_repeats else None, session.ready.flush) if work]
        if session.ready.loops > 1:
            more: dict[str, Any] = {"iterations": session.ready.loops, "warmup_rounds": warmups}
        elif before:
            more = {"setup": without_result(before), "warmup_rounds": 1 if session.ready.flush else warmups}
        else:
            more = {"warmup_rounds": warmups}
        benchmark.pedantic(turns, rounds=rounds, **more)
        for member, result in turns.results.items():
            session.check(member, result, "in a timed call")
        return Checked("passed", session.deviation.idle or None, session.deviation)

    judged = judge_work(time_calls)
    if judged.reply.outcome != "passed":
        forget_times(benchmark)
    return judged


def choose_rounds(round_ns: float, timing: Timing) -> tuple[int, int]:
    """Return how many rounds of this length take about the suite's time for a cell, and how many to warm up."""
    rounds = math.ceil(timing.sample_s * 1e9 / max(round_ns, 1.0))
    return max(timing.blocks * timing.least_samples, rounds), max(1, math.ceil(WARM_NS / max(round_ns, 1.0)))


def without_result(works: Sequence[Callable[[], Any]]) -> Callable[[], None]:
    """Return a function that runs all of these and returns None: pytest-benchmark would take a result for arguments."""

    def call() -> None:
        for work in works:
            work()

    return call


def forget_times(benchmark: Any) -> None:
    """Remove the times of wrong answers, so that neither tables nor files show them."""
    benchmark.has_error = True
    if benchmark.stats is not None:
        benchmark.stats.stats.data.clear()

"""Honesty checks: detect calls that look fast because they do not do their work in the timed region.

Answers cached by address are caught by rotating the inputs, times below the roofline by the run itself, and a patched
clock by the parent's clock. A verified session is checked here for:

- lazy work: the result is computed when it is read. Copying it to the host then takes longer than copying equal arrays
  that were only stored on the device.
- unfinished work: it continues after synchronisation (another thread or stream), so that a result changes after it was
  taken.
- work in `to_device`: where arrays cannot be written in place, it is called before each call. It then takes longer than
  copying as many bytes.
- remembered answers: they do not follow their inputs, or calls on inputs seen before are faster than calls on new ones.

Checks that rest on times measure pairs, both sides right after each other, until the evidence suffices
(`harness.measure.pairs`). Whatever is found counts only if a fresh process finds it, too (`harness.execution.trial`).
"""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from harness.measure.block import LONG_NS
from harness.measure.estimator import steady
from harness.measure.pairs import decide
from harness.problems.problem import Problem
from harness.worker.host.deferred import find_deferred
from harness.worker.host.fetches import Fetches, describe_times, look_at, make_flush_of
from harness.worker.host.makings import Making, describe_makings, judge_makings
from harness.worker.host.timed_problem import Session, sample
from harness.worker.judging import stir
from harness.worker.outcome import CannotTellError, LieError, WrongAnswerError
from harness.worker.protocol import Sample, Sampled
from harness.worker.timed_subject import TimedOperator

STIRRED = frozenset({"normal", "uniform", "wide", "integer"})
SETTLE_S = 0.02  # waiting time in which unfinished work can change a result
LATEST_S = 3.0  # the same for a wrong result: on a busy machine the unfinished thread may not get a core
LAZY_CHANCE = 0.75  # probability that a pair of fetches shows lazy work: an interruption of the shorter side hides it
# If every timed call has new contents, remembering changes no time, and is reported only if its effect is large.
PLAIN_SHARE, PLAIN_NS, PLAIN_CHANCE = 0.25, 10_000, 0.9
# Otherwise it changes the times: the smallest effect to find is 10 % of a call, and the threshold lies below it.
LEAST_SHARE, LEAST_NS, LEAST_CHANCE = 0.06, 500, 0.75
AGAIN = 4  # further blocks that are timed if few makings show work in `to_device`
SOME, MANY = 8, 32  # calls on each side of a pair, if a sample is many calls


def find_lie(session: Session) -> LieError | None:
    """Return why the session's times are not true; None if nothing was found.

    Raises WrongAnswerError for a wrong answer, CannotTellError if times are too uneven to decide.
    """
    if found := find_unfinished(session):
        return LieError(found)
    if not isinstance(session.timed, TimedOperator):
        return None
    if found := find_stale(session):
        return LieError(found)
    found = find_lazy(session) or find_remembered(session)
    return LieError(found) if found else None


def find_lie_of_block(session: Session, request: Sample, block: Sampled) -> LieError | None:
    """Return why the times of the block that was requested last are not true; None if nothing was found.

    Asked after every block, so that nothing is gained by turning dishonest after the first. Raises CannotTellError.
    session: after a block. request: of that block. block: its times.
    """
    check_makings(session, request, block)
    found = find_deferred(session, request)
    if found is None and isinstance(session.timed, TimedOperator) and not session.never_repeats:
        found = find_remembered(session, coarsely=True)
    return LieError(found) if found else None


def check_makings(session: Session, request: Sample, block: Sampled) -> None:
    """Raise CannotTellError if the arrays of calls take so long to make that the work of the calls may be done there.

    session: after a block. request: of that block. block: its times.
    It is no accusation: a library may need long for an honest conversion. More blocks are timed where few calls speak
    for it. They are like all others, so that nothing tells a backend that it is asked again.
    """
    found: list[Making] = []
    call_ns = steady(block.samples_ns)
    for again in range(AGAIN + 1):
        if again:
            call_ns = min(call_ns, steady(sample(session, request).samples_ns))
        found += session.makings
        shown = [one for one in found if one.hides_work(call_ns)]
        work = judge_makings(len(shown), len(found))
        if work is False:
            return
        if work:
            raise CannotTellError(
                "the machine cannot tell whether the work of a call is done in it, or in to_device right before it: "
                + describe_makings(shown, len(found), call_ns)
            )


def _problem(session: Session) -> Problem:
    """Return the operator's problem; checks that need one are not applied to networks."""
    assert isinstance(session.problem, Problem)
    return session.problem


def find_unfinished(session: Session) -> str | None:
    """Return a description of a result that is incomplete after synchronisation or changes later; None if none is.

    Raises WrongAnswerError if the result stays wrong for LATEST_S seconds without changing.
    """
    member = session.members[0]
    result = member.run()
    early = member.fetch(result)
    asked = time.monotonic()
    while True:
        time.sleep(SETTLE_S)
        late = member.fetch(result)
        changed = [name for name, a in early.items() if not np.array_equal(a, late[name], equal_nan=True)]
        if changed:
            return f"{', '.join(changed)} changed after synchronisation: the work was not over when its time was taken"
        try:
            session.check(0, result, "right after synchronisation")
        except WrongAnswerError:
            if time.monotonic() - asked > LATEST_S:
                raise
        else:
            return None


def find_lazy(session: Session) -> str | None:
    """Return a description of results that are computed when they are copied to the host; None if they are not.

    The first test is cheap, but a difference may be an effect of the caches: the copy was written on this core, the
    result on others. It therefore counts only if pairs with flushed caches, both sides read from memory, confirm it.
    Raises CannotTellError if these never agree.
    """
    if decide(_ask_fetches(session, []), LAZY_CHANCE) is False:
        return None
    found: list[Fetches] = []
    lazy = decide(_ask_fetches(session, found, make_flush_of(session.timed.backend)), LAZY_CHANCE)
    if lazy is False:
        return None
    times = describe_times(found)
    if lazy is None:
        raise CannotTellError(
            f"the machine cannot tell whether results are computed when they are looked at, in {len(found)} pairs: "
            f"{times}"
        )
    return f"results are computed when they are looked at: {times}"


def _ask_fetches(
    session: Session, found: list[Fetches], flush: Callable[[], object] | None = None
) -> Callable[[], bool]:
    """Make a function that measures one pair, appends it to `found`, and returns whether it shows hidden work."""

    def hides() -> bool:
        found.append(time_fetches(session, flush, first=len(found) % 2))
        return found[-1].hides_work

    return hides


def time_fetches(session: Session, flush: Callable[[], object] | None, first: int) -> Fetches:
    """Time a call, and copying its result and equal arrays to the host.

    flush: overwrites caches before each copy; None leaves them.
    first: 1 copies the equal arrays first.
    """
    member, begun = session.members[0], time.perf_counter_ns()
    result = member.run()
    call_ns = time.perf_counter_ns() - begun
    return look_at(session.timed, member, result, call_ns, session.like, bool(first), flush)[1]


def find_stale(session: Session) -> str | None:
    """Return a description of an answer that does not follow one changed element; None if it does.

    Checked only for data regimes in which one element can change without leaving the regime, so that the same
    comparison is valid.
    """
    problem = _problem(session)
    if problem.data not in STIRRED:
        return None
    member, number = session.members[0], secrets.randbits(16)
    member.run()
    stir(next(iter(session.devices[0].values())), problem.data, number)
    session.refresh(0)
    outputs = member.fetch(member.run())
    deviation = session.judge.judge(replace(session.contents_of_call(0), stirred=number), outputs)
    session.rotate()  # puts verified contents back
    return None if deviation.passed else f"answers do not follow one changed element: {deviation.describe()}"


def find_remembered(session: Session, *, coarsely: bool = False) -> str | None:
    """Return a description of calls that are faster on inputs seen before than on new ones; None if none are.

    New contents differ in every number, so that no part of an earlier answer can be reused. Both sides write the inputs
    right before each call, so that they lie in the same caches. Raises CannotTellError if the pairs never agree.

    coarsely: look for large effects alone, with few calls.
    """
    coarsely |= session.never_repeats
    plain = PLAIN_SHARE, PLAIN_NS, PLAIN_CHANCE
    share, worth_ns, guilty = plain if coarsely else (LEAST_SHARE, LEAST_NS, LEAST_CHANCE)
    if session.ready.single_ns > LONG_NS:  # a single one on each side
        calls = 1
    else:
        calls = SOME if coarsely else min(MANY, max(SOME, session.ready.loops))
    pairs: list[tuple[float, float]] = []

    def speaks_against() -> bool:
        pairs.append(_time_pair(session, calls, len(pairs)))
        new_ns, known_ns = pairs[-1]
        return new_ns - known_ns > max(worth_ns, share * new_ns)

    found = decide(speaks_against, guilty)
    session.rotate()  # puts verified contents back
    if found is False:
        return None
    new_us, known_us = (statistics.median(side) / 1e3 for side in zip(*pairs, strict=True))
    times = f"a call on inputs changed just before takes {new_us:.3g} us, the same call again {known_us:.3g} us"
    if found is None and not session.never_repeats:
        raise CannotTellError(f"the machine cannot tell whether answers are remembered, in {len(pairs)} pairs: {times}")
    return f"answers are remembered: {times}" if found else None


def _time_pair(session: Session, calls: int, number: int) -> tuple[float, float]:
    """Return first deciles in ns of calls on new contents and of calls on those of the call before; members alternate.

    The order of the two sides alternates from pair to pair, so that an effect of the order favours neither.
    """
    turns = [(number // 2 + call) % len(session.members) for call in range(calls)]
    for member in dict.fromkeys(turns):  # untimed: fills the known side if it comes first
        session.renew(member)
        session.ready.clock.time(session.members[member].call)
    if number % 2:
        known_ns, new_ns = _time_calls(session, session.repeat, turns), _time_calls(session, session.renew, turns)
    else:
        new_ns, known_ns = _time_calls(session, session.renew, turns), _time_calls(session, session.repeat, turns)
    return new_ns, known_ns


def _time_calls(session: Session, write: Callable[[int], None], turns: Sequence[int]) -> float:
    """Return the first decile in ns of one call of each of these members, with inputs written right before each."""
    times = []
    for member in turns:
        write(member)
        times.append(session.ready.clock.time(session.members[member].call)[1])
    return steady(times)

"""Honesty checks: detect calls that look fast because they do not do their work in the timed region.

Answers cached by address are caught by rotating the inputs, times below the roofline by the run itself, and a patched
clock by the parent's clock. A verified session is checked here for:

- lazy work: the result is computed when it is read. Copying it to the host then takes longer than copying equal arrays
  that were only stored on the device.
- unfinished work: it continues after synchronisation (another thread or stream), so that a result changes after it was
  taken.
- remembered answers: they do not follow their inputs, or calls on inputs seen before are faster than calls on new ones.

Checks that rest on times measure pairs, both sides right after each other, until the evidence suffices (Wald's
sequential test).
"""

from __future__ import annotations

import math
import secrets
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from harness.measure.estimator import steady
from harness.problems.arrays import Outputs
from harness.problems.calling import name_outputs
from harness.problems.problem import Problem
from harness.worker.host.timed_problem import Session
from harness.worker.judging import stir
from harness.worker.outcome import CannotTellError, LieError, WrongAnswerError
from harness.worker.timed_subject import TimedOperator

MOST_FLUSH_BYTES = 2**27
STIRRED = frozenset({"normal", "uniform", "wide", "integer"})
SETTLE_S = 0.02  # waiting time in which unfinished work can change a result
LATEST_S = 3.0  # the same for a wrong result: on a busy machine the unfinished thread may not get a core
WORTH_NS = 20_000  # smaller differences are noise of the machine
LARGE_SHARE = 0.5  # hidden work below this share of a call's time is not reported
LAZY_CHANCE = 0.95  # probability that a pair of fetches shows lazy work: an interruption of the shorter side hides it
# If every timed call has new contents, remembering changes no time, and is reported only if its effect is large.
PLAIN_SHARE, PLAIN_NS, PLAIN_CHANCE = 0.25, 10_000, 0.9
# Otherwise it changes the times: the smallest effect to find is 10 % of a call, and the threshold lies below it.
LEAST_SHARE, LEAST_NS, LEAST_CHANCE = 0.06, 500, 0.75
SOME, MANY = 8, 32  # calls on each side of a pair, if a sample is many calls
LONG_NS = 2_000_000  # for longer calls, a single one on each side
INNOCENT = 0.5  # largest probability that a pair speaks against an honest backend, as both sides are then alike
ACCUSED, ACQUITTED = math.log(1e4), math.log(1 / 20)
MOST_PAIRS = 120


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
    return LieError(found, by_time=True) if found else None


def _problem(session: Session) -> Problem:
    """Return the operator's problem; checks that need one are not applied to networks."""
    assert isinstance(session.problem, Problem)
    return session.problem


def find_unfinished(session: Session) -> str:
    """Return a description of a result that is incomplete after synchronisation or changes later; "" if none is.

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
            return ""


def find_lazy(session: Session) -> str:
    """Return a description of results that are computed when they are copied to the host; "" if they are not.

    The first test is cheap, but a difference may be an effect of the caches: the copy was written on this core, the
    result on others. It therefore counts only if pairs with flushed caches, both sides read from memory, confirm it.
    """
    if not decide(lambda: _hides(session, *_fetch_pair(session)), LAZY_CHANCE):
        return ""
    flush = _make_flush(session)
    pairs: list[tuple[int, int]] = []

    def hides() -> bool:
        pairs.append(_fetch_pair(session, flush, first=len(pairs) % 2))
        return _hides(session, *pairs[-1])

    if not decide(hides, LAZY_CHANCE):
        return ""
    lazy_us, plain_us = (statistics.median(side) / 1e3 for side in zip(*pairs, strict=True))
    return (
        f"results are computed when they are looked at: bringing one to the host takes {lazy_us:.0f} us, "
        f"an equal array {plain_us:.0f} us, the call itself {session.ready.single_ns / 1e3:.0f} us"
    )


def _hides(session: Session, lazy_ns: float, plain_ns: float) -> bool:
    """Return True if copying a result to the host takes so long that it must include work."""
    hidden = lazy_ns - 2 * plain_ns
    return hidden > WORTH_NS and hidden > LARGE_SHARE * session.ready.single_ns


def _fetch_pair(session: Session, flush: Callable[[], None] | None = None, first: int = 0) -> tuple[int, int]:
    """Return the times in ns of copying a result, and equal arrays, to the host; `first` 1 copies the latter first."""
    backend, member = session.timed.backend, session.members[0]
    copies = {name: backend.to_device(a.copy(order="K")) for name, a in member.fetch(member.run()).items()}
    plain = tuple(copies.values()) if len(copies) > 1 else next(iter(copies.values()))
    sides, times = [member.run(), plain], [0, 0]
    backend.synchronize()
    for side in (first, 1 - first):
        if flush is not None:
            flush()
        times[side] = _fetch_ns(session, sides[side])
    return times[0], times[1]


def _make_flush(session: Session) -> Callable[[], None]:
    """Return a function that overwrites the host's caches if results are in its memory; else one that does nothing."""
    if session.timed.backend.device != "cpu":
        return lambda: None
    from harness.measure.caches import TIMES, last_cache_bytes

    memory = np.zeros(min(TIMES * last_cache_bytes(), MOST_FLUSH_BYTES), dtype=np.uint8)
    return lambda: memory.fill(1)


def _fetch_ns(session: Session, result: Outputs) -> int:
    """Return the time in ns of copying a result to the host."""
    to_host, begun = session.timed.backend.to_host, time.perf_counter_ns()
    for a in name_outputs(_problem(session), result).values():
        np.asarray(to_host(a)).copy()
    return time.perf_counter_ns() - begun


def find_stale(session: Session) -> str:
    """Return a description of an answer that does not follow one changed element; "" if it does.

    Checked only for data regimes in which one element can change without leaving the regime, so that the same
    comparison is valid.
    """
    problem = _problem(session)
    if problem.data not in STIRRED:
        return ""
    member, number = session.members[0], secrets.randbits(16)
    member.run()
    stir(next(iter(session.devices[0].values())), problem.data, number)
    outputs = member.fetch(member.run())
    deviation = session.judge.judge(replace(session.contents_of_call(0), stirred=number), outputs)
    session.rotate()  # puts verified contents back
    return "" if deviation.passed else f"answers do not follow one changed element: {deviation.describe()}"


def find_remembered(session: Session) -> str:
    """Return a description of calls that are faster on inputs seen before than on new ones; "" if none are.

    New contents differ in every number, so that no part of an earlier answer can be reused. Both sides write the inputs
    right before each call, so that they lie in the same caches. Raises CannotTellError if the pairs never agree.
    """
    plain = PLAIN_SHARE, PLAIN_NS, PLAIN_CHANCE
    share, worth_ns, guilty = plain if session.never_repeats else (LEAST_SHARE, LEAST_NS, LEAST_CHANCE)
    if session.ready.single_ns > LONG_NS:
        calls = 1
    else:
        calls = SOME if session.never_repeats else min(MANY, max(SOME, session.ready.loops))
    pairs: list[tuple[float, float]] = []

    def speaks_against() -> bool:
        pairs.append(_time_pair(session, calls, len(pairs)))
        new_ns, known_ns = pairs[-1]
        return new_ns - known_ns > max(worth_ns, share * new_ns)

    found = decide(speaks_against, guilty)
    session.rotate()  # puts verified contents back
    if found is False:
        return ""
    new_us, known_us = (statistics.median(side) / 1e3 for side in zip(*pairs, strict=True))
    times = f"a call on inputs changed just before takes {new_us:.3g} us, the same call again {known_us:.3g} us"
    if found is None and not session.never_repeats:
        raise CannotTellError(f"the machine cannot tell whether answers are remembered, in {len(pairs)} pairs: {times}")
    return f"answers are remembered: {times}" if found else ""


def decide(speaks_against: Callable[[], bool], guilty: float) -> bool | None:
    """Decide from repeated pairs: True guilty, False innocent, None if the evidence does not suffice after MOST_PAIRS.

    speaks_against: measures one pair; returns True if it speaks against the backend.
    guilty: probability that a pair speaks against a guilty backend.
    Wald's sequential probability ratio test (1945). With a true probability of at most INNOCENT, it returns True at
    most once in 10 000 times, however uneven the times are; with `guilty` or more, it returns False about once in 20
    times.
    """
    against, favour = math.log(guilty / INNOCENT), math.log((1 - guilty) / (1 - INNOCENT))
    evidence = 0.0
    for _ in range(MOST_PAIRS):
        evidence += against if speaks_against() else favour
        if evidence >= ACCUSED:
            return True
        if evidence <= ACQUITTED:
            return False
    return None


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

"""Whether a time can be true: ways in which a call can look fast without doing its work in the timed region.

An answer remembered by address is caught by the rotation of the inputs, a time below the roofline by the run itself,
and a patched clock by the clock of the parent. What is asked here, of a session that has been verified:

- lazy: the work is done when the result is looked at; bringing it to the host then takes longer than bringing equal
  arrays that were only copied there.
- unfinished: the work goes on after synchronisation (another thread or stream); a result changes after it was taken.
- remembered: answers do not follow their inputs, or calls on inputs that were seen before are faster than calls on
  new ones.

What rests on times is asked in pairs, each side right after the other, until the pairs agree (Wald's sequential test).
"""

from __future__ import annotations

import math
import secrets
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from harness.measure.estimator import steady
from harness.problems.calling import name_outputs
from harness.problems.problem import Problem
from harness.problems.reference import turn
from harness.worker.timed_problem import CannotTellError, LieError, Session, WrongAnswerError
from harness.worker.timed_subject import TimedOperator

MOST_FLUSH_BYTES = 2**27
STIRRED = frozenset({"normal", "uniform", "wide", "integer"})
SETTLE_S = 0.02  # how long unfinished work is given to show itself
LATEST_S = 3.0  # and where the result is wrong: a busy machine may keep its thread from running
WORTH_NS = 20_000  # differences below this are the machine's own
LARGE_SHARE = 0.5  # of a call's time, done elsewhere, is no accident
LAZY_CHANCE = 0.95  # of a pair of fetches to show it: an interruption of the shorter side hides it
# Where every timed call has contents of its own, what is remembered changes no time, and is said only where it is much.
PLAIN_SHARE, PLAIN_NS, PLAIN_CHANCE = 0.25, 10_000, 0.9
# Elsewhere it is in the times: the least share of a call that is looked for is 10 %, and the line is drawn below it.
LEAST_SHARE, LEAST_NS, LEAST_CHANCE = 0.06, 500, 0.75
SOME, MANY = 8, 32  # calls on either side of a pair, where a sample is many calls
LONG_NS = 2_000_000  # from here on a single call on either side
INNOCENT = 0.5  # most chance of a pair to speak against a right backend: both its sides are then the same
ACCUSED, ACQUITTED = math.log(1e4), math.log(1 / 20)
MOST_PAIRS = 120


def find_lie(session: Session) -> LieError | None:
    """The reason why the session's times would not be true; None where none is found.

    Raises WrongAnswerError where an answer is wrong, CannotTellError where times are too uneven to say anything.
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
    """The operator's problem: networks are not asked what needs one."""
    assert isinstance(session.problem, Problem)
    return session.problem


def find_unfinished(session: Session) -> str:
    """A result that is not complete when synchronisation ends, or changes later."""
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
    """Results that are computed when they are brought to the host.

    A first look is cheap. What it finds may be the caches' doing, as a copy was written on this core, a result on
    others: it counts where pairs say the same whose sides are both brought from memory.
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
    """Whether bringing a result takes so long that work must be hidden in it."""
    hidden = lazy_ns - 2 * plain_ns
    return hidden > WORTH_NS and hidden > LARGE_SHARE * session.ready.single_ns


def _fetch_pair(session: Session, flush: Callable[[], None] | None = None, first: int = 0) -> tuple[int, int]:
    """Time of bringing a result to the host, and of bringing equal arrays; `first` says which of them comes first."""
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
    """A function that writes memory beyond the caches of the host, where the results lie there."""
    if session.timed.backend.device != "cpu":
        return lambda: None
    from harness.measure.caches import TIMES, last_cache_bytes

    memory = np.zeros(min(TIMES * last_cache_bytes(), MOST_FLUSH_BYTES), dtype=np.uint8)
    return lambda: memory.fill(1)


def _fetch_ns(session: Session, result: Any) -> int:
    to_host, begun = session.timed.backend.to_host, time.perf_counter_ns()
    for a in name_outputs(_problem(session), result).values():
        np.asarray(to_host(a)).copy()
    return time.perf_counter_ns() - begun


def find_stale(session: Session) -> str:
    """An answer that does not follow one changed element.

    Asked where one element can be changed and the data stay of their regime, so that the same comparison holds.
    """
    problem = _problem(session)
    if problem.data not in STIRRED:
        return ""
    arrays = session.devices[0]
    session.members[0].run()
    stir(problem, arrays, secrets.randbits(16))
    host = {name: np.asarray(session.timed.backend.to_host(a)).copy(order="K") for name, a in arrays.items()}
    host = {name: a.astype(session.contents[0].host[name].dtype) for name, a in turn(problem, host).items()}
    outputs = session.members[0].fetch(session.members[0].run())
    deviation = session.timed.judge(host, outputs)
    session.rotate()  # puts verified contents back
    return "" if deviation.passed else f"answers do not follow one changed element: {deviation.describe()}"


def find_remembered(session: Session) -> str:
    """Calls that are faster on inputs that were there before than on new ones.

    New contents differ in every number, so that no part of an earlier answer is any use. Both sides write the inputs
    just before each call, so that they lie in the same caches. Raises CannotTellError.
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
    """Ask for pairs until they say what they are: True guilty, False innocent, None where they never agree.

    Wald's sequential probability ratio test (1945) of one chance of a pair against another: where the chance is at
    most INNOCENT, it says guilty once in 10 000 times at most, however uneven times are; where it is `guilty` or more,
    innocent about once in 20 times.
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
    """First deciles of calls on new contents, and of calls on contents of the calls before, members in turn.

    Which side comes first changes from pair to pair, so that what the order does to times speaks for neither.
    """
    turns = [(number // 2 + call) % len(session.members) for call in range(calls)]
    for member in dict.fromkeys(turns):  # untimed: where the known side is first, this is what it knows
        session.renew(member)
        session.ready.clock.time(session.members[member].call)
    if number % 2:
        known_ns, new_ns = _time_calls(session, session.repeat, turns), _time_calls(session, session.renew, turns)
    else:
        new_ns, known_ns = _time_calls(session, session.renew, turns), _time_calls(session, session.repeat, turns)
    return new_ns, known_ns


def _time_calls(session: Session, write: Callable[[int], None], turns: Sequence[int]) -> float:
    """First decile in ns of a call of each of these members, whose inputs are written just before."""
    times = []
    for member in turns:
        write(member)
        times.append(session.ready.clock.time(session.members[member].call)[1])
    return steady(times)


def stir(problem: Problem, arrays: dict[str, Any], number: int) -> None:
    """Change one element of the first input; whole numbers to another of the same size, real ones to a new one."""
    a = next(iter(arrays.values()))
    if all(a.shape):
        at = tuple((number * 7 + axis) % n for axis, n in enumerate(a.shape))
        if problem.data == "integer":
            a[at] = -a[at] if a[at] != 0 else 1
        else:
            a[at] = a[at] * 0.5 + 0.25 + number % 4

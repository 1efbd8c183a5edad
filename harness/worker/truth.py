"""Whether a time can be true: ways in which a call can look fast without doing its work in the timed region.

An answer remembered by address is caught by the rotation of the inputs, a time below the roofline by the run itself,
and a patched clock by the clock of the parent. What is asked here, of a session that has been verified:

- lazy: the work is done when the result is looked at; bringing it to the host then takes longer than bringing equal
  arrays that were only copied there.
- unfinished: the work goes on after synchronisation (another thread or stream); a result changes after it was taken.
- remembered: calls on inputs that were seen before are much faster than calls on fresh ones.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from harness.spec.calling import name_outputs
from harness.spec.problem import Problem
from harness.spec.reference import turn
from harness.timing.clocks import HostClock, wait_for
from harness.worker.session import Session, WrongAnswerError
from harness.worker.trial import OperatorTrial

TRIES = 5
ROUNDS = 4  # all of which must be suspicious
PAIRS, MISSES = 20, 2  # of calls on fresh and on known inputs: by chance, 18 of 20 go one way once in 5 000 times
STIRRED = frozenset({"normal", "uniform", "wide", "integer"})
SETTLE_S = 0.02  # how long unfinished work is given to show itself
LATEST_S = 3.0  # and where the result is wrong: a busy machine may keep its thread from running
WORTH_NS = 20_000  # differences below this are the machine's own
LARGE_SHARE = 0.5  # of a call's time, done elsewhere, is no accident


def find_lie(session: Session) -> str:
    """The reason why the session's times would not be true; empty where none is found."""
    if not isinstance(session.trial, OperatorTrial):
        return find_unfinished(session)
    return find_unfinished(session) or _confirm(find_lazy, session) or find_remembered(session)


def _problem(session: Session) -> Problem:
    """The operator's problem: networks are not asked what needs one."""
    assert isinstance(session.problem, Problem)
    return session.problem


def _confirm(find: Callable[[Session], str], session: Session) -> str:
    """What a check finds again and again; one innocent round is enough, on a machine that does other things too."""
    for _ in range(ROUNDS):
        found = find(session)
        if not found:
            return ""
    return found


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
    """Results that are computed when they are brought to the host."""
    backend, member = session.trial.backend, session.members[0]
    lazy_ns, plain_ns = [], []
    for _ in range(TRIES):
        result = member.run()
        lazy_ns.append(_fetch_ns(session, result))
        copies = {name: backend.to_device(a.copy(order="K")) for name, a in member.fetch(result).items()}
        backend.synchronize()
        plain_ns.append(_fetch_ns(session, tuple(copies.values()) if len(copies) > 1 else next(iter(copies.values()))))
    hidden = min(lazy_ns) - 2 * min(plain_ns)
    if hidden > WORTH_NS and hidden > LARGE_SHARE * session.ready.single_ns:
        return (
            f"results are computed when they are looked at: bringing one to the host takes {min(lazy_ns) / 1e3:.0f} "
            f"us, an equal array {min(plain_ns) / 1e3:.0f} us, the call itself {session.ready.single_ns / 1e3:.0f} us"
        )
    return ""


def _fetch_ns(session: Session, result: Any) -> int:
    to_host, begun = session.trial.backend.to_host, time.perf_counter_ns()
    for a in name_outputs(_problem(session), result).values():
        np.asarray(to_host(a)).copy()
    return time.perf_counter_ns() - begun


def find_remembered(session: Session) -> str:
    """Answers that do not follow their inputs, or follow them much faster when these were seen before.

    Asked where one element can be changed and the data stay of their regime, so that the same comparison holds.
    """
    problem = _problem(session)
    if problem.data not in STIRRED:
        return ""
    fresh_ns, again_ns, misses = [], [], 0
    clock = HostClock(wait_for(session.trial.backend.device, session.trial.backend.synchronize))
    member, arrays = session.members[0], session.devices[0]
    for number in range(PAIRS):
        _stir(problem, arrays, number)
        _touch(session, arrays)
        fresh_ns.append(clock.time(member.call)[1])
        _touch(session, arrays)
        again_ns.append(clock.time(member.call)[1])
        misses += fresh_ns[-1] - again_ns[-1] <= max(WORTH_NS, LARGE_SHARE * fresh_ns[-1])
        if misses > MISSES:
            break
    stale = _find_stale(session, arrays)
    session.rotate()  # puts verified contents back
    if stale or misses > MISSES:
        return stale
    first_us, again_us = (statistics.median(times) / 1e3 for times in (fresh_ns, again_ns))
    return (
        f"answers are remembered: a call on inputs changed just before takes {first_us:.0f} us, "
        f"the same call again {again_us:.0f} us"
    )


def _find_stale(session: Session, arrays: dict[str, Any]) -> str:
    """An answer that does not follow one changed element."""
    host = {name: np.asarray(session.trial.backend.to_host(a)).copy(order="K") for name, a in arrays.items()}
    host = {name: a.astype(session.contents[0].host[name].dtype) for name, a in turn(_problem(session), host).items()}
    outputs = session.members[0].fetch(session.members[0].run())
    deviation = session.trial.judge(host, outputs)
    return "" if deviation.passed else f"answers do not follow one changed element: {deviation.describe()}"


def _stir(problem: Problem, arrays: dict[str, Any], number: int) -> None:
    """Change one element of the first input; whole numbers to another of the same size, real ones to a new one."""
    a = next(iter(arrays.values()))
    if all(a.shape):
        at = tuple((number * 7 + axis) % n for axis, n in enumerate(a.shape))
        if problem.data == "integer":
            a[at] = -a[at] if a[at] != 0 else 1
        else:
            a[at] = a[at] * 0.5 + 0.25 + number % 4


def _touch(session: Session, arrays: dict[str, Any]) -> None:
    """Read all inputs, so that both kinds of calls find them in the same caches."""
    for a in arrays.values():
        np.asarray(session.trial.backend.to_host(a)).sum()

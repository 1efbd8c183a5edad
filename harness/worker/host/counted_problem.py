"""Instructions of the calls of a problem that is prepared as for timing, each on contents that were never used before.

Instructions that a call leaves to others are not its own: results that are computed when they are read, work that goes
on after the call, and work in processes that the counter does not follow are errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.measure.instructions.choose import counting
from harness.measure.instructions.counter import Counter, CountError
from harness.measure.processor_time import descendants_ns
from harness.problems.arrays import DeviceArray, Outputs
from harness.record.counts import Counts
from harness.worker.host.fetches import copy_plainly, store, time_fetch
from harness.worker.host.honesty import find_stale, find_unfinished
from harness.worker.host.timed_problem import Session
from harness.worker.outcome import LieError

# Of 24 calls under CPython 3.11 the 1st, 8th and 23rd took some thousand instructions more: growing gaps, like those of
# its attempts to specialise code, though that was not traced. Counted calls lie in the last gap.
WARM_CALLS = 13
SETTLING_CALLS = 2  # counted and verified as others, but not kept: memory is laid out anew for them
ELSEWHERE_NS = 1_000_000  # processor time of other processes, above which they have had a share in the calls
LARGE_SHARE, LARGE = 0.25, 50_000  # instructions of reading a result, in calls and absolute, which are hidden work


def count_calls(session: Session, counter: Counter, calls: int) -> Counts:
    """Count calls, each on contents of its own, and verify every answer.

    session: the prepared problem, of one operator on the processor.
    counter: of this process.
    Raises WrongAnswerError for a wrong answer, LieError for work that is not counted, CountError.
    """
    if found := find_unfinished(session) or find_stale(session):
        raise LieError(found)
    below_ns = descendants_ns()
    for number in range(WARM_CALLS):  # before the counter begins: under valgrind they then take a fifth of the time
        session.members[number % len(session.members)].run()
    with counting(counter) as count:
        lazy = find_lazy(session, count)
        every = [_count_call(session, count, number) for number in range(SETTLING_CALLS + calls)]
    if lazy:
        raise LieError(lazy)
    used_ns = descendants_ns() - below_ns
    if counter.kind == "valgrind" and used_ns > ELSEWHERE_NS:
        raise CountError(
            f"other processes of the backend have worked for {used_ns / 1e6:.3g} ms meanwhile, which valgrind does not "
            "count"
        )
    return Counts(counter=counter.kind, instructions=tuple(every[SETTLING_CALLS:]))


Count = Callable[[Callable[[], Outputs]], tuple[Outputs, int]]


def _count_call(session: Session, count: Count, number: int) -> int:
    member = number % len(session.members)
    session.renew(member)
    result, instructions = count(session.members[member].run)
    session.check(member, result, "in a counted call")
    return instructions


def find_lazy(session: Session, count: Count) -> str | None:
    """Return a description of results that are computed when they are read; None if they are not.

    Reading a result is compared with reading equal arrays that were only stored.
    """
    member = session.members[0]
    result, whole = count(member.run)
    _, found = count(lambda: _read(session, lambda: session.timed.name_arrays(result)))
    stored = store(session.timed.backend, {name: copy_plainly(a) for name, a in member.fetch(result).items()})
    _, plain = count(lambda: _read(session, session.timed.name_again(stored)))
    if found - plain <= max(LARGE, LARGE_SHARE * whole):
        return None
    return (
        f"results are computed when they are looked at: bringing one to the host takes {found:.3g} instructions, an "
        f"equal array {plain:.3g}, the call itself {whole:.3g}"
    )


def _read(session: Session, name_arrays: Callable[[], Mapping[str, DeviceArray]]) -> None:
    time_fetch(session.timed.backend.to_host, name_arrays)

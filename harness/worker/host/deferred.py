"""Work that timed calls leave undone until their results are read, looked for in every block.

Some calls of a block, at unpredictable places, are looked at right after they were timed: their results and equal
arrays are brought to the host. If one of them seems to hide work, more blocks, which do not count, are looked at
closely, in the same way and at the same pace, until the signs of the pairs decide.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

from harness.measure.block import time_block
from harness.measure.pairs import QUIET, decide_signs
from harness.problems.arrays import Outputs
from harness.worker.host.fetches import Fetches, make_flush_of, store_plainly, time_fetch
from harness.worker.host.timed_problem import Session
from harness.worker.outcome import CannotTellError

SAMPLES = 8  # of a block that is looked at closely
ONE_IN = 4  # of these samples is looked at: what only calls in quick succession do must show, too (long ones never are)
CLOSE_S = 12.0  # for each of the two questions: a pair takes 50 ms on a busy machine, and most need fewer than 200
STEADY = 0.75  # share of signs above which work is hidden in most calls
FEW = 12  # pairs without a sign that acquit, where most calls would have to show one


def find_deferred(session: Session) -> str | None:
    """Return a description of results that are computed when they are looked at; None if those of a block were not.

    session: after a block.
    Raises CannotTellError if the signs do not decide.
    """
    if not any(one.hides_work for one in session.fetches):
        return None
    found: list[Fetches] = []  # the looks of a block do not count: its results are copied first, which takes longer
    lazy = decide_signs(_ask(session, found), most_s=CLOSE_S)
    if lazy:  # the effect of caches: a stored array was written on this core, a result perhaps on others
        often = statistics.fmean(one.hides_work for one in found) > STEADY
        found.clear()
        flush = make_flush_of(session.timed.backend)
        lazy = decide_signs(_ask(session, found, flush), FEW if often else QUIET, CLOSE_S)
    if lazy is False:
        return None
    shown = [one for one in found if one.hides_work] or session.fetches
    lazy_us, plain_us, call_us = (statistics.median(side) / 1e3 for side in zip(*shown, strict=True))
    times = (
        f"in {len(shown)} of {len(found)} timed calls, bringing one to the host takes {lazy_us:.0f} us, an equal array "
        f"{plain_us:.0f} us, the call itself {call_us:.0f} us"
    )
    if lazy is None:
        raise CannotTellError(f"the machine cannot tell whether results are computed when they are looked at: {times}")
    return f"results are computed when they are looked at: {times}"


def _ask(session: Session, found: list[Fetches], flush: Callable[[], object] | None = None) -> Callable[[], int]:
    """Make a function that returns the sign of the next pair, and appends it to `found`.

    flush: overwrites caches before each copy; None leaves them.
    """
    pairs = look_closely(session, flush)

    def ask() -> int:
        found.append(next(pairs))
        return found[-1].sign

    return ask


def look_closely(session: Session, flush: Callable[[], object] | None) -> Iterator[Fetches]:
    """Yield pairs from blocks that do not count; the order of the two sides alternates."""
    seen: list[Fetches] = []
    backend, count = session.timed.backend, 0

    def look(member: int, result: Outputs, call_ns: float) -> None:
        nonlocal count
        arrays = session.timed.list_arrays(result)
        sides = (arrays, store_plainly(backend, session.like))
        times = [0, 0]
        count += 1
        for side in (count % 2, 1 - count % 2):
            if flush is not None:
                flush()
            times[side] = time_fetch(backend, sides[side])
        seen.append(Fetches(times[0], times[1], call_ns))

    while True:
        time_block(session.ready, 1, 0, SAMPLES, look, 1 if session.looks_at_all else ONE_IN)
        yield from seen
        seen.clear()

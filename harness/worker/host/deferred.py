"""Work that timed calls leave undone until their results are read, looked for in every block.

Some calls of a block, at unpredictable places, are looked at right after they were timed: their results and equal
arrays are brought to the host, in an unpredictable order. If one of them seems to hide work, more blocks, which do not
count, are timed and looked at in the same way, until the signs of the pairs decide. Nothing tells a backend that it is
looked at more closely: contents, pace, number of looks and verification are those of the block.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from harness.measure.block import time_block
from harness.measure.pairs import QUIET, RARE, decide_signs
from harness.worker.host.fetches import Fetches, describe_times, make_flush_of
from harness.worker.host.timed_problem import Session
from harness.worker.outcome import CannotTellError
from harness.worker.protocol import Sample

CLOSE_S = 12.0  # for a question; a pair takes 50 ms on a busy machine, and most questions need fewer than 200
STEADY = 0.75  # share of signs above which work is hidden in most calls
FEW = 12  # pairs without a sign that acquit, where most calls would have to show one


def find_deferred(session: Session, request: Sample) -> str | None:
    """Return a description of results that are computed when they are looked at; None if those of a block were not.

    session: after a block. request: of that block.
    Raises CannotTellError if the signs do not decide, or WrongAnswerError.
    """
    if not any(one.hides_work for one in session.fetches):
        return None
    until = time.monotonic() + request.looks_s
    found: list[Fetches] = []  # the looks of the block do not count: it was chosen for what they show
    # What a long call leaves undone is more than caches explain: its first question is the second one.
    lazy = session.looks_at_all or decide_signs(_ask(session, request, found), most_s=CLOSE_S, until=until)
    close = tuple(found)
    if lazy:  # the effect of caches: a stored array was written on this core, a result perhaps on others
        often = bool(found) and statistics.fmean(one.hides_work for one in found) > STEADY
        found.clear()
        flush = make_flush_of(session.timed.backend)
        lazy = decide_signs(_ask(session, request, found, flush), FEW if often else QUIET, CLOSE_S, until)
    if lazy is False:
        check_order(session, request, close or found, until)
        return None
    times = describe_pairs(found or close)
    if lazy is None:
        raise CannotTellError(f"the machine cannot tell whether results are computed when they are looked at: {times}")
    return f"results are computed when they are looked at: {times}"


def check_order(session: Session, request: Sample, found: Sequence[Fetches], until: float) -> None:
    """Raise CannotTellError unless the first copy after a call takes no longer than the second, of the result or not.

    session, request: as for `find_deferred`. found: pairs that do not show that it is the result.
    until: reading of the monotonic clock after which no more pairs are measured.
    What a call leaves undone may be done in any function of the backend that is called next, such as the one that
    brings arrays to the host. No honest backend is known that does, but the first copy is not in all ways like the
    second one: it is told, and is no accusation.
    """
    if sum(one.sign_by_order for one in found) <= 0:
        return
    more: list[Fetches] = []
    late = decide_signs(_ask(session, request, more, order=True), most_s=CLOSE_S, until=until)
    # Undecided with few signs: what wakes up after a call makes some first copies of honest backends long, too.
    if late or (late is None and statistics.fmean(one.sign_by_order > 0 for one in more) >= RARE):
        raise CannotTellError(
            "the machine cannot tell whether the work of a call is done in it, or when any array is brought to the "
            f"host next: {describe_pairs(more)}"
        )


def describe_pairs(found: Sequence[Fetches]) -> str:
    """Return the median times of the pairs that show hidden work, and how many they are."""
    shown = [one for one in found if one.hides_work] or found
    return f"in {len(shown)} of {len(found)} timed calls, {describe_times(shown)}"


def _ask(
    session: Session,
    request: Sample,
    found: list[Fetches],
    flush: Callable[[], object] | None = None,
    *,
    order: bool = False,
) -> Callable[[], int]:
    """Make a function that returns the sign of the next pair, and appends it to `found`.

    flush: overwrites caches before each copy; None leaves them. order: ask for the sign by order.
    """
    pairs = look_closely(session, request, flush)

    def ask() -> int:
        found.append(next(pairs))
        return found[-1].sign_by_order if order else found[-1].sign

    return ask


def look_closely(session: Session, request: Sample, flush: Callable[[], object] | None) -> Iterator[Fetches]:
    """Yield pairs from blocks that are as the requested one, but do not count. Raises WrongAnswerError.

    session: the prepared problem. request: of a block. flush: overwrites caches before each copy; None leaves them.
    """
    look = partial(session.look, flush=flush)
    while True:
        session.fetches.clear()
        session.rotate()
        time_block(session.ready, request.budget_ns, request.warm_ns, request.least, look, int(session.looks_at_all))
        session.check_seen("in a timed call")
        yield from tuple(session.fetches)

"""Change a backend's number of threads and observe the effect, by the processor time of other threads.

Time of threads that have ended is included, so that thread pools made for each call are seen as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from harness.backend.base import Backend
from harness.backend.declarations import SET_THREADS
from harness.machine.threads import THREAD_VARIABLES
from harness.problems.arrays import Call

SHARE = 0.05  # of a call's processor time on other threads; a larger share means that the work was shared
AT_ONCE = 1.2  # processor time over wall time; a larger ratio means that threads worked at the same time
AGAIN = 3  # measurements, of which the smallest counts: occasional work of other threads is not part of the call
TRIES, CALM_S = 30, 0.01  # a busy machine may stretch the time for which threads spin
LEAST_NS = 2_000_000  # least processor time of repeated calls, because of the resolution of the clocks

State = Literal["turned", "alone", "ignored"]
_controllers: list[Any] = []  # cached, as finding the libraries takes milliseconds, and loaded ones stay loaded


@dataclass(frozen=True, slots=True)
class Turning:
    """Effect of changing the number of threads of a call.

    state: `turned`, several threads work with a high limit, and one with a limit of one; `alone`, no other thread ever
        works; `ignored`, several threads work with a limit of one.
    what: the state in words and figures.
    """

    state: State
    what: str


@dataclass(frozen=True, slots=True)
class Work:
    """Distribution of the work of some calls.

    others: share of the processor time on other threads.
    at_once: processor time over wall time.
    """

    others: float
    at_once: float


def has_thread_switch(backend: Backend) -> bool:
    """Return True if a backend sets its number of threads itself."""
    return callable(getattr(backend, SET_THREADS, None))


@contextmanager
def limit_threads(backend: Backend, threads: int) -> Iterator[int]:
    """Limit a backend to a number of threads, and restore it afterwards; yields the number that the backend reports.

    Uses the backend's `set_threads` if it has one, else the pools that threadpoolctl finds in the process.
    """
    if not has_thread_switch(backend):
        with _pools().limit(limits=threads):
            yield threads
        return
    try:
        yield set_threads(backend, threads)
    finally:
        set_threads(backend, granted_threads())


def set_threads(backend: Backend, threads: int) -> int:
    """Call the backend's `set_threads`; return the number in effect, which is `threads` if it returns None."""
    switch: Callable[[int], int | None] = getattr(backend, SET_THREADS)
    given = switch(threads)
    return threads if given is None else int(given)


def grant_threads(backend: Backend, threads: int) -> None:
    """Set the number of threads of a backend that sets it itself, as the environment does for its libraries."""
    if has_thread_switch(backend):
        set_threads(backend, threads)


def granted_threads() -> int:
    """Return the number of threads that the environment grants this process; else its number of processors."""
    values = (os.environ.get(name, "") for name in THREAD_VARIABLES)
    return next((int(value) for value in values if value.isdigit() and int(value)), os.cpu_count() or 1)


class Meter(Protocol):
    """Limits the threads of a backend, and reads the processor time of its process."""

    @property
    def switch(self) -> bool:
        """True if the backend sets its number of threads itself."""

    def limit(self, threads: int) -> AbstractContextManager[int]:
        """Limit the backend to a number of threads, and restore it afterwards; yields the number in effect."""

    def read(self) -> tuple[int, int]:
        """Return ns so far of all threads, and of the thread that calls."""


@dataclass(frozen=True, slots=True)
class OwnMeter:
    """A backend in this process."""

    backend: Backend

    @property
    def switch(self) -> bool:
        """True if the backend sets its number of threads itself."""
        return has_thread_switch(self.backend)

    def limit(self, threads: int) -> AbstractContextManager[int]:
        """Limit the backend, as `limit_threads` does."""
        return limit_threads(self.backend, threads)

    def read(self) -> tuple[int, int]:
        """Return processor times of this process and of this thread."""
        return time.process_time_ns(), time.thread_time_ns()


def watch_threads(backend: Backend, call: Call, counts: Sequence[int]) -> Turning:
    """Change the number of threads of a call in this process, and observe which threads work.

    backend: owner of the threads.
    call, counts: as for `observe_threads`.
    """
    return observe_threads(OwnMeter(backend), call, counts)


def observe_threads(meter: Meter, call: Call, counts: Sequence[int]) -> Turning:
    """Change the number of threads of a call, and observe which threads work.

    meter: of the process of the call.
    counts: numbers above one, tried until other threads are seen to work.
    With a limit of one, a pool of one thread may do the work for the caller. Only a backend's own switch can be that of
    such a pool; it is ignored if several threads work at the same time, or if it reports more than one.
    call: the work.
    """
    switch = meter.switch
    # One thread first, so that no thread of an earlier call is still active.
    with meter.limit(1) as granted:
        if granted > 1:
            return Turning("ignored", f"{granted} threads are in effect")
        one = watch_calm_work(call, meter)
    if not is_calm(one, switch=switch):
        share = f"other threads spend {100 * one.others:.0f} % of the processor time"
        return Turning("ignored", f"{share}, {one.at_once:.2g} of them work at once" if switch else share)
    for threads in counts:
        with meter.limit(threads):
            call()
            others = min(watch_work(call, meter).others for _ in range(AGAIN))
        if others >= SHARE:
            return Turning("turned", f"other threads spend {100 * others:.0f} % of the time with {threads}")
    return Turning("alone", f"no second thread works with limits up to {counts[-1]}")


def is_calm(work: Work, *, switch: bool) -> bool:
    """Return True if a limit of one was kept, as far as can be seen."""
    return work.at_once < AT_ONCE if switch else work.others < SHARE


def watch_calm_work(call: Call, meter: Meter) -> Work:
    """Return the first work that keeps to one thread, else the last: threads spin for a while after their work."""
    for _ in range(TRIES):
        call()
        work = watch_work(call, meter)
        if is_calm(work, switch=meter.switch):
            break
        time.sleep(CALM_S)
    return work


def watch_work(call: Call, meter: Meter) -> Work:
    """Measure how the work of a call is distributed over threads."""
    (whole, own), wall = meter.read(), time.perf_counter_ns()
    spent = mine = 0
    while spent < LEAST_NS:
        call()
        took = time.perf_counter_ns() - wall
        now, now_own = meter.read()
        spent, mine = now - whole, now_own - own
    return Work(max(0.0, 1 - mine / spent), spent / max(1, took))


def _pools() -> Any:
    from threadpoolctl import ThreadpoolController

    if not _controllers:
        _controllers.append(ThreadpoolController())
    return _controllers[0]

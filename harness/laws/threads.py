"""Turning a backend's threads, and seeing whether they turned: by the processor time that other threads spend.

Time spent by threads that have ended counts too, so that pools which are made for every call are seen as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from harness.backend.base import Backend
from harness.machine.threads import THREAD_VARIABLES

SHARE = 0.05  # of a call's processor time on other threads: more says that the work was shared out
AT_ONCE = 1.2  # processor time over wall time: more says that threads worked at the same time
AGAIN = 3  # measurements, of which the smallest counts: what comes now and then is not the call's
TRIES, CALM_S = 30, 0.01  # a busy machine may stretch the time for which threads spin
LEAST_NS = 2_000_000  # calls are repeated until they have taken so much processor time: clocks have steps

State = Literal["turned", "alone", "ignored"]
_controllers: list[Any] = []  # finding the libraries of a process takes milliseconds; once they are loaded they stay


@dataclass(frozen=True, slots=True)
class Turning:
    """What became of a call when its threads were turned.

    turned: several threads work with a high limit, and one with a limit of one. alone: no other thread ever works.
    ignored: several work with a limit of one. what: that in words and figures.
    """

    state: State
    what: str


@dataclass(frozen=True, slots=True)
class Work:
    """Who did the work of some calls: share of the processor time on other threads, and processor over wall time."""

    others: float
    at_once: float


def has_thread_switch(backend: Backend) -> bool:
    """Whether a backend turns its threads itself."""
    return callable(getattr(backend, "set_threads", None))


@contextmanager
def limit_threads(backend: Backend, threads: int) -> Iterator[int]:
    """Let a backend compute with so many threads, and as before afterwards; gives the number that it says it uses.

    By the backend's own `set_threads` where it has one, else by the pools that threadpoolctl finds in the process.
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
    """Call the backend's `set_threads`; the number in effect, which is the one asked for where it gives none."""
    given = backend.set_threads(threads)  # type: ignore[attr-defined]
    return threads if given is None else int(given)


def grant_threads(backend: Backend, threads: int) -> None:
    """Tell a backend that sets its own threads how many it has, as the environment tells its libraries."""
    if has_thread_switch(backend):
        set_threads(backend, threads)


def granted_threads() -> int:
    """Threads that the environment grants to this process; else its processors."""
    values = (os.environ.get(name, "") for name in THREAD_VARIABLES)
    return next((int(value) for value in values if value.isdigit() and int(value)), os.cpu_count() or 1)


def watch_threads(backend: Backend, call: Callable[[], Any], counts: Sequence[int]) -> Turning:
    """Turn the threads of a call, and see which of them work.

    With a limit of one, a pool of one thread may do what the caller asks: only a backend's own switch can be such a
    pool's, and it is ignored where several threads work at the same time, or where it says that more are in effect.
    backend: whose threads. call: what they work on. counts: numbers of threads beyond one, tried until other threads
    work.
    """
    switch = has_thread_switch(backend)
    # One first: nothing must be left of earlier calls when others are looked for.
    with limit_threads(backend, 1) as granted:
        if granted > 1:
            return Turning("ignored", f"{granted} threads are in effect")
        one = watch_calm_work(call, switch=switch)
    if not is_calm(one, switch=switch):
        share = f"other threads spend {100 * one.others:.0f} % of the processor time"
        return Turning("ignored", f"{share}, {one.at_once:.2g} of them work at once" if switch else share)
    for threads in counts:
        with limit_threads(backend, threads):
            call()
            others = min(watch_work(call).others for _ in range(AGAIN))
        if others >= SHARE:
            return Turning("turned", f"other threads spend {100 * others:.0f} % of the time with {threads}")
    return Turning("alone", f"no second thread works with limits up to {counts[-1]}")


def is_calm(work: Work, *, switch: bool) -> bool:
    """Whether a limit of one was kept, as far as can be seen."""
    return work.at_once < AT_ONCE if switch else work.others < SHARE


def watch_calm_work(call: Callable[[], Any], *, switch: bool) -> Work:
    """The first work that keeps to one thread, or else the last: threads that had work spin on for a while."""
    for _ in range(TRIES):
        call()
        work = watch_work(call)
        if is_calm(work, switch=switch):
            break
        time.sleep(CALM_S)
    return work


def watch_work(call: Callable[[], Any]) -> Work:
    """Who does the work of a call."""
    wall, whole, own = time.perf_counter_ns(), time.process_time_ns(), time.thread_time_ns()
    spent = 0
    while spent < LEAST_NS:
        call()
        spent = time.process_time_ns() - whole
    mine, took = time.thread_time_ns() - own, time.perf_counter_ns() - wall
    return Work(max(0.0, 1 - mine / spent), spent / max(1, took))


def _pools() -> Any:
    from threadpoolctl import ThreadpoolController

    if not _controllers:
        _controllers.append(ThreadpoolController())
    return _controllers[0]

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

from harness.plan.threads import THREAD_VARIABLES
from harness.plugins.backend import Backend

SHARE = 0.05  # of a call's processor time on other threads: more says that the work was shared out
AGAIN = 3  # measurements, of which the smallest counts: what comes now and then is not the call's
TRIES, CALM_S = 30, 0.01  # a busy machine may stretch the time for which threads spin
LEAST_NS = 2_000_000  # calls are repeated until they have taken so much processor time: clocks have steps

State = Literal["turned", "alone", "ignored"]
_controllers: list[Any] = []  # finding the libraries of a process takes milliseconds; once they are loaded they stay


@dataclass(frozen=True, slots=True)
class Turning:
    """What became of a call when its threads were turned.

    turned: one thread works with a limit of one, several with a higher one. alone: no other thread ever works.
    ignored: others work with a limit of one. share: of the processor time, on other threads, in the case that decides.
    """

    state: State
    share: float


def has_switch(backend: Backend) -> bool:
    """Whether a backend turns its threads itself."""
    return callable(getattr(backend, "set_threads", None))


@contextmanager
def limit_threads(backend: Backend, threads: int) -> Iterator[int]:
    """Let a backend compute with so many threads, and as before afterwards; gives the number that it says it uses.

    By the backend's own `set_threads` where it has one, else by the pools that threadpoolctl finds in the process.
    """
    if not has_switch(backend):
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
    if has_switch(backend):
        set_threads(backend, threads)


def granted_threads() -> int:
    """Threads that the environment grants to this process; else its processors."""
    values = (os.environ.get(name, "") for name in THREAD_VARIABLES)
    return next((int(value) for value in values if value.isdigit() and int(value)), os.cpu_count() or 1)


def watch_threads(backend: Backend, call: Callable[[], Any], counts: Sequence[int]) -> Turning:
    """Turn the threads of a call, and see which of them work.

    counts: numbers of threads beyond one that are tried until other threads are seen to work.
    """
    with limit_threads(backend, 1):  # first, so that nothing is left of earlier calls when others are looked for
        one = least_share(call)
    if one >= SHARE:
        return Turning("ignored", one)
    many = 0.0
    for threads in counts:
        with limit_threads(backend, threads):
            call()
            many = max(many, min(share_of_others(call) for _ in range(AGAIN)))
        if many >= SHARE:
            return Turning("turned", many)
    return Turning("alone", many)


def least_share(call: Callable[[], Any]) -> float:
    """The smallest share of several calls: threads that had work before spin for a while, and then they sleep."""
    least = 1.0
    for _ in range(TRIES):
        call()
        least = min(least, share_of_others(call))
        if least < SHARE:
            break
        time.sleep(CALM_S)
    return least


def share_of_others(call: Callable[[], Any]) -> float:
    """Share of the processor time of a call that other threads of this process spend, 0 to 1."""
    whole, own = time.process_time_ns(), time.thread_time_ns()
    spent = 0
    while spent < LEAST_NS:
        call()
        spent = time.process_time_ns() - whole
    mine = time.thread_time_ns() - own
    return max(0.0, 1 - mine / spent)


def _pools() -> Any:
    from threadpoolctl import ThreadpoolController

    if not _controllers:
        _controllers.append(ThreadpoolController())
    return _controllers[0]

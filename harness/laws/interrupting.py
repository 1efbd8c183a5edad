"""One call in the middle of another: it is stopped at lines of the backend's own Python, and others are made there."""

from __future__ import annotations

import itertools
import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from types import FrameType
from typing import Any

import numpy as np

import harness
from harness.laws.meeting import Interruption, Make, Stop, Taken, call_once, take
from harness.problems.arrays import Array

POLL_S, ASLEEP, PATIENCE = 0.005, 4, 400  # see `_Interrupted.wait`

SKIPPED = tuple(
    os.path.realpath(folder) + os.sep
    for folder in (os.path.dirname(harness.__file__), os.path.dirname(np.__file__), sysconfig.get_path("stdlib"))
)
SITE = os.path.realpath(sysconfig.get_path("purelib")) + os.sep


def interrupt(
    pool: ThreadPoolExecutor, first: Make, always: Sequence[Make], turns: Sequence[Make], stops: Sequence[int]
) -> Interruption:
    """Make a call in a thread, stop it at lines of the backend, and make others in this thread meanwhile.

    What overlaps does not depend on the machine: where a call stops at every line of Python that the backend runs, the
    others lie between each line and the one before.

    pool: of one thread, in which the call is made that stops.
    first, always, turns, stops: as in `Meetings.interrupt`.
    """
    call, found, left = first(), list[Stop](), itertools.cycle(turns)
    thread = _Interrupted(partial(call_once, lambda: call), frozenset(stops))

    def work() -> None:
        made = (*itertools.islice(left, 1), *always)
        found.append(Stop(thread.place, tuple(take(partial(call_once, one)) for one in made)))

    return Interruption(thread.serve(pool, work), tuple(found), len(thread.visited))


class _Interrupted:
    """A call in a thread of its own that stops at lines of the backend and lets the thread that serves it work."""

    def __init__(self, call: Callable[[], dict[str, Array]], stops: Container[int]) -> None:
        self.call, self.stops = call, stops
        self.answer: Taken = RuntimeError("the call was not made")
        self.server, self.place = threading.get_native_id(), ""
        self.turns: SimpleQueue[bool] = SimpleQueue()  # True: stopped at a line; False: over
        self.done = threading.Semaphore(0)
        self.owed = False  # whether the work of an earlier stop still goes on, as it waits for a lock of this call
        self.visited: set[tuple[Any, int]] = set()

    def serve(self, pool: ThreadPoolExecutor, work: Callable[[], None]) -> Taken:
        """Start the call, and do the work whenever it stops; return its answer."""
        running = pool.submit(self._run)
        while self.turns.get():
            work()
            self.done.release()
        running.result()
        return self.answer

    def _run(self) -> None:
        with np.errstate(all="ignore"):
            sys.settrace(self._enter)
            try:
                self.answer = self.call()
            except BaseException as error:
                self.answer = error
            finally:
                sys.settrace(None)
                self.turns.put(False)

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        """Follow the lines of a function of the backend; those of the harness and of Python itself run through."""
        return self._step if _is_backend(frame.f_code.co_filename) else None

    def _step(self, frame: FrameType, event: str, arg: Any) -> Any:
        line = (frame.f_code, frame.f_lineno)
        if event == "line" and line not in self.visited:
            self.visited.add(line)
            if len(self.visited) in self.stops:
                self._stop(f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}")
        return self._step

    def _stop(self, place: str) -> None:
        if self.owed and not self.done.acquire(blocking=False):
            return
        self.place = place
        self.turns.put(True)
        self.owed = not self.wait()

    def wait(self) -> bool:
        """Wait for the work of the serving thread; give up where it sleeps, as it does before a lock of this call.

        A thread that merely gets no processor does not sleep. Looked at every POLL_S; ASLEEP times in a row are
        enough, and PATIENCE times altogether.
        """
        asleep = 0
        for _ in range(PATIENCE):
            if self.done.acquire(timeout=POLL_S):
                return True
            asleep = asleep + 1 if _sleeps(self.server) else 0
            if asleep == ASLEEP:
                break
        return False


def _sleeps(thread: int) -> bool:
    """True if a thread of this process waits for something, or if the system does not report it."""
    try:
        with open(f"/proc/self/task/{thread}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in ("R", "D")
    except (OSError, IndexError):
        return True


_known_files: dict[str, bool] = {}


def _is_backend(path: str) -> bool:
    """True if a file belongs neither to the harness, nor to Python or NumPy."""
    if path not in _known_files:
        real = os.path.realpath(path)
        *others, python = SKIPPED
        own = real.startswith(tuple(others)) or (real.startswith(python) and not real.startswith(SITE))
        _known_files[path] = not own and not path.startswith("<")
    return _known_files[path]

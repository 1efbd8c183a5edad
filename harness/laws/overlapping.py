"""Calls at the same time, each caller in a thread of its own."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from harness.laws.meeting import LEAST_CALLS, MOST_CALLS, OVERLAP_S, Make, Overlapping, Taken

SWITCH_S = 1e-6  # how long a thread keeps the interpreter while another one waits for it
IN_A_ROW = 4  # calls of a thread before it copies the answers
MOST_BYTES = 2**27  # of the answers of a thread
PATIENCE_OF_ALL_S = 60.0  # then the threads are held to wait for each other


def overlap(makes: Sequence[Make]) -> Overlapping:
    """Make every call in a thread of its own, again and again, all threads from one start on.

    No thread ends before every one has made LEAST_CALLS and has worked for OVERLAP_S, so that all of them overlap; the
    interpreter changes threads as often as it can meanwhile. A thread ends with the first exception. Answers are copied
    when some calls have been made one right after the other: that is time in which no call overlaps.

    makes: for each thread, a function that returns its next call.
    """
    found: list[list[Taken]] = [[] for _ in makes]
    counts = [0] * len(makes)
    start = threading.Barrier(len(makes))

    def work(number: int) -> None:
        kept_bytes = 0
        try:
            with np.errstate(all="ignore"):
                start.wait()
                end = time.thread_time() + OVERLAP_S
                while (
                    counts[number] < MOST_CALLS
                    and kept_bytes < MOST_BYTES
                    and (min(counts) < LEAST_CALLS or time.thread_time() < end)
                ):
                    taken = _call_some(makes[number])
                    found[number] += taken
                    kept_bytes += sum(a.nbytes for one in taken if isinstance(one, dict) for a in one.values())
                    if isinstance(taken[-1], BaseException):
                        break
                    counts[number] += IN_A_ROW
        except BaseException as error:  # of a call that ends its thread, such as SystemExit
            found[number].append(error)
        finally:
            counts[number] = MOST_CALLS

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(len(makes))]
    with _quick_switches():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_OF_ALL_S)
    if any(thread.is_alive() for thread in threads):
        return Overlapping((), ended=False)
    return Overlapping(tuple(map(tuple, found)), ended=True)


def _call_some(make: Make) -> list[Taken]:
    """Make some calls right after each other, then copy their outputs, up to the first exception, which is the last."""
    found: list[Taken] = []
    try:
        calls = [make() for _ in range(IN_A_ROW)]
        results = [call.run() for call in calls]
        for call, result in zip(calls, results, strict=True):
            found.append(call.fetch(result))
    except Exception as error:
        found.append(error)
    return found


@contextmanager
def _quick_switches() -> Iterator[None]:
    """Let threads that hold the interpreter give it up as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)

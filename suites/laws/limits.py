"""The law of addresses: arrays that 32 bits cannot address are computed like any other."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from harness import Attachments, BackendUnderTest, Deviation, Problem, law
from harness.laws import NoRoomError, call_on_large_arrays, draw_large_arrays, is_beyond_32_bits, judge_large_outputs
from harness.machine import read_free_memory, read_gpu_memory
from harness.measure import MemoryMeter, read_resident, read_tree_resident
from harness.record import CANNOT_TELL

COPIES = 1.3  # of all arrays: the arrays themselves, which stay with the backend, blocks, and the process
Made = TypeVar("Made")


class OutOfMemoryError(Exception):
    """A call that ran out of memory although it had what it needs; `where` is the place that raised it."""

    where: str | None = None


def _applies(problem: Problem) -> bool:
    return problem.data == "integer" and not problem.flip and is_beyond_32_bits(problem)


@law(tolerance="exact", when=_applies, copies=COPIES)
def agrees_beyond_limits(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """operator(arrays) == exact sums, where an array has more than 2^31 elements or 2^32 bytes

    Asked of the prepared call, on whole numbers. Outputs at the ends of every array, around 2^30, 2^31 and 2^32
    elements and bytes, and at random places are recomputed from their windows; then random weights contract every
    element of the output, and are compared with the contraction of the inputs. Every maximum is recomputed.
    """
    need = int(COPIES * problem.bytes) + subject.backend.workspace(problem)
    with _enough_memory(subject, need) as free:
        return _apply(subject, problem, free)


def _apply(subject: BackendUnderTest, problem: Problem, free: int) -> Deviation:
    meters = [MemoryMeter("cpu") for _ in range(3)]
    before = read_resident()
    held = _measured(meters[0], lambda: draw_large_arrays(subject, problem))
    _measured(meters[1], lambda: call_on_large_arrays(held))
    found = _measured(meters[2], lambda: judge_large_outputs(held))
    figures = {
        "array bytes": problem.bytes, "free bytes": free, "bytes of the process before": before,
        "peak while drawing": meters[0].top_bytes, "peak of the call": meters[1].top_bytes,
        "peak while checking": meters[2].top_bytes,
    }  # fmt: skip
    return replace(found, attachments=Attachments(figures={name: float(value) for name, value in figures.items()}))


def _measured(meter: MemoryMeter, make: Callable[[], Made]) -> Made:
    with meter:
        return make()


@contextmanager
def _enough_memory(subject: BackendUnderTest, need: int) -> Iterator[int]:
    """Give the free bytes, 0 where unknown. Raises NoRoomError where memory is short, at the start or later.

    The plan leaves out what does not fit into the host's memory. What had room then and has none now is no success:
    the cell says that the machine cannot tell. Of a device, all its memory decides here.
    """
    here = subject.backend.device == "cpu"
    free, whole = (read_free_memory(), None) if here else read_gpu_memory() or (None, None)
    if whole is not None and whole < need:
        raise NoRoomError(f"estimated {need / 2**30:.3g} GiB, and the device has {whole / 2**30:.3g} GiB")
    if free is not None and free < need:
        raise _doubt(f"{free / 2**30:.3g} GiB are free now", need)
    before = read_tree_resident(os.getpid())
    try:
        yield free or 0
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        grown = max(0, read_tree_resident(os.getpid()) - before)
        later = read_free_memory() if here else None
        raise _explain_lack(error, need, _find_share(free, later, grown)) from error


def _find_share(free: int | None, later: int | None, grown: int) -> int | None:
    """Return the bytes that a call certainly had; None if that cannot be told.

    free: at the start. later: free now; None of a device, where others may have taken the half, but hardly more.
    grown: bytes by which the processes of the cell have grown.
    """
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        return None  # a limit of the user's own, whose rest is unknown
    if later is not None:
        return later + grown
    return None if free is None else free // 2


def _explain_lack(error: Exception, need: int, had: int | None) -> Exception:
    """Return what memory that ran out stands for: a fault if the call had what it needs, else a doubt."""
    text = " ".join(str(error).split())[:200] or type(error).__name__
    if had is None or had < need:
        return _doubt(text, need)
    lack = OutOfMemoryError(
        f"{text}: it had {had / 2**30:.3g} GiB, where arrays and workspace() are estimated at {need / 2**30:.3g} GiB; "
        f"a backend that needs more declares it in workspace()"
    )
    lack.where = getattr(error, "where", None)
    return lack


def _doubt(why: str, need: int) -> NoRoomError:
    return NoRoomError(
        f"{CANNOT_TELL} whether memory was short: estimated {need / 2**30:.3g} GiB for arrays and workspace(); {why}"
    )


def is_out_of_memory(error: Exception) -> bool:
    """Return True if an allocator failed: MemoryError from NumPy, RuntimeError from torch, others from devices."""
    text = f"{type(error).__name__} {error}".lower()
    return isinstance(error, MemoryError) or any(
        words in text for words in ("out of memory", "outofmemory", "can't allocate memory", "could not allocate")
    )

"""The law of addresses: arrays that 32 bits cannot address are computed like any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from harness import Attachments, BackendUnderTest, Deviation, Problem, law
from harness.laws import NoRoomError, call_on_large_arrays, draw_large_arrays, is_beyond_32_bits, judge_large_outputs
from harness.machine import read_free_memory
from harness.measure import MemoryMeter, read_resident
from harness.plan import is_memory_short

COPIES = 1.3  # of all arrays: the arrays themselves, which stay with the backend, blocks, and the process
Made = TypeVar("Made")


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

    On another device only its own allocator knows. Memory that runs out although there was twice as much is an error.
    """
    here = subject.backend.device == "cpu"
    free = read_free_memory() if here else None
    if free is not None and free < need:
        raise NoRoomError(f"estimated {need / 2**30:.3g} GiB, and {free / 2**30:.3g} GiB are free now")
    try:
        yield free or 0
    except Exception as error:
        if is_out_of_memory(error) and (free is None or is_memory_short(free, need)):
            text = " ".join(str(error).split())
            raise NoRoomError(f"out of memory (estimated {need / 2**30:.3g} GiB): {text}"[:400]) from None
        raise


def is_out_of_memory(error: Exception) -> bool:
    """Return True if an allocator failed: MemoryError from NumPy, RuntimeError from torch, others from devices."""
    text = f"{type(error).__name__} {error}".lower()
    return isinstance(error, MemoryError) or any(
        words in text for words in ("out of memory", "outofmemory", "can't allocate memory", "could not allocate")
    )

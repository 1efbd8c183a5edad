"""Shared memory for arrays: blocks that the judge allocates, with guard zones, and answers that the host writes.

A guard zone holds the byte 0xff: NaN in every floating-point format, and -1 in integers. A call that writes beyond its
arrays changes a zone; a call that reads beyond them reads NaN.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
from collections import defaultdict
from functools import cache, lru_cache
from typing import Any

import msgspec
import numpy as np

from harness.problems.arrays import Array
from harness.problems.numerics import dtype_of

GUARD_BYTES = 128  # before and after each array; a multiple of the alignment
GUARD = b"\xff" * GUARD_BYTES
LEAST_BYTES = 4096  # of a block
LARGE_BYTES = 2**21  # blocks from this size on give their memory back when they are freed
SMALLEST_ARENA = 2**26
DTYPES = frozenset(
    {"bool", "float16", "float32", "float64", "bfloat16", "complex64", "complex128"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)


class Placed(msgspec.Struct, frozen=True, array_like=True):
    """An array in an arena: offset and strides in bytes."""

    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str


class ArenaError(Exception):
    """An array that cannot lie in an arena, or is said to lie outside it."""


@cache
def read_dtype(name: str) -> np.dtype[Any]:
    """Return the dtype of a name in DTYPES."""
    return dtype_of("bfloat16") if name == "bfloat16" else np.dtype(name)


@lru_cache(maxsize=256)
def name_dtype(dtype: np.dtype[Any]) -> str:
    """Return the name of a dtype, which NumPy puts together anew each time."""
    return dtype.name


def create_file() -> int:
    """Return the descriptor of a new anonymous file that is as large as the machine's memory, without using any.

    Its size is sealed: a process that could shrink it would end every other that reads it, by SIGBUS.
    """
    file = os.memfd_create("arrays", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(file, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return file


class Arena:
    """A mapping of the shared file; both processes have one."""

    def __init__(self, file: int) -> None:
        """Map the file."""
        self.size = os.fstat(file).st_size
        self.memory = _map(file, self.size)

    def view(self, placed: Placed) -> Array:
        """Return a view of an array. Raises ArenaError if it has a dtype that is no number, or lies outside."""
        if placed.dtype not in DTYPES:
            raise ArenaError(f"got dtype {placed.dtype}, wanted numbers")
        if _array_bytes(placed) > self.size:  # steps of 0 let any number of elements lie in a few bytes
            raise ArenaError(f"got an array of {_array_bytes(placed)} bytes in {self.size} bytes of shared memory")
        try:
            return np.ndarray(
                placed.shape, read_dtype(placed.dtype), buffer=self.memory, offset=placed.offset, strides=placed.strides
            )
        except (ValueError, TypeError) as error:
            raise ArenaError(str(error)) from None


def _map(file: int, size: int) -> mmap.mmap:
    """Map as much of the file as the limit of the address space allows, at least SMALLEST_ARENA."""
    while True:
        try:
            return mmap.mmap(file, size)
        except OSError:
            if size <= SMALLEST_ARENA:
                raise
            size //= 2


def write(arena: Arena, a: Array, offset: int) -> Placed:
    """Copy an array into an arena, its axes in the same order in memory, without gaps.

    arena, offset: where it is to lie.
    a: any array of numbers.
    """
    strides = np.empty_like(a, order="K", subok=False).strides
    placed = Placed(offset, a.shape, strides, name_dtype(a.dtype))
    arena.view(placed)[...] = a
    return placed


class Blocks:
    """Arrays of the judge: each in a block of its own between guard zones."""

    def __init__(self, arena: Arena) -> None:
        """Allocate from an arena that nothing else allocates from."""
        self.arena, self.end = arena, 0
        self.free_blocks: dict[int, list[int]] = defaultdict(list)  # by size

    def place(self, a: Array) -> Placed:
        """Copy an array into a new block. Raises ArenaError if it is no array of numbers, or the arena is full."""
        if name_dtype(a.dtype) not in DTYPES:
            raise ArenaError(f"got an array of dtype {a.dtype}, wanted numbers")
        start = self._allocate(_block_bytes(a.nbytes))
        memory, data = self.arena.memory, start + GUARD_BYTES
        memory[start:data] = GUARD
        memory[data + a.nbytes : data + a.nbytes + GUARD_BYTES] = GUARD
        return write(self.arena, a, data)

    def is_intact(self, placed: Placed) -> bool:
        """Return True if nothing has been written around an array."""
        begin, end = placed.offset, placed.offset + _array_bytes(placed)
        memory = self.arena.memory
        return memory[begin - GUARD_BYTES : begin] == GUARD and memory[end : end + GUARD_BYTES] == GUARD

    def free(self, placed: Placed) -> None:
        """Free the block of an array, so that it is allocated again."""
        size, start = _block_bytes(_array_bytes(placed)), placed.offset - GUARD_BYTES
        if size >= LARGE_BYTES:
            self.arena.memory.madvise(mmap.MADV_REMOVE, start, size)
        self.free_blocks[size].append(start)

    def _allocate(self, size: int) -> int:
        if self.free_blocks[size]:
            return self.free_blocks[size].pop()
        start = self.end
        if start + size > len(self.arena.memory):
            raise ArenaError(f"no room for {size} bytes of arrays in {len(self.arena.memory)} bytes of shared memory")
        self.end += size
        return start


class Answers:
    """Arrays that the host returns, one after the other; they count until the next request."""

    def __init__(self, arena: Arena) -> None:
        """Write to an arena that nothing else writes to."""
        self.arena, self.end = arena, 0

    def begin(self) -> None:
        """Forget the arrays of the last answer."""
        if self.end >= LARGE_BYTES:
            self.arena.memory.madvise(mmap.MADV_REMOVE, 0, self.end)
        self.end = 0

    def put(self, a: Array) -> Placed:
        """Copy an array to the end. Raises ArenaError if it is no array of numbers, or the arena is full."""
        if name_dtype(a.dtype) not in DTYPES:
            raise ArenaError(f"got an array of dtype {a.dtype}, wanted numbers")
        start, self.end = self.end, _round_up(self.end + a.nbytes, mmap.PAGESIZE if a.nbytes >= LARGE_BYTES else 64)
        if self.end > len(self.arena.memory):
            raise ArenaError(f"no room for {a.nbytes} bytes of outputs in {len(self.arena.memory)} of shared memory")
        return write(self.arena, a, start)


def _array_bytes(placed: Placed) -> int:
    return math.prod(placed.shape) * read_dtype(placed.dtype).itemsize


def _block_bytes(nbytes: int) -> int:
    """Return the size of the block for an array: a power of two, or whole pages for a large one."""
    needed = nbytes + 2 * GUARD_BYTES
    return _round_up(needed, LARGE_BYTES) if needed > LARGE_BYTES else max(LEAST_BYTES, 1 << (needed - 1).bit_length())


def _round_up(number: int, step: int) -> int:
    return -(-number // step) * step

"""How many threads a cell is asked with, and the variables by which libraries are told before they are loaded."""

from __future__ import annotations

import zlib
from collections.abc import Collection

# OpenMP, OpenBLAS, oneMKL and BLIS: read once, when the library is loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
WAIT_VARIABLES = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}  # threads sleep at once
BLAS_TIMEOUT = {"OPENBLAS_THREAD_TIMEOUT": "4"}  # after 2^4 cycles, the least that OpenBLAS takes
ONE, ALL = 1, 0  # as cells have it: one thread, or as many as the machine has processors
LEAST = 2  # "all" is never fewer, so that work is shared out on a machine with one processor too


def deal_threads(line: str, law: str) -> int:
    """Whether a law is asked of a problem with ONE thread or with ALL: half of the cells each, the same in every run.

    A checksum of both names deals them out, so that the laws on one problem, and the problems of one law, get both.
    """
    return ALL if zlib.crc32(f"{law} {line}".encode()) & 0x10 else ONE


def sleep_at_once(known: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Variables by which threads without work sleep, but for those that are known to be set already.

    Laws ask calls of microseconds in several processes at a time: threads that spin take the processor from the others.
    """
    return tuple((name, value) for name, value in {**WAIT_VARIABLES, **BLAS_TIMEOUT}.items() if name not in known)


def count_threads(dealt: int, cores: int) -> int:
    """Number of threads of a cell on a machine with so many processors."""
    return dealt or max(LEAST, cores)

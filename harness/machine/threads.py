"""Thread counts of cells, and the environment variables that set them before a library is loaded."""

from __future__ import annotations

import zlib
from collections.abc import Collection

# OpenMP, OpenBLAS, oneMKL and BLIS: read once, when the library is loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
WAIT_VARIABLES = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}  # threads sleep at once
BLAS_TIMEOUT = {"OPENBLAS_THREAD_TIMEOUT": "4"}  # idle threads sleep after 2^4 cycles, the minimum of OpenBLAS
ONE, ALL = 1, 0  # values in cells: one thread, or one for each processor
LEAST = 2  # minimum for ALL, so that work is also divided on a machine with one processor


def deal_threads(line: str, law: str) -> int:
    """Choose the thread count of a law on a problem: ONE or ALL, half of the cells each, the same in every run.

    A checksum of both names decides, so that the laws of one problem, and the problems of one law, use both.
    """
    return ALL if zlib.crc32(f"{law} {line}".encode()) & 0x10 else ONE


def sleep_at_once(known: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Return the variables that make idle threads sleep, except `known` ones, which are already set.

    Laws make calls of microseconds in several processes at once; threads that spin would take cores from other
    processes.
    """
    return tuple((name, value) for name, value in {**WAIT_VARIABLES, **BLAS_TIMEOUT}.items() if name not in known)


def count_threads(dealt: int, cores: int) -> int:
    """Return the number of threads of a cell.

    dealt: ONE or ALL, from `deal_threads`. cores: processors of the machine.
    """
    return dealt or max(LEAST, cores)

"""What this machine can do at most: GEMM per dtype and copy bandwidth, measured in the run itself."""

from __future__ import annotations

import time
from typing import Any

from harness.record.run import Peak

SIZE = 1536  # three float64 matrices of it take 57 MB, beyond the caches that matter for GEMM's rate
COPY_BYTES = 256 * 2**20
TRIES = 8


def measure_peak(tries: int = TRIES) -> Peak:
    """Best of several GEMMs in float32 and float64 through NumPy's BLAS, and of several copies of 256 MiB."""
    import numpy as np

    rates = {}
    for name in ("float32", "float64"):
        a = np.full((SIZE, SIZE), 0.5, dtype=name)
        out = np.empty_like(a)
        rates[name] = 2 * SIZE**3 / _best_ns(lambda a=a, out=out: np.matmul(a, a, out=out), tries)
    source = np.ones(COPY_BYTES // 8)
    target = np.empty_like(source)
    copy = 2 * COPY_BYTES / _best_ns(lambda: np.copyto(target, source), tries)
    return Peak(device="cpu", gemm_gflops=rates, copy_gbs=copy)


def _best_ns(call: Any, tries: int) -> int:
    call()
    best = 0
    for _ in range(tries):
        start = time.perf_counter_ns()
        call()
        took = time.perf_counter_ns() - start
        best = took if best == 0 else min(best, took)
    return best

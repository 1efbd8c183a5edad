"""Peak rates of this machine: matrix products per dtype and copies per working set, measured during the run.

A peak is the best of several libraries, because one of them may use half of the machine: on two cores with AVX-512, in
an environment that limits OpenBLAS to its AVX2 kernels, NumPy reached 257 GFLOP/s in float32, PyTorch's matrix product
220 and its convolution 503.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import cycle, repeat
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.measure.disturbance import TICK_NS

if TYPE_CHECKING:
    from harness.problems.arrays import Namespace
    from harness.record.run import Peak

SIZES = (256, 512, 1024, 1536)  # of square matrices; the rate grows with the size
CUDA_SIZES = (1024, 2048, 4096, 8192)
IMAGES, CHANNELS = (16, 32, 64), 256  # of 3x3 convolutions
COPY_BYTES = tuple(2**power for power in (15, 18, 21, 24, 28))
CUDA_COPY_BYTES = tuple(2**power for power in (25, 27, 29))  # below, launching takes longer than copying
TRIES, QUICK_TRIES = 5, 2
LEAST_COPIED = 96 * 2**20  # bytes per measurement: at least 0.3 ms, so that threads overlap
CUDA_COPIED = 2**33
BUDGET_NS, QUICK_BUDGET_NS = 90_000_000, 40_000_000  # for each library and dtype
GROWTH = 5  # approximate ratio of the times of successive sizes
OTHERS = 0.05  # share of one core; background programs of a quiet machine use less

_now = time.perf_counter_ns
Rates = list[tuple[str, float, float]]  # dtype, GFLOP/s of all threads together, and of one alone
Make = Callable[[int], tuple[Callable[[], object], int]]


def measure_peak(device: str = "cpu", *, quick: bool = False) -> Peak:
    """Measure the best rates of a device in GFLOP/s and GB/s, with the thread count of this process's BLAS.

    quick: for repeats within a run; skips libraries that take long to load. Raises UsageError for an unknown device.
    """
    if device == "cpu":
        return _measure_cpu(quick)
    if device == "cuda":
        return _measure_cuda(QUICK_BUDGET_NS if quick else BUDGET_NS)
    raise UsageError(f"unknown device: got '{device}', wanted one of cpu, cuda; correct `device` of the backend")


def _measure_cpu(quick: bool) -> Peak:
    """Measure copies before products, because a BLAS pool continues to spin after each product."""
    from harness.record.run import Peak

    tries, budget_ns = (QUICK_TRIES, QUICK_BUDGET_NS) if quick else (TRIES, BUDGET_NS)
    begun, others, threads = _now(), read_others_ns(), _count_threads()
    counts = {threads} if quick else {1, threads}
    copies = {str(size): max(_copy_rate(size, count, tries) for count in counts) for size in COPY_BYTES}
    rates = _numpy_rates(threads, budget_ns)
    if not quick or "torch" in sys.modules:
        rates += _torch_rates(budget_ns)
    disturbed = read_others_ns() - others > OTHERS * (_now() - begun)
    best: dict[str, float] = {}
    for name, together, alone in rates:
        best[name] = max(best.get(name, 0.0), mend(together, alone, threads, disturbed))
    copy_gbs = copies[str(COPY_BYTES[-1])]
    return Peak(device="cpu", gemm_gflops=widen(best), copy_gbs=copy_gbs, copy_by_bytes=copies)


def mend(together: float, alone: float, threads: int, disturbed: bool) -> float:
    """Return the multi-thread rate; if other processes interfered, at least the single-thread rate times `threads`.

    together: rate of all threads. alone: rate of one thread. disturbed: True if other processes used processor time.
    If one of two cores is occupied, synchronising threads lose a time slice in every product (2 instead of 478 GFLOP/s,
    while one thread reached 248). The single-thread rate is then the better estimate, and rather too high. It is also
    used if all threads together are slower than one.
    """
    return max(together, alone * threads) if disturbed or together < alone else together


def widen(rates: dict[str, float]) -> dict[str, float]:
    """Raise the rates of float16 and bfloat16 to at least that of float32, which represents all their values."""
    narrow = {"float16", "bfloat16"} & set(rates)
    return rates | {name: max(rates[name], rates["float32"]) for name in narrow}


def read_others_ns() -> int:
    """Processor time used so far by other processes, or stolen, in ns; 0 if the system does not report it."""
    try:
        with open("/proc/stat", "rb") as file:
            user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    except (OSError, ValueError):
        return 0
    return (user + nice + system + irq + softirq + steal) * TICK_NS - time.process_time_ns()


def best_rate(make: Make, sizes: Sequence[int], budget_ns: int, now: Callable[[], int] = _now) -> float:
    """Return the highest rate in operations per ns.

    Tries larger sizes while they fit the budget, then repeats all of them in turn until it is spent. Large sizes have
    the better rate; small ones are more likely to run undisturbed.
    make: maps a size to its call and its number of operations. sizes: rising. budget_ns: wall time. now: clock in ns.
    """
    best, end, made = 0.0, now() + budget_ns, []
    for size in sizes:
        call, operations = make(size)
        call()  # untimed: a first call may plan
        shortest = min(_time(call, now) for _ in repeat(None, TRIES))
        best = max(best, operations / shortest)
        made.append((call, operations))
        if now() + (1 + TRIES) * GROWTH * shortest > end:
            break
    for call, operations in cycle(made):
        if now() >= end:
            break
        best = max(best, operations / _time(call, now))
    return best


def _time(call: Callable[[], object], now: Callable[[], int] = _now) -> int:
    begun = now()
    call()
    return max(1, now() - begun)


def _count_threads() -> int:
    """Threads of the largest pool in this process, which follows the environment variables."""
    import numpy as np  # noqa: F401  loads its BLAS
    from threadpoolctl import threadpool_info

    return max((int(pool["num_threads"]) for pool in threadpool_info()), default=1)


def _numpy_rates(threads: int, budget_ns: int) -> Rates:
    """Measure products in float32 and float64 through NumPy's BLAS."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    def make(size: int, dtype: str) -> tuple[Callable[[], object], int]:
        a = np.full((size, size), 0.5, dtype=dtype)
        return partial(np.matmul, a, a, out=np.empty_like(a)), 2 * size**3

    @contextmanager
    def limit(threads: int) -> Iterator[None]:
        with threadpool_limits(threads, "blas"):
            yield

    return [
        (dtype, *_threaded_rates(partial(make, dtype=dtype), SIZES, budget_ns, threads, limit))
        for dtype in ("float32", "float64")
    ]


def _threaded_rates(
    make: Make, sizes: Sequence[int], budget_ns: int, threads: int, limit: Callable[[int], AbstractContextManager[None]]
) -> tuple[float, float]:
    """Measure the rates of all threads together and of one thread."""
    with limit(1):
        alone = best_rate(make, sizes, budget_ns)
    with limit(threads):
        return best_rate(make, sizes, budget_ns), alone


def _torch_rates(budget_ns: int) -> Rates:
    """Measure convolutions of oneDNN through PyTorch; empty if PyTorch is missing.

    They reach the rates of its products, and more in float16, where the product may be a plain loop that takes seconds.
    """
    try:
        import torch
    except (ImportError, OSError):
        return []

    def make(size: int, dtype: Any) -> tuple[Callable[[], object], int]:
        last = torch.channels_last
        x = torch.full((1, CHANNELS, size, size), 0.5, dtype=dtype).to(memory_format=last)
        w = torch.full((CHANNELS, CHANNELS, 3, 3), 0.5, dtype=dtype).to(memory_format=last)
        return partial(torch.conv2d, x, w), 2 * (size - 2) ** 2 * 9 * CHANNELS**2

    @contextmanager
    def limit(threads: int) -> Iterator[None]:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    threads = torch.get_num_threads()
    with torch.no_grad():
        return [
            (name, *_threaded_rates(partial(make, dtype=getattr(torch, name)), IMAGES, budget_ns, threads, limit))
            for name in ("float32", "bfloat16", "float16")
        ]


def _copy_rate(size: int, threads: int, tries: int) -> float:
    """Bytes read and written per ns by all threads together, within a working set of `size` bytes."""
    share = max(1, size // 2 // threads)
    times = max(1, LEAST_COPIED // (2 * share * threads))
    copies = [make_copy(share, times) for _ in range(threads)]
    return max(2 * share * threads * times / run_side_by_side(copies) for _ in range(tries))


def make_copy(size: int, times: int) -> Callable[[], None]:
    """Make a call that copies the same bytes `times` times without holding the interpreter's lock.

    One element is the whole array, and all elements have the same address, so that each copy is one memmove.
    """
    import numpy as np
    from numpy.lib.stride_tricks import as_strided

    source, target = (
        as_strided(np.full(size, value, np.uint8).view(np.dtype((np.void, size))), (times,), (0,)) for value in (1, 2)
    )
    return partial(np.copyto, target, source)


def run_side_by_side(calls: Sequence[Callable[[], object]]) -> int:
    """Run each call in its own thread; time from the first start to the last end, in ns."""
    if len(calls) == 1:
        return _time(calls[0])
    barrier, spans = threading.Barrier(len(calls)), []

    def work(call: Callable[[], object]) -> None:
        barrier.wait()
        begun = _now()
        call()
        spans.append((begun, _now()))

    threads = [threading.Thread(target=work, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(1, max(end for _, end in spans) - min(begun for begun, _ in spans))


def _measure_cuda(budget_ns: int) -> Peak:
    """Measure through PyTorch or CuPy, on constant data, which draw the least power. Raises UsageError."""
    from harness.measure.clocks import find_cuda
    from harness.record.run import Peak

    library = find_cuda()
    rates, copies = (_torch_cuda if library.__name__ == "torch" else _cupy_cuda)(library, budget_ns)
    by_bytes = {str(size): rate for size, rate in copies.items()}
    return Peak(device="cuda", gemm_gflops=rates, copy_gbs=copies[CUDA_COPY_BYTES[-1]], copy_by_bytes=by_bytes)


def _torch_cuda(torch: Namespace, budget_ns: int) -> tuple[dict[str, float], dict[int, float]]:
    wait = torch.cuda.synchronize

    def make(size: int, dtype: str) -> tuple[Callable[[], object], int]:
        a = torch.full((size, size), 0.5, dtype=getattr(torch, dtype), device="cuda")
        out = torch.empty_like(a)
        return lambda: (torch.mm(a, a, out=out), wait()), 2 * size**3

    rates = {}
    for name in ("float64", "float32", "tf32", "bfloat16", "float16"):
        with switch_tf32(torch, allowed=name == "tf32"):
            made = partial(make, dtype="float32" if name == "tf32" else name)
            rates[name] = best_rate(made, CUDA_SIZES, budget_ns)
    copies = {}
    for size in CUDA_COPY_BYTES:
        source, target = (torch.full((size // 2,), value, dtype=torch.uint8, device="cuda") for value in (1, 2))
        copies[size] = _queue_rate(partial(target.copy_, source), wait, size)
    return rates, copies


@contextmanager
def switch_tf32(torch: Namespace, *, allowed: bool) -> Iterator[None]:
    """Switch TF32 in cuBLAS on or off, and restore the previous state afterwards.

    Uses the old switch, which sets the new one of torch 2.9 (`fp32_precision`) too; the new one alone would contradict
    the old one, and torch 2.11 then refuses the product.
    """
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_tf32
    matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        matmul.allow_tf32 = before


def _cupy_cuda(cupy: Namespace, budget_ns: int) -> tuple[dict[str, float], dict[int, float]]:
    """Measure through CuPy, whose only TF32 switch is an environment variable; it decides the float32 rate's name."""
    wait = cupy.cuda.runtime.deviceSynchronize

    def make(size: int, dtype: str) -> tuple[Callable[[], object], int]:
        a = cupy.full((size, size), 0.5, dtype=dtype)
        out = cupy.empty_like(a)
        return lambda: (cupy.matmul(a, a, out=out), wait()), 2 * size**3

    names = {"float64": "float64", "float16": "float16"}
    names["tf32" if os.environ.get("CUPY_TF32", "0") not in ("", "0") else "float32"] = "float32"
    rates = {name: best_rate(partial(make, dtype=dtype), CUDA_SIZES, budget_ns) for name, dtype in names.items()}
    copies = {}
    for size in CUDA_COPY_BYTES:
        source, target = (cupy.full(size // 2, value, dtype=cupy.uint8) for value in (1, 2))
        copies[size] = _queue_rate(partial(cupy.copyto, target, source), wait, size)
    return rates, copies


def _queue_rate(copy: Callable[[], object], wait: Callable[[], object], size: int) -> float:
    """Bytes per ns of many queued copies, so that each launch overlaps with the previous copy."""
    times = max(1, CUDA_COPIED // size)

    def work() -> None:
        for _ in repeat(None, times):
            copy()
        wait()

    work()
    return size * times / min(_time(work) for _ in repeat(None, QUICK_TRIES))

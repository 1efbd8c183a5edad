"""The least time that this machine could need for a problem, so that a time below it is known to be no time of it.

Williams, Waterman and Patterson 2009 (the roofline): operations over the machine's rate, bytes over its bandwidth,
whichever takes longer. Where something is not known, the floor is the lower one: it accuses.
"""

from __future__ import annotations

import math

from harness.problems.numerics import FORMATS, Numerics, dtype_of
from harness.problems.problem import Problem
from harness.record.run import Peak

ALLOWANCE = 1.33
"""How far below its floor a time may lie. Of 51 measurements of the peak within four minutes, on two shared cores, the
best and the worst lay apart by a factor of 1.31 in float32 (527 and 401 GFLOP/s), 1.25 in float64, 1.14 in bfloat16: a
run with a single one may know that much too little. The best convolution of any shape was 2 % above the best product.
What is gained by not doing the work is more; the impossible time of gpu-mode 162 lies 1.34 beyond its peak.
"""
READ_GAIN = 1.5  # a copy may fetch each line of its target before it writes it: 3 transfers where 2 are counted
TILE = 8  # outputs per axis of the largest tile that anybody uses in Winograd's F(m, r); beyond, errors swamp float32


def floor_ns(problem: Problem, numerics: Numerics, peak: Peak | None) -> float | None:
    """The least ns that a device with this peak needs for a problem, as the declared algorithm does it.

    None where nothing can be said: no peak, no rate for the dtype, or fewer bytes than any copy that was measured.
    """
    if peak is None:
        return None
    operations = executed_flops(problem, numerics)
    rate = product_rate(problem, numerics, peak)
    if operations and rate is None:
        return None
    for_operations = operations / rate if rate else 0.0
    moved = least_bytes(problem)
    bandwidth = copy_rate(moved, peak)
    for_bytes = moved / (READ_GAIN * bandwidth) if bandwidth else 0.0
    return max(for_operations, for_bytes) or None


def is_too_fast(ns: float, floor_ns: float | None) -> bool:
    """Whether a time lies so far below the floor that the noise of the measured peak cannot be why."""
    return floor_ns is not None and ns < floor_ns / ALLOWANCE


def executed_flops(problem: Problem, numerics: Numerics) -> float:
    """Operations that the declared algorithm cannot do without and that run at most as fast as a matrix product.

    Direct and gemm execute all. Winograd's F(m, r) computes m outputs of r taps with m + r - 1 multiplications instead
    of m r, per axis (Lavin and Gray 2016): for 3x3 kernels and m = 8 that is 24/10 squared, 5.8 times fewer, and never
    6 with any smaller tile; for other kernels and numbers of axes the same arithmetic says how many. Of an FFT nothing
    is known from the problem. Pooling and sums over dy are no products: they are bound by bytes alone.
    """
    if not problem.operator.spec.multiplies or numerics.algorithm == "fft":
        return 0.0
    if numerics.algorithm != "winograd":
        return float(problem.flops)
    m = max(TILE, numerics.tile)
    return problem.flops / math.prod(m * r / (m + r - 1) for r in problem.kernel)


def product_rate(problem: Problem, numerics: Numerics, peak: Peak) -> float | None:
    """Operations per ns of the fastest matrix product that holds the problem's numbers; None where none was measured.

    A format that holds every value of the dtype may be used in its place. A vector register of a processor holds two
    float32 where it holds one float64: a library that does better in one of them shows what the other could do.
    """
    tf32 = problem.dtype == "float32" and "tf32" in (problem.math, numerics.rounds_input_to)
    wanted, rates = "tf32" if tf32 else problem.dtype, dict(peak.gemm_gflops)
    if wanted not in rates:
        return None
    if peak.device == "cpu" and {"float32", "float64"} <= set(rates):
        rates["float64"] = max(rates["float64"], rates["float32"] / 2)
        rates["float32"] = max(rates["float32"], rates["float64"] * 2)
    return max(rate for name, rate in rates.items() if _holds(name, wanted))


def _holds(name: str, wanted: str) -> bool:
    if name not in FORMATS:
        return False
    one, other = FORMATS[name], FORMATS[wanted]
    return one.bits >= other.bits and one.smallest <= other.smallest


def copy_rate(moved: int, peak: Peak) -> float | None:
    """Bytes per ns of the fastest copy that a working set of this size, or a larger one, can have.

    Between two sizes that were measured, that of the smaller one counts too; below all of them nothing is known, and
    calling takes longer than moving anyway.
    """
    sizes = sorted((int(size), rate) for size, rate in peak.copy_by_bytes.items())
    below = [size for size, _ in sizes if size <= moved]
    return max(rate for size, rate in sizes if size >= below[-1]) if below else None


def least_bytes(problem: Problem) -> int:
    """Bytes that must be read or written at least: each array once, without what no window touches.

    A kernel of one tap and stride 2 leaves three quarters of an image unread; taps that only ever meet padding are not
    read either. Indices take as many bytes as the largest of them needs. Gradients of max pooling need no x.
    """
    item, index = dtype_of(problem.dtype).itemsize, (math.prod(problem.x[2:]).bit_length() + 7) // 8
    touched, windows, taps = (math.prod(shares) for shares in zip(*_shares(problem), strict=True))
    read = {"x": touched, "dy": windows, "w": taps}  # b and all outputs are needed as a whole
    if problem.operator.spec.transposed:
        read["x"] = windows
    read |= dict.fromkeys(problem.operator.spec.unread, 0.0)
    total = 0.0
    for name, shape in problem.shapes.items():
        total += read.get(name, 1.0) * math.prod(shape) * (index if name == "indices" else item)
    return math.floor(total)


def _shares(problem: Problem) -> list[tuple[float, float, float]]:
    """Per axis: shares of the covered positions that a window touches, of windows, and of taps that meet any."""
    inner = problem.x[2:] if problem.operator.spec.transposed else problem.y[2:]
    found = []
    for n, p, m, s, d, (begin, _) in zip(
        problem.forward_spatial, inner, problem.kernel, problem.window.stride, problem.window.dilation,
        problem.window.padding, strict=True,
    ):  # fmt: skip
        positions, windows, taps = bytearray(n), bytearray(p), 0
        for tap in range(m):
            offset = tap * d - begin  # windows i with 0 <= i*s + offset < n
            first, last = max(0, -(offset // s)), min(p - 1, (n - 1 - offset) // s)
            count = max(0, last - first + 1)
            if count:
                taps += 1
                windows[first : last + 1] = b"\1" * count
                positions[first * s + offset : last * s + offset + 1 : s] = b"\1" * count
        found.append((sum(positions) / n, sum(windows) / p, taps / m))
    return found

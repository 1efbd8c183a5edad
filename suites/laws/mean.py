"""Laws of mean pooling: sums of whole numbers compared exactly, means within their bound (specification, section 4)."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import numpy as np

from harness import BackendUnderTest, Deviation, Operator, Problem, Window, compare_arrays, law, worst_of
from harness.laws import NotExactError, check_outputs
from harness.problems import EVERY, FORMATS, pad_or_crop, reference
from suites.laws.common import equal, step, whole_avg_pool, wide
from suites.laws.windows import (
    AVG,
    avg_pool,
    bare,
    holds,
    mark_one,
    nan_reaches,
    nan_stays,
    ordinary,
    overhangs,
    seen,
    settle,
    taps_counted,
    taps_inside,
    taps_padded,
    unpadded,
    window_sums,
)


def _real(problem: Problem) -> bool:
    return problem.operator is AVG and ordinary(problem)


# --- divisors ----------------------------------------------------------------------------------------------------


@law(
    tolerance="exact",
    when=lambda p: whole_avg_pool(p) and not p.window.ceil_mode and p.x[1] > 0,
    needs=(AVG, Operator.conv),
    restates=(AVG,),
)
def mean_is_depthwise_convolution(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """avg_pool(x) * divisor = conv(x, ones), depthwise

    Mean pooling is a depthwise convolution with a constant kernel; without the ceil rule, which conv does not have.
    """
    x, window, channels = wide(problem, "x", problem.x), problem.window, problem.x[1]
    plain = Window(stride=window.stride, padding=window.padding, dilation=window.dilation, groups=channels)
    total = subject.conv(x, np.ones((channels, 1, *problem.kernel)), window=plain)
    return equal(window_sums(subject, problem, x), total, "avg_pool * divisor")


@law(tolerance="bound", when=whole_avg_pool)
def mean_of_ones_is_one(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """avg_pool(1) = (taps inside the input) / divisor, which is 1 away from padding

    Fixes the divisor: explicit padding counts if count_include_pad, the ceil overhang never does.
    """
    y, error = avg_pool(subject, problem, np.ones(problem.x))
    wanted = np.broadcast_to(taps_inside(problem) / taps_counted(problem), y.shape)
    return compare_arrays(y, wanted, error, what="avg_pool(1)", kind="bound")


def _reached(problem: Problem) -> tuple[tuple[int, int], ...]:
    """Explicit padding as far as windows reach into it; the end is negative where they end inside the input."""
    cover = problem.window.cover(problem.x[2:], problem.kernel)
    return tuple((b, min(e, last)) for (b, e), (_, last) in zip(problem.window.padding, cover, strict=True))


def _reaches_padding(problem: Problem) -> bool:
    return _real(problem) and any(side > 0 for pair in _reached(problem) for side in pair)


@law(tolerance="bound", when=_reaches_padding, restates=(AVG,))
def mean_padding_is_explicit_zeros(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """avg_pool(x; padding p, counted) = avg_pool(zeros around x; padding 0, not counted)

    Both sides of every axis by their own padding; with the ceil rule on both sides, whose overhang never counts.
    """
    x, window = wide(problem, "x", problem.x), problem.window
    inside = replace(window, padding=((0, 0),) * problem.axes, count_include_pad=False)
    y, error = avg_pool(subject, problem, x, replace(window, count_include_pad=True))
    explicit, other = avg_pool(subject, problem, np.asarray(pad_or_crop(x, _reached(problem), 0.0, np)), inside)
    return compare_arrays(y, explicit, error + other, what="padded avg_pool", kind="bound")


@law(tolerance="bound", when=lambda problem: _real(problem) and any(overhangs(problem)))
def mean_leaves_out_the_overhang(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """last window of the ceil rule = avg_pool of what is left of the input, with the kernel cut to fit

    On every axis where the last window hangs over; explicit padding is there as zeros, and counts.
    """
    x, window = wide(problem, "x", problem.x), problem.window
    sizes = zip(
        overhangs(problem), problem.x[2:], problem.y[2:], problem.kernel, window.stride, window.dilation,
        window.padding, strict=True,
    )  # fmt: skip
    last, rest, kernel = [], [], []
    for over, n, p, m, s, d, (begin, end) in sizes:
        low = (p - 1) * s if over else 0
        fits = min(m, -(-(n + begin + end - low) // d)) if over else m  # taps at low, low + d, ...
        last.append(slice(-1, None) if over else slice(None))
        rest.append(slice(low, low + (fits - 1) * d + 1) if over else slice(0, (p - 1) * s + (m - 1) * d + 1))
        kernel.append(fits)
    y, error = avg_pool(subject, problem, x, replace(window, count_include_pad=True))
    padded = pad_or_crop(x, window.padding, 0.0, np)[(*EVERY, *rest)]
    cut, other = avg_pool(subject, problem, padded, replace(bare(window), kernel=tuple(kernel)))
    at = (*EVERY, *last)
    return compare_arrays(y[at], cut, error[at] + other, what="avg_pool in the overhang", kind="bound")


@law(tolerance="exact", when=lambda problem: whole_avg_pool(problem) and not unpadded(problem))
def modes_share_their_sums(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """avg_pool(x; counted) * taps in input and padding = avg_pool(x; not counted) * taps in the input

    Padding adds nothing to a sum, whether it counts in the divisor or not.
    """
    x, window = wide(problem, "x", problem.x), problem.window
    counted, left = (problem.with_(window=replace(window, count_include_pad=mode)) for mode in (True, False))
    return equal(
        settle(subject, counted, {"x": x}, taps_padded(problem)),
        settle(subject, left, {"x": x}, taps_inside(problem)),
        "sums with padding counted",
    )


# --- order and range ---------------------------------------------------------------------------------------------


@law(tolerance="exact", when=whole_avg_pool)
def mean_keeps_order(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """x <= z  =>  avg_pool(x) <= avg_pool(z)

    z is x with 1 added at random places; by sums of whole numbers.
    """
    x = wide(problem, "x", problem.x)
    less, more = (window_sums(subject, problem, a) for a in (x, x + np.abs(step(problem, "h", problem.x))))
    return equal(np.minimum(less, more), less, "min(avg_pool(x), avg_pool(z)), z >= x, against avg_pool(x)")


@law(tolerance="bound", when=_real)
def mean_lies_between(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """min of window i <= avg_pool(x)[i] <= max of window i

    Where padding counts, its 0 is in the window; 0 over padding alone.
    """
    x, inside = wide(problem, "x", problem.x), taps_inside(problem)
    low, high = reduce(np.minimum, seen(problem, x, np.inf)), reduce(np.maximum, seen(problem, x, -np.inf))
    padded = (taps_counted(problem) > inside) | (inside == 0)
    low, high = np.where(padded, np.minimum(low, 0.0), low), np.where(padded, np.maximum(high, 0.0), high)
    y, error = avg_pool(subject, problem, x)
    return compare_arrays(
        y, np.clip(y, low, high), error, what="avg_pool against the range of its window", kind="bound"
    )


@law(tolerance="bound", when=lambda problem: _real(problem) and unpadded(problem) and problem.kernel == problem.x[2:])
def global_mean(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """kernel = whole input  =>  y = mean over space

    Summed in float64.
    """
    x = wide(problem, "x", problem.x)
    y, error = avg_pool(subject, problem, x)
    wanted = x.mean(axis=tuple(range(2, x.ndim)), keepdims=True)
    return compare_arrays(y, wanted, error, what="global avg_pool", kind="bound")


# --- NaN ---------------------------------------------------------------------------------------------------------


@law(tolerance="exact", when=lambda problem: problem.operator is AVG and problem.data != "nonfinite")
def nan_stays_in_its_means(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """x[p] = NaN  =>  y[i] is NaN where window i holds p; all other y[i] keep their bits

    One NaN in each map. Where the backend declares that nan_local does not hold, as for running sums, the second half
    is asked of maps without a NaN.
    """
    x = wide(problem, "x", problem.x)
    mask, _ = mark_one(problem, "nan")
    held, spoiled = holds(problem, mask), np.where(mask, np.nan, x)
    before, y = (subject.run(problem, {"x": a})["y"].astype(np.float64) for a in (x, spoiled))
    reached = nan_reaches(y, held, "windows that hold one")
    return worst_of(nan_stays(subject, problem, {"x": x}, spoiled, held, (before, y)), reached)


@law(tolerance="bound", when=lambda p: p.operator is AVG and p.dtype == "float16" and p.data == "uniform")
def half_means_do_not_overflow(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """x = c  =>  avg_pool(x) = c (taps inside x) / divisor, for c near the largest and at the smallest number

    Where sums are declared wider than float16: the sum of a window leaves its range, the mean does not.
    """
    if subject.numerics().sums_in(problem.dtype).bits < 24:
        raise NotExactError("sums are declared in float16, which may overflow")
    parts = []
    for c in (6e4, FORMATS[problem.dtype].smallest):
        arrays = {"x": np.full(problem.x, c, dtype=np.float16)}
        wanted = reference.compute(problem, arrays)
        parts.append(check_outputs(problem, subject.numerics(), arrays, subject.run(problem, arrays), wanted))
    return worst_of(*parts)

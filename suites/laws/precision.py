"""Laws that show the precision with which a backend computes; none of them needs a reference value."""

from __future__ import annotations

import math

import numpy as np

from harness import BackendUnderTest, Deviation, Numerics, Operator, Problem, compare_arrays, law, worst_of
from harness.laws import NotExactError, input_rounding, judge_output, magnitude, norm_bound, rounding_bound, sum_bound
from harness.problems import FORMATS, Array, Sizes, draw_array, dtype_of, make_arrays, reference
from suites.laws.common import equal, kernel_shape
from suites.laws.shapes import bare, by_channel, filled_conv

POWERS = {"float16": (3,)}  # of two that numbers of this size bear; 20 both ways where exponents are wide
COPIES = (Operator.conv, Operator.conv_transpose, Operator.conv_input_grad, Operator.conv_weight_grad)
LEVEL = 8  # exponent of the constant input of the accumulator's probe


def _real(problem: Problem) -> bool:
    """True if the data has full significands and no special numbers."""
    return problem.data in ("normal", "uniform") and 0 not in (*problem.x, *(problem.w or ()))


@law(tolerance="exact", when=lambda p: _real(p) and p.operator.spec.linear)
def scales_by_powers_of_two(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """f(2^k x) = 2^k f(x) and f(-x) = -f(x), to the bit

    x is the operator's first array, and the bias goes with it; every linear operator, any window, flipped or not. The
    data is kept 1/4 away from 0, so that no product underflows; an output below the smallest normal number may be off
    by the smallest one. Holds for transforms too. A backend that is not deterministic keeps its bound instead.
    """
    arrays = {name: a if name == "indices" else _away_from_zero(a) for name, a in make_arrays(problem).items()}
    name, numerics = problem.operator.outputs[0], subject.numerics(problem)
    y, deviations = subject.run(problem, arrays)[name].astype(np.float64), []
    own = np.zeros(())
    if not numerics.deterministic:
        own = 2 * (sum_bound(problem, numerics, arrays, magnitude(problem, arrays)) + rounding_bound(problem, y))
    for factor in (-1.0, *(2.0**k for k in POWERS.get(problem.dtype, (20, -20)))):
        refuse_overflow(problem, arrays, factor)
        scaled = {key: a * a.dtype.type(factor) if key in _scaled(problem) else a for key, a in arrays.items()}
        got = subject.run(problem, scaled)[name]
        allowed = abs(factor) * own + find_underflow(problem, y, factor)
        what = "f(-x)" if factor < 0 else f"f(2^{round(math.log2(factor))} x)"
        deviations.append(
            compare_arrays(got, factor * y, allowed, what=what, kind="exact" if own.ndim == 0 else "bound")
        )
    return worst_of(*deviations)


def _scaled(problem: Problem) -> tuple[str, str]:
    return problem.operator.inputs[0], "b"


def _away_from_zero(a: Array) -> Array:
    wide = a.astype(np.float64)
    return np.asarray(np.copysign(np.abs(wide) + 0.25, wide).astype(a.dtype))


def find_underflow(problem: Problem, y: Array, factor: float) -> Array:
    """Return the smallest number of either side if one of them is subnormal, else 0.

    problem: with the dtype. y: output. factor: by which y is scaled.
    """
    smallest = FORMATS[problem.dtype].smallest
    normal = smallest * 2.0 ** (FORMATS[problem.dtype].bits - 1)
    return np.where(min(1.0, abs(factor)) * np.abs(y) < normal, (1 + abs(factor)) * smallest, 0.0)


def refuse_overflow(problem: Problem, arrays: dict[str, Array], factor: float) -> None:
    """Raise NotExactError if a scaled sum could leave the range of float16.

    problem: with the dtype. arrays: inputs by name. factor: by which they are scaled.
    """
    if problem.dtype != "float16":
        return
    largest = float(np.max(magnitude(problem, arrays))) * abs(factor)
    if largest > float(np.finfo(np.float16).max):
        raise NotExactError(f"sums of {problem.line} times {factor:g} may exceed float16")


@law(tolerance="exact", when=lambda p: _real(p) and p.operator in COPIES)
def one_term_is_a_copy(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """w = delta  =>  y[n,o,i] = x~[n, c, s i + d t], bit by bit;  so dx = dy for w = delta and dw = x for dy = delta

    Every sum has one term that is not 0, and the factor 1, so nothing may be rounded: what is lost is the precision of
    the inputs on their way. Any window, flipped or not, no bias. Where the problem permits inputs rounded to a shorter
    format and the backend declares it, that much; norm-wise classes within their bound.
    """
    alone = problem.with_(bias=False)
    arrays = {name: a for name, a in make_arrays(alone).items() if name != "b"}
    fixed = problem.operator.inputs[0] if problem.operator is Operator.conv_weight_grad else "w"
    arrays[fixed] = make_one_term(problem).astype(dtype_of(problem.dtype))
    wanted = reference.compute(alone, arrays)[problem.operator.outputs[0]]  # in float64 it is the copy
    numerics, name = subject.numerics(alone), problem.operator.outputs[0]
    got = subject.run(alone, arrays)[name]
    if numerics.normwise:
        return judge_output(alone, numerics, arrays, got, wanted, what=name)
    lost = 2 * input_rounding(problem, numerics)
    return compare_arrays(got, wanted, lost * np.abs(wanted), what=name, kind="bound" if lost else "exact")


def make_one_term(problem: Problem) -> Array:
    """The second operand that leaves one term in every sum: a 1 for each output channel, at places that differ."""
    shape, groups = kernel_shape(problem), problem.window.groups
    if problem.operator is Operator.conv_weight_grad:
        n, o, *out = problem.y
        dy = np.zeros((n, o, math.prod(out)))
        for channel in range(o):
            dy[channel % n, channel, _spread(channel, math.prod(out))] = 1.0
        return dy.reshape(problem.y)
    o, c, taps = shape[0] // groups, shape[1], math.prod(shape[2:])
    w = np.zeros((groups, o, c, taps))
    backwards = problem.operator is not Operator.conv
    for g in range(groups):
        for number in range(c if backwards else o):
            row, column = (number % o, number) if backwards else (number, number % c)
            w[g, row, column, _spread(number + g, taps)] = 1.0
    return w.reshape(shape)


def _spread(number: int, size: int) -> int:
    return (size // 2 + 5 * number) % size


def _terms(problem: Problem) -> int:
    shape = kernel_shape(problem)
    return shape[1] * math.prod(shape[2:])


@law(tolerance="exact", when=lambda p: filled_conv(p) and _terms(p) >= 3)
def sums_keep_small_terms(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """M + 1 + ... + 1 - M = 1 + ... + 1, for M = 2^(p - 2) and p the bits of the declared accumulator

    Every partial sum, in any order and grouping, fits p bits; with two bits less the ones added to M are lost. M and -M
    stand at six pairs of places over channels and taps, one pair for each filter; they are products, so that short
    formats hold the factors. Any stride, dilation and groups, padding 0. For norm-wise classes M is the largest power
    of two at which the bound of the class is below 1/4, and the answer is rounded.
    """
    shape, groups = kernel_shape(problem), problem.window.groups
    pairs, window = _places(_terms(problem)), bare(problem.window)
    spatial = tuple(r + s for r, s in zip(window.reach(shape[2:]), window.stride, strict=True))
    probe = problem.with_(
        x=(1, *problem.x[1:2], *spatial), w=(groups * len(pairs), *shape[1:]), window=window, bias=False, flip=False
    )
    numerics = subject.numerics(probe)
    bits = min(numerics.sums_in(problem.dtype).bits, FORMATS[problem.dtype].bits)
    ones = min(_terms(problem) - 2, 2 ** (bits - 1))
    x = np.full(probe.x, 2.0**LEVEL)
    exponent = _largest_exponent(probe, numerics, x, ones)
    arrays = {"x": x, "w": _probe_kernel(kernel_shape(probe), pairs, exponent, ones)}
    y = subject.run(probe, arrays)["y"].astype(np.float64)
    return equal(np.rint(y) if numerics.normwise else y, np.full(probe.y, float(ones)), f"y for M = 2^{exponent}")


def _places(terms: int) -> tuple[tuple[int, int], ...]:
    """Places of M and -M among the terms."""
    last, middle = terms - 1, terms // 2
    return ((0, last), (last, 0), (0, 1), (last, last - 1), (0, middle), (middle, last))


def _probe_kernel(shape: Sizes, pairs: tuple[tuple[int, int], ...], exponent: int, ones: int) -> Array:
    """Filters of `ones` ones with M and -M at their places, over 2^LEVEL."""
    w = np.zeros((shape[0] // len(pairs), len(pairs), math.prod(shape[1:])))
    for row, (plus, minus) in zip(w.swapaxes(0, 1), pairs, strict=True):
        free = [place for place in range(w.shape[2]) if place not in (plus, minus)]
        row[:, free[:ones]] = 1.0
        row[:, plus], row[:, minus] = 2.0**exponent, -(2.0**exponent)
    return w.reshape(shape) * 2.0**-LEVEL


def _largest_exponent(probe: Problem, numerics: Numerics, x: Array, ones: int) -> int:
    """Of M: by the accumulator's bits and the range of w, or by the bound of the class. Raises NotExactError."""
    exponent = numerics.sums_in(probe.dtype).bits - 2
    if probe.dtype == "float16":
        exponent = min(exponent, LEVEL + 15)
    if numerics.normwise:
        w = _probe_kernel(kernel_shape(probe), _places(_terms(probe)), 0, ones)
        bound = float(np.max(norm_bound(probe, numerics, {"x": x, "w": w})))  # grows at most as M does
        exponent = min(exponent, math.floor(-math.log2(4 * bound)))
    if exponent < 2:
        raise NotExactError(f"no M is exact in {probe.line} ({numerics.algorithm})")
    return exponent


def _splits_channels(problem: Problem) -> bool:
    return _real(problem) and problem.operator is Operator.conv and kernel_shape(problem)[1] > 1


@law(tolerance="exact", when=_splits_channels)
def disjoint_channels_give_nothing(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """x = 0 on odd channels, w = 0 on even ones  =>  conv(x, w) = 0 and conv(x, w, b) = b, to the bit

    Channels are counted in their group; two or more of them. Real data, any window, flipped or not. For norm-wise
    classes the second half alone, within their bound.
    """
    shape, groups = kernel_shape(problem), problem.window.groups
    biased = problem.with_(bias=True)
    x, w, b = (draw_array(problem, name, size) for name, size in (("x", problem.x), ("w", shape), ("b", shape[:1])))
    x.reshape(x.shape[0], groups, shape[1], -1)[:, :, 1::2] = 0
    w[:, 0::2] = 0
    numerics = subject.numerics(biased)
    arrays = {"x": x, "w": w, "b": b}
    wanted = np.broadcast_to(by_channel(b.astype(np.float64), problem.axes), problem.y)
    y = subject.run(biased, arrays)["y"]
    if numerics.normwise:
        return judge_output(biased, numerics, arrays, y, wanted, what="y with a bias")
    plain = subject.run(problem.with_(bias=False), {"x": x, "w": w})["y"]
    return worst_of(equal(plain, np.zeros(problem.y), "y"), equal(y, wanted, "y with a bias"))

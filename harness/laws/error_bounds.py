"""Error bounds by declared algorithm class; every bound follows from the data, none is a global tolerance.

Per element (direct, gemm), with A = |w| * |x| + |b| computed by the same operator on absolute values:
    |got - y| <= (2 u_in + g) A + u_out |y| + underflow,   g = gamma_K = K u / (1 - K u)  (Higham 2002, section 3.1),
and for data of both signs g = min(gamma_K, 8 sqrt(K) u): by Higham and Mary (2019) the sum of K roundings exceeds
lambda sqrt(K) u with probability below 2 K exp(-lambda^2 / 2), which for lambda = 8 is 3e-14 K.
Per norm (fft): |got - y| <= 12 u log2(n) ||x|| ||w|| + u_out A, over the image, the channels of the group and the
kernel (form of Percival 2003; the largest factor measured over kernels of 9 to 4608 taps was 0.19).
Per norm (winograd): |got - y| <= c u ||x|| ||w|| + u_out A, with c by the tile; the bound grows exponentially with it
(Barabasz, Anderson, Soodhalter and Gregg 2020). Measured on F(2,3) and F(4,3) were 1.2 and 4.9; c allows six times as
much. The bounds per norm also include the rounding of the output, u_out |y| + underflow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.laws.deviation import Deviation, Kind, compare_arrays, worst_of
from harness.laws.diagnosis.pattern import describe_pattern, ulps
from harness.laws.nan_reach import find_nan_reach
from harness.problems import reference
from harness.problems.accumulation import longest_sum, most_terms
from harness.problems.arrays import Array
from harness.problems.numerics import FORMATS, Numerics
from harness.problems.problem import Problem

LAMBDA = 8.0
WINOGRAD = {2: 8.0, 4: 32.0, 6: 160.0}  # c, per tile
BOTH_SIGNS = frozenset({"normal", "integer", "distinct", "subnormal", "wide", "onehot", "zeros", "nonfinite", "long"})
WHOLE = frozenset({"integer", "distinct", "subnormal", "long"})


def check_outputs(
    problem: Problem,
    numerics: Numerics,
    arrays: Mapping[str, Array],
    got: Mapping[str, Array],
    wanted: Mapping[str, Array],
) -> Deviation:
    """Compare outputs with the reference: exactly for exact sums, else within the bound of the declared class.

    arrays: inputs by name.
    got, wanted: outputs by name; `wanted` as computed by the reference in float64.
    problem: the problem. numerics: as declared by the backend.
    """
    return make_check(problem, numerics, arrays, wanted)(got)


def make_check(
    problem: Problem, numerics: Numerics, arrays: Mapping[str, Array], wanted: Mapping[str, Array]
) -> Callable[[Mapping[str, Array]], Deviation]:
    """Return a function that compares outputs with the reference, for several answers to one problem.

    arrays: inputs by name.
    wanted: outputs by name, as computed by the reference in float64.
    The comparison is exact for exact sums, else within the bound of the declared class, which is computed once.
    problem: the problem. numerics: as declared by the backend.
    """
    if not is_exact(problem, numerics, arrays):
        name = problem.operator.outputs[0]
        judged = make_judge(problem, numerics, arrays, wanted[name], what=name)
        return lambda got: judged(got[name])
    declared = _as_declared(problem, numerics, arrays, wanted)
    rounds = numerics.normwise and not problem.operator.spec.selects

    def check(got: Mapping[str, Array]) -> Deviation:
        parts = []
        for name, value in got.items():
            found = compare_arrays(np.rint(value.astype(np.float64)) if rounds else value, declared[name], what=name)
            parts.append(_explained(found, problem, arrays, value, declared[name], 0.0, name))
        return worst_of(*parts)

    return check


def check_answers(
    check: Callable[[Mapping[str, Array]], Deviation], answers: Sequence[Mapping[str, Array]]
) -> Deviation:
    """Return the worst deviation of several answers to one problem; answers equal in all bits are compared once."""
    first, *others = answers
    found = check(first)
    return worst_of(found, *(found if same_bits(first, other) else check(other) for other in others))


def same_bits(first: Mapping[str, Array], second: Mapping[str, Array]) -> bool:
    """Return True if two answers, outputs by name, are equal in dtype, shape and all bits."""
    return first.keys() == second.keys() and all(
        a.dtype == second[name].dtype and a.shape == second[name].shape and a.tobytes() == second[name].tobytes()
        for name, a in first.items()
    )


def _as_declared(
    problem: Problem, numerics: Numerics, arrays: Mapping[str, Array], wanted: Mapping[str, Array]
) -> Mapping[str, Array]:
    """The reference's maxima, indexed by the rules that the backend declares for ties and NaN."""
    if not problem.operator.spec.selects:
        return wanted
    if numerics.ties == "first" and (numerics.nan_index == "first" or not np.isnan(arrays["x"]).any()):
        return wanted
    y, indices = reference.max_pool(arrays["x"], problem.window, numerics.ties, numerics.nan_index)
    return {"y": y, "indices": indices}


def is_exact(problem: Problem, numerics: Numerics, arrays: Mapping[str, Array]) -> bool:
    """Return True if every order of summation must give the same bits (or, for norm classes, round to them).

    arrays: inputs by name.
    Always true for selections, never for means and their gradients. True for sums of whole numbers if K max|x| max|w| +
    max|b| <= 2^p, or A itself is at most 2^p, and every factor is exact in the format to which inputs are rounded,
    checked on the data. Norm classes also need an error bound below 1/2.
    problem: the problem. numerics: as declared by the backend.
    """
    if problem.operator.spec.selects:
        return True
    if problem.data not in WHOLE or not problem.operator.spec.sums_exactly:
        return False
    sizes = [
        float(np.max(np.abs(a.astype(np.float64)), initial=0.0))
        for name, a in arrays.items()
        if name in problem.operator.spec.factors
    ]
    p = min(numerics.sums_in(problem.dtype).bits, FORMATS[problem.dtype].bits)
    limit, rounded = 2.0**p, input_rounding(problem, numerics)
    if rounded and max(sizes, default=0.0) > 1 / rounded:
        return False
    if problem.data == "subnormal":
        if numerics.normwise or not numerics.keeps_subnormals or rounded:
            return False
        limit *= FORMATS[problem.dtype].smallest
    most = most_terms(problem) * math.prod(sizes)
    if "b" in arrays and arrays["b"] is not None:
        most += float(np.max(np.abs(arrays["b"].astype(np.float64)), initial=0.0))
    if most > limit:
        magnitudes = {name: np.abs(a) if name != "indices" else a for name, a in arrays.items()}
        most = float(np.max(reference.compute(problem, magnitudes)[problem.operator.outputs[0]]))
    if most > limit:
        return False
    return not numerics.normwise or float(np.max(norm_bound(problem, numerics, arrays), initial=0.0)) < 0.5


def judge_output(
    problem: Problem, numerics: Numerics, arrays: Mapping[str, Array], got: Array, wanted: Array, what: str
) -> Deviation:
    """Compare one output with its float64 reference within the bound of the declared class.

    arrays: inputs by name.
    what: name of the output, for messages.
    problem: the problem. numerics: as declared by the backend. got, wanted: the output, and that of the reference.
    """
    return make_judge(problem, numerics, arrays, wanted, what)(got)


def make_judge(
    problem: Problem, numerics: Numerics, arrays: Mapping[str, Array], wanted: Array, what: str
) -> Callable[[Array], Deviation]:
    """Return a function that compares one output with its float64 reference; the bound is computed once.

    arrays: inputs by name.
    wanted: the output in float64.
    what: name of the output, for messages.
    problem: with dtype and data. numerics: as declared by the backend.
    """
    size = magnitude(problem, arrays)
    limits = sum_bound(problem, numerics, arrays, size)
    kind: Kind = "norm" if numerics.normwise else "bound"
    spreads = problem.data == "nonfinite" and not numerics.nan_local
    reach = find_nan_reach(problem, arrays) if spreads else None

    def check(got: Array) -> Deviation:
        expected = wanted if reach is None or got.shape != wanted.shape else _as_spread(got, wanted, reach)
        allowed = limits + rounding_bound(problem, expected)
        deviation = compare_arrays(got, expected, allowed, what=what, kind=kind)
        explained = _explained(deviation, problem, arrays, got, expected, allowed, what)
        return _with_bits(explained, got, expected, size, longest_sum(problem))

    return check


def _as_spread(got: Array, wanted: Array, reach: Array) -> Array:
    """Replace wanted values within reach by those of the answer that are not finite: a transform spreads NaN."""
    wide = got.astype(np.float64)
    spread = np.isfinite(wanted) & ~np.isfinite(wide) & reach
    return np.where(spread | np.isnan(wide) & ~np.isfinite(wanted), got, wanted)


def _explained(
    found: Deviation,
    problem: Problem,
    arrays: Mapping[str, Array],
    got: Array,
    wanted: Array,
    allowed: Array | float,
    name: str,
) -> Deviation:
    """Return a failed comparison with the pattern of its error and the worst error in units in the last place."""
    if found.passed or got.shape != wanted.shape:
        return found
    bias = arrays.get("b") if name == "y" else None
    note = describe_pattern(got, wanted, allowed, kernel=name == "dw", bias=bias)
    return replace(found, note=note, ulps=None if name == "indices" else ulps(got, wanted, problem.dtype))


def magnitude(problem: Problem, arrays: Mapping[str, Array]) -> Array:
    """Return A = |w| * |x| + |b|, the operator applied to absolute values; of the shape of the first output."""
    absolute = {name: np.abs(a) if name != "indices" else a for name, a in arrays.items()}
    return reference.compute(problem, absolute)[problem.operator.outputs[0]]


def sum_bound(problem: Problem, numerics: Numerics, arrays: Mapping[str, Array], size: Array) -> Array:
    """Return the bound on the error of the sums, before the output is rounded.

    arrays: inputs by name.
    size: the operator's magnitude A.
    problem: the problem. numerics: as declared by the backend.
    """
    if numerics.normwise:
        return norm_bound(problem, numerics, arrays) + FORMATS[problem.dtype].u * size
    factor, least = relative_bound(problem, numerics), longest_sum(problem) * FORMATS[problem.dtype].smallest
    if math.isinf(factor):  # any sum is within the bound, except one of nothing but zeros
        return np.where(size == 0, least, math.inf)
    return factor * size + least


def rounding_bound(problem: Problem, wanted: Array) -> Array:
    """Return the bound on the error of rounding the output to its dtype."""
    out = FORMATS[problem.dtype]
    return np.asarray(out.u * np.abs(wanted) + out.smallest)


def count_roundings(problem: Problem, numerics: Numerics) -> int:
    """Return R: a sum is rounded at most once for each of its terms, however often a backend declares."""
    return max(min(numerics.output_roundings, longest_sum(problem)), 1)


def relative_bound(problem: Problem, numerics: Numerics) -> float:
    """Return the factor of A: 2 u_in + gamma (1 + u_out), and u_out for each rounding of the output before the last.

    Operators may round terms before they are added up: a gradient of means its shares, each dy over a divisor.
    """
    length, sums, out = longest_sum(problem), numerics.sums_in(problem.dtype), FORMATS[problem.dtype]
    early = count_roundings(problem, numerics) - 1 + problem.operator.spec.early_roundings
    # Tensor cores and truncating accumulators lose a full unit in the last place, not half of one.
    u = 2 * sums.u if input_rounding(problem, numerics) else sums.u
    worst = length * u / (1 - length * u) if length * u < 0.5 else math.inf
    gamma = min(worst, LAMBDA * math.sqrt(length) * u) if problem.data in BOTH_SIGNS else worst
    return 2 * input_rounding(problem, numerics) + gamma * (1 + out.u) + early * out.u


def input_rounding(problem: Problem, numerics: Numerics) -> float:
    """Return the unit roundoff of rounded inputs: 0 unless the backend declares it and the problem permits it.

    What a problem permits is TF32: a backend that declares a less precise format is held to that.
    """
    if numerics.rounds_input_to is None or problem.math == "ieee":
        return 0.0
    return min(FORMATS[numerics.rounds_input_to].u, FORMATS["tf32"].u)


def norm_bound(problem: Problem, numerics: Numerics, arrays: Mapping[str, Array]) -> Array:
    """Return the bound c u ||first|| ||second|| for each output map, shaped to broadcast over space.

    c: 12 log2(n) for fft, a constant of the tile for winograd. NaN and Inf are left out of the norms: outputs affected
        by them are compared by class only.
    problem: the problem. numerics: as declared by the backend. arrays: inputs by name.
    """
    reach = problem.window.reach(problem.kernel)
    points = math.prod(n + r for n, r in zip(problem.forward_spatial, reach, strict=True))
    factor = WINOGRAD[numerics.tile] if numerics.algorithm == "winograd" else 12.0 * max(1.0, math.log2(points))
    finite = {k: np.nan_to_num(a.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0) for k, a in arrays.items()}
    return np.asarray(factor * numerics.sums_in(problem.dtype).u * _norm_products(problem, finite))


def _norm_products(problem: Problem, arrays: Mapping[str, Array]) -> Array:
    """Return ||first|| ||second|| per image and output channel (or per o and c for the gradient of the kernel)."""
    operator, groups, flat = problem.operator, problem.window.groups, (1,) * problem.axes
    if not operator.spec.multiplies and operator.spec.sums_positions:
        dy = arrays["dy"]
        return _norms(dy, (0, *range(2, dy.ndim))) * math.sqrt(longest_sum(problem))
    if operator.pools:
        a = arrays[operator.inputs[0]]  # a depthwise convolution with ones, over divisors of at least 1
        return (_norms(a, tuple(range(2, a.ndim))) * math.sqrt(math.prod(problem.kernel))).reshape(*a.shape[:2], *flat)
    first, second = (arrays[name] for name in operator.spec.factors)
    if operator.spec.sums_positions:
        rows = _norms(first, (0, *range(2, first.ndim))).reshape(groups, first.shape[1] // groups, 1)  # g o/g 1
        columns = _norms(second, (0, *range(2, second.ndim))).reshape(groups, 1, second.shape[1] // groups)  # g 1 c/g
        return (rows * columns).reshape(first.shape[1], second.shape[1] // groups, *flat)
    images = _norms(first.reshape(first.shape[0], groups, math.prod(first.shape[1:]) // groups), (2,))  # n g
    by_group = second.reshape(groups, second.shape[0] // groups, *second.shape[1:])
    kept = 2 if operator.spec.scatters else 1  # output channels: o/g forwards, c/g backwards
    kernels = _norms(by_group, tuple(a for a in range(1, by_group.ndim) if a != kept))
    return (images[:, :, None] * kernels[None]).reshape(first.shape[0], groups * kernels.shape[1], *flat)


def _norms(a: Array, axes: tuple[int, ...]) -> Array:
    return np.asarray(np.sqrt(np.sum(a * a, axis=axes)))


def _with_bits(deviation: Deviation, got: Array, wanted: Array, size: Array, length: int) -> Deviation:
    """Add effective bits: -log2 of max |error| / (sqrt(K) A)."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        ratio = np.abs(got.astype(np.float64) - wanted) / (math.sqrt(length) * size)
    ratio = ratio[np.isfinite(ratio)]
    largest = float(ratio.max()) if ratio.size else 0.0
    return replace(deviation, effective_bits=-math.log2(largest)) if largest > 0 else deviation

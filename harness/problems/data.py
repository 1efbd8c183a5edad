"""Arrays of a problem, drawn from its seed alone: the same problem line always has the same data.

Integers: `integer` (small, within a checked exactness bound), `distinct` (a permutation spaced by 4, so that no
maximum is tied, and none of them 0), `subnormal` (integer multiples of the smallest subnormal; the other factor is
integer), `long` (one factor has as many bits as its sums stay exact with: the first if the seed is even, the second if
it is odd).
Full significands: `normal` N(0,1), `uniform` U(0,1), `wide` (N(0,1) times powers of two), and five in which the array
that the window moves over is special and the others are normal: `onehot` (one number in each feature map), `constant`,
`negative`, `zeros` (half of it +0 and -0), `nonfinite` (one NaN, one +Inf and one -Inf; a quarter of w is 0).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from harness.problems.accumulation import list_sums, most_terms
from harness.problems.arrays import Array
from harness.problems.numerics import FORMATS, dtype_of
from harness.problems.problem import Layout, Problem
from harness.problems.reference import max_pool
from harness.problems.seeds import seeded_generator
from harness.problems.tile import is_large, make_tiled
from harness.problems.window import Sizes

LARGEST = 8  # whole numbers up to 8 keep products readable; escape probability of a wrong tap is 1/17 an element
SHORT = 3  # the largest whole number that meets long ones
WIDEST = {"float16": 3}  # powers of two of `wide`, on either side; 20 unless the dtype is short of exponents


def array_generator(problem: Problem, name: str) -> np.random.Generator:
    """Return the random generator of one array: it depends on the seed and the name, not on the order of calls."""
    return seeded_generator(problem.seed, name)


@lru_cache(maxsize=64)
def exact_amplitude(problem: Problem, name: str) -> int:
    """Return the largest integer a of an array, at least 1, with which all sums are exact.

    With K the most terms that read data in a sum of which the array is a factor, and p the significand bits of the
    dtype, K (a+1)^2 <= 2^p, or K (a+1) <= 2^p if it is the only factor; the +1 leaves room for a unit step. If even
    a = 1 is too large, entries are thinned out (`kept_share`).
    problem: the problem. name: of the array.
    """
    limit, sums = 2.0 ** FORMATS[problem.dtype].bits, list_sums(problem)
    least = 1 if problem.operator.spec.sums_exactly else 2  # a mean times its divisor is to be the sum again
    largest = (
        int((limit / max(1, terms)) ** (1 / max(least, len(names)))) - 1
        for terms, names in [one for one in sums if name in one[1]] or sums
    )
    return max(1, min(LARGEST, *largest))


@lru_cache(maxsize=64)
def kept_share(problem: Problem, name: str) -> float:
    """Return the share of an array's integers that are not thinned out, so that sums of -1 and 1 are exact.

    Only sums of which the array is a factor count: a kernel stays whole if its gradient alone is a long sum. A sum
    keeps about 2^p / 4 terms other than 0.
    problem: the problem. name: of the array.
    """
    limit, share = 2.0 ** FORMATS[problem.dtype].bits, 1.0
    for terms, names in list_sums(problem):
        if name in names and 4 * terms > limit:
            share = min(share, (limit / (4 * terms)) ** (1 / len(names)))
    return share


def draw_array(problem: Problem, name: str, shape: Sizes) -> Array:
    """Draw one array in the problem's regime and dtype.

    problem: the problem. name: of the array. shape: n c *s.
    """
    rng, dtype = array_generator(problem, name), dtype_of(problem.dtype)
    if problem.data == "uniform":
        return rng.random(shape, dtype=np.float32 if dtype.itemsize <= 4 else np.float64).astype(dtype)
    special = name == problem.operator.spec.moved_over
    if problem.data == "distinct":
        if name == "x" or len(problem.operator.inputs) == 1:
            return _distinct(rng, shape, problem)
        return _without_zeros(rng, shape, exact_amplitude(problem, name)).astype(dtype)
    if problem.data == "long":
        return _long(rng, shape, problem, lengthened=name == long_factor(problem)).astype(dtype)
    if problem.data in ("integer", "subnormal"):
        values: Array = _whole(rng, shape, problem, name)
        if problem.data == "subnormal" and (special or name == "b"):
            values = values * FORMATS[problem.dtype].smallest
        return values.astype(dtype)
    normal = rng.standard_normal(shape, dtype=np.float32 if dtype.itemsize <= 4 else np.float64)
    if problem.data == "wide":
        most = WIDEST.get(problem.dtype, 20)
        return np.ldexp(normal, rng.integers(-most, most, size=shape, endpoint=True)).astype(dtype)
    if special and problem.data in _SPECIAL and normal.size:
        return _SPECIAL[problem.data](rng, normal).astype(dtype)
    if name == "w" and problem.data == "nonfinite":
        normal = np.where(rng.random(shape) < 0.25, 0, normal)  # 0 times Inf is NaN, and no zero may be skipped
    return normal.astype(dtype)


def _whole(rng: np.random.Generator, shape: Sizes, problem: Problem, name: str) -> Array:
    """Integers within the exactness bound, none of them 0, so that each has an effect, unless they are thinned out."""
    values, share = _without_zeros(rng, shape, exact_amplitude(problem, name)), kept_share(problem, name)
    return values if share >= 1.0 else values * (rng.random(shape) < share)


def _without_zeros(rng: np.random.Generator, shape: Sizes, largest: int) -> Array:
    """Integers other than 0."""
    values = rng.integers(-largest, largest - 1, size=shape, endpoint=True, dtype=np.int8)
    return values + (values >= 0)


def long_factor(problem: Problem) -> str:
    """Return the name of the array that has many bits in the regime `long`."""
    factors = problem.operator.spec.factors
    return factors[problem.seed % len(factors)]


def _long(rng: np.random.Generator, shape: Sizes, problem: Problem, *, lengthened: bool) -> Array:
    """Integers of either sign with K a s + s <= 2^p: up to a in the long array, in all others 1 to s.

    s is 3, or 1 if that would leave the long array fewer than two bits more than the shortest format to which factors
    of
    this dtype are rounded (TF32, float32). No short number is 0, so that each long one has an effect.
    """
    limit, length = 2.0 ** FORMATS[problem.dtype].bits, max(1, most_terms(problem))
    wanted = 4 / FORMATS["float32" if problem.dtype == "float64" else "tf32"].u
    short = SHORT if limit / (SHORT * length) >= wanted else 1
    if not lengthened:
        values = rng.integers(-short, short - 1, size=shape, endpoint=True)
        return np.asarray(values + (values >= 0))
    most = max(1, int((limit - short) / (short * length)))
    return rng.integers(-most, most, size=shape, endpoint=True)


def _onehot(rng: np.random.Generator, normal: Array) -> Array:
    """Keep one number in each map."""
    flat = normal.reshape(math.prod(normal.shape[:2]), -1)
    at = rng.integers(flat.shape[1], size=(flat.shape[0], 1))
    kept = np.zeros_like(flat)
    np.put_along_axis(kept, at, np.take_along_axis(flat, at, axis=1), axis=1)
    return kept.reshape(normal.shape)


def _signed_zeros(rng: np.random.Generator, normal: Array) -> Array:
    """Turn half of the numbers into +0 and -0."""
    return np.where(rng.random(normal.shape) < 0.5, np.copysign(0.0, normal), normal)


def _nonfinite(rng: np.random.Generator, normal: Array) -> Array:
    """Put in a NaN, a +Inf and a -Inf, as far as there is room."""
    flat = normal.reshape(-1)
    for at, value in zip(rng.permutation(flat.size)[:3], (math.nan, math.inf, -math.inf), strict=False):
        flat[at] = value
    return flat.reshape(normal.shape)


_SPECIAL: dict[str, Callable[[np.random.Generator, Array], Array]] = {
    "onehot": _onehot,
    "constant": lambda rng, normal: np.full_like(normal, normal.flat[0]),
    "negative": lambda rng, normal: -0.5 - rng.random(normal.shape),
    "zeros": _signed_zeros,
    "nonfinite": _nonfinite,
}


def can_be_distinct(problem: Problem) -> bool:
    """Return True if the dtype holds as many integers 4 apart as a feature map has positions: 4 * area/2 <= 4 * 2^p."""
    return math.prod(problem.x[2:]) <= 2.0 ** (FORMATS[problem.dtype].bits + 1)


def _distinct(rng: np.random.Generator, shape: Sizes, problem: Problem) -> Array:
    """Integers 4 apart around zero without zero, shuffled in blocks of feature maps: none occurs twice in a block.

    A block has as many maps as the format has room for, at least one, so that neither a map that is zero nor one that
    is taken for its neighbour is equal to the right one. With one more and one less, the integers of a block of several
    maps are exact too.
    """
    area, maps = math.prod(shape[2:]), math.prod(shape[:2])
    room = (1 << FORMATS[problem.dtype].bits) - 3
    together = max(1, min(maps, room // max(1, 2 * area)))
    block = together * area
    ranks = np.argsort(rng.random((-(-maps // together), block)), axis=1) - block // 2
    values = 4 * (ranks + (ranks >= 0))
    return values.reshape(-1)[: maps * area].reshape(shape).astype(dtype_of(problem.dtype))


def make_arrays(problem: Problem) -> dict[str, Array]:
    """Return the inputs of the problem's operator by name; shapes n c *s, in the problem's dtype and layout.

    Integers of very large problems are tiled (see `harness.problems.tile`).
    """
    shapes, large = problem.shapes, is_large(problem)
    arrays: dict[str, Array] = {}
    for name in problem.operator.inputs:
        if name == "indices":
            arrays[name] = max_pool(arrays["x"], problem.window)[1]
        elif name in shapes and large:
            arrays[name] = make_tiled(problem, name, shapes[name])
        elif name in shapes:
            arrays[name] = apply_layout(draw_array(problem, name, shapes[name]), problem.layout)
    return arrays


def apply_layout(a: Array, layout: Layout) -> Array:
    """Return an array with another memory order: contiguous as n c *s, or with channels last; the shape stays."""
    if layout == "channels-first" or a.ndim < 3:
        return np.ascontiguousarray(a)
    last = np.ascontiguousarray(a.transpose(0, *range(2, a.ndim), 1))
    return last.transpose(0, a.ndim - 1, *range(1, a.ndim - 1))

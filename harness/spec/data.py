"""Arrays of a problem, drawn from its seed alone: the same problem line always gives the same data.

Regimes: `integer` (small whole numbers under a checked exactness bound), `normal` N(0,1) and `uniform` U(0,1) with
full significands, `distinct` (a permutation of whole numbers spaced by 4, so that no maximum is tied).
"""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.spec.cost import accumulation
from harness.spec.numerics import FORMATS, dtype_of
from harness.spec.operator import Operator
from harness.spec.problem import Problem
from harness.spec.reference import max_pool
from harness.spec.window import Sizes

Array = NDArray[Any]
LARGEST = 8  # whole numbers up to 8 keep products readable; escape probability of a wrong tap is 1/17 an element


def generator(problem: Problem, name: str) -> np.random.Generator:
    """Random generator of one array: depends on the seed and the array's name, not on the order of calls."""
    return np.random.default_rng((problem.seed, zlib.crc32(name.encode())))


def amplitude(problem: Problem) -> tuple[int, float]:
    """Largest whole number a, and the share of non-zeros, so that all sums stay exact.

    With K the longest sum of the operator and of its gradients and p the significand bits of the dtype,
    K (a+1)^2 <= 2^p; the +1 leaves room for a unit step. Where even a = 1 is too much, entries are thinned out.
    """
    operators = [problem.operator]
    if not problem.operator.pools:
        operators += [Operator.conv_weight_grad, Operator.conv_input_grad]
    longest = max(_length(problem, operator) for operator in operators)
    limit = 2.0 ** FORMATS[problem.dtype].bits
    largest = int(math.sqrt(limit / longest)) - 1
    if largest >= 1:
        return min(LARGEST, largest), 1.0
    return 1, limit / (4 * longest)


def _length(problem: Problem, operator: Operator) -> int:
    if problem.operator is Operator.conv_transpose and operator is not Operator.conv_transpose:
        images, positions = problem.x[0], math.prod(problem.x[2:])
        assert problem.w is not None
        return max(images * positions, problem.w[1] * math.prod(problem.kernel) + 1)
    return accumulation(problem.with_(operator=operator))


def draw(problem: Problem, name: str, shape: Sizes) -> Array:
    """Draw one array in the problem's regime and dtype."""
    rng, dtype = generator(problem, name), dtype_of(problem.dtype)
    if problem.data == "normal":
        return rng.standard_normal(shape, dtype=np.float32 if dtype.itemsize <= 4 else np.float64).astype(dtype)
    if problem.data == "uniform":
        return rng.random(shape, dtype=np.float32 if dtype.itemsize <= 4 else np.float64).astype(dtype)
    if problem.data == "distinct":
        return _distinct(rng, shape, problem)
    largest, share = amplitude(problem)
    values = rng.integers(-largest, largest, size=shape, endpoint=True)
    if share < 1.0:
        values = values * (rng.random(shape) < math.sqrt(share))
    return values.astype(dtype)


def _distinct(rng: np.random.Generator, shape: Sizes, problem: Problem) -> Array:
    """Whole numbers 4 apart, shuffled within each map, around zero; a short format repeats from map to map."""
    area = math.prod(shape[2:])
    maps = math.prod(shape[:2])
    order = np.argsort(rng.random((maps, area)), axis=1)
    return (4 * (order - area // 2)).reshape(shape).astype(dtype_of(problem.dtype))


def make_arrays(problem: Problem) -> dict[str, Array]:
    """Arrays that the problem's operator takes, by name; shapes n c *s, in the problem's dtype and layout."""
    shapes = problem.shapes
    arrays: dict[str, Array] = {}
    for name in problem.operator.inputs:
        if name == "indices":
            arrays[name] = max_pool(arrays["x"], problem.window)[1]
        elif name in shapes:
            arrays[name] = arrange(draw(problem, name, shapes[name]), problem.layout)
    return arrays


def arrange(a: Array, layout: str) -> Array:
    """Lay an array out in memory: contiguous as n c *s, or with the channels last; the shape stays."""
    if layout == "channels-first" or a.ndim < 3:
        return np.ascontiguousarray(a)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1)

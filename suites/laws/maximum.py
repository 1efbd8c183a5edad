"""Laws of max pooling: a maximum is chosen, never computed, so the laws hold bit by bit (specification, section 4)."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import reduce

import numpy as np

from harness import BackendUnderTest, Deviation, Problem, Window, law, statement, worst_of
from harness.problems import EVERY, Array, pad_or_crop
from suites.laws.common import equal, step, wide
from suites.laws.windows import (
    MAX,
    bare,
    finite_max_pool,
    flat,
    holds,
    mark_one,
    max_pool,
    nan_reaches,
    nan_stays,
    narrow,
    seen,
    taps_inside,
    unpadded,
)

SCALES = (8.0, 0.125)


def _indexed(problem: Problem, indices: Array) -> Deviation:
    """True if every index lies in its own window; a window over padding alone has nothing to index."""
    spatial = problem.x[2:]
    area, meets = math.prod(spatial), taps_inside(problem) > 0
    given = indices[..., meets]
    if given.size and (given.min() < 0 or given.max() >= area):
        return statement(False, f"indices: got {int(given.min())} to {int(given.max())}, wanted 0 to {area - 1}")
    positions = np.arange(area, dtype=np.float64).reshape(1, 1, *spatial)
    inside = np.zeros(indices.shape, dtype=bool)
    for place in seen(problem, positions, -1.0):
        inside |= indices == place
    own = int(inside[..., meets].sum())
    return statement(own == given.size, f"indices in their own window: {own} of {given.size}")


@law(tolerance="exact", when=lambda problem: problem.operator is MAX)
def maximum_is_selected(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """y[i] = x[indices[i]], indices[i] lies in window i, and y[i] >= x[j] for all j in window i

    Bit-exact on any data: a maximum is chosen, never computed. Over padding alone it is -inf and has no index.
    """
    x = wide(problem, "x", problem.x)
    y, indices = max_pool(subject, problem, x)
    own = _indexed(problem, indices)
    if not own.passed:
        return own
    meets = taps_inside(problem) > 0
    chosen = np.full(y.shape, -np.inf)
    chosen[..., meets] = np.take_along_axis(flat(x), indices[..., meets], axis=2)
    largest = reduce(np.maximum, seen(problem, x, -np.inf))
    return worst_of(
        equal(y, chosen, "y against x[indices]"),
        equal(y, largest, "y against the largest of its window"),
        own,
    )


# --- increasing functions and order ------------------------------------------------------------------------------


@law(tolerance="exact", when=finite_max_pool)
def maximum_shifts(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """max_pool(x - c) = max_pool(x) - c, with c > max x, so that all data are negative

    Padding of 0 would win in every window. Where x - c is rounded to the dtype, it is so on both sides.
    """
    x = wide(problem, "x", problem.x)
    c = 1.0 + np.ceil(np.max(np.abs(x), initial=0.0))
    y, shifted = (max_pool(subject, problem, a)[0] for a in (x, narrow(problem, x - c)))
    return equal(shifted, narrow(problem, y - c), "max_pool(x - c)")


@law(tolerance="exact", when=finite_max_pool)
def maximum_scales(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """max_pool(2^k x) = 2^k max_pool(x), for k = 3 and k = -3

    Nothing is rounded, unless 2^k x leaves the range of the dtype; then it is so on both sides.
    """
    x = wide(problem, "x", problem.x)
    y, _ = max_pool(subject, problem, x)
    scaled = [(a, max_pool(subject, problem, narrow(problem, a * x))[0]) for a in SCALES]
    return worst_of(*(equal(got, narrow(problem, a * y), f"max_pool({a:g} x)") for a, got in scaled))


@law(tolerance="exact", when=finite_max_pool)
def maximum_keeps_increasing_functions(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """max_pool(f(x)) = f(max_pool(x)), with f(x) = sign(x) sqrt|x|

    An increasing function changes no order; rounding it to the dtype does not either.
    """
    x = wide(problem, "x", problem.x)
    y, bent = (max_pool(subject, problem, a)[0] for a in (x, narrow(problem, _root(x))))
    return equal(bent, narrow(problem, _root(y)), "max_pool(f(x))")


def _root(a: Array) -> Array:
    return np.asarray(np.sign(a) * np.sqrt(np.abs(a)))


@law(tolerance="exact", when=finite_max_pool)
def maximum_keeps_order(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """x <= z  =>  max_pool(x) <= max_pool(z)

    z is x with 1 added at random places.
    """
    x = wide(problem, "x", problem.x)
    z = narrow(problem, x + np.abs(step(problem, "h", problem.x)))
    less, more = (max_pool(subject, problem, a)[0] for a in (x, z))
    return equal(np.minimum(less, more), less, "min(max_pool(x), max_pool(z)), z >= x, against max_pool(x)")


# --- windows made of windows -------------------------------------------------------------------------------------


@law(tolerance="exact", when=lambda problem: problem.operator is MAX and problem.axes > 1)
def maximum_is_separable(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """max_pool over a box = max_pool over its rows, then over its columns

    Axis by axis, each with its own kernel, stride, padding, dilation and ceil rule.
    """
    x = wide(problem, "x", problem.x)
    by_axis = x
    for axis in range(problem.axes):
        by_axis, _ = max_pool(subject, problem, by_axis, _along(problem.window, axis))
    return equal(by_axis, max_pool(subject, problem, x)[0], "max_pool axis by axis")


def _along(window: Window, axis: int) -> Window:
    """The window on one axis; it does nothing on the others."""
    assert window.kernel is not None
    return Window(
        stride=tuple(s if a == axis else 1 for a, s in enumerate(window.stride)),
        padding=tuple(pad if a == axis else (0, 0) for a, pad in enumerate(window.padding)),
        dilation=tuple(d if a == axis else 1 for a, d in enumerate(window.dilation)),
        kernel=tuple(m if a == axis else 1 for a, m in enumerate(window.kernel)),
        ceil_mode=window.ceil_mode,
    )


def _longer(problem: Problem) -> tuple[int, ...]:
    """The second kernel: 2 on every axis that has room for a kernel longer by one, else 1."""
    reach, dilation = problem.window.reach(problem.kernel), problem.window.dilation
    return tuple(2 if r + d <= n else 1 for r, d, n in zip(reach, dilation, problem.x[2:], strict=True))


def _composes(problem: Problem) -> bool:
    if problem.operator is not MAX:
        return False
    reach = problem.window.reach(problem.kernel)
    return all(r <= n for r, n in zip(reach, problem.x[2:], strict=True)) and max(_longer(problem)) > 1


@law(tolerance="exact", when=_composes)
def maxima_compose(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """max_pool(max_pool(x; k1, stride 1); k2, stride s) = max_pool(x; k1 + k2 - 1, stride s), without padding

    Both kernels have the dilation of the problem; k1 is its kernel, and k2 is 2.
    """
    x, second = wide(problem, "x", problem.x), _longer(problem)
    window = bare(problem.window)
    whole = tuple(k1 + k2 - 1 for k1, k2 in zip(problem.kernel, second, strict=True))
    first, _ = max_pool(subject, problem, x, replace(window, stride=(1,) * problem.axes))
    twice, _ = max_pool(subject, problem, first, replace(window, kernel=second))
    return equal(twice, max_pool(subject, problem, x, replace(window, kernel=whole))[0], "max_pool of max_pool")


@law(tolerance="exact", when=finite_max_pool)
def maximum_of_a_constant(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """max_pool(-c) = -c

    However many windows overlap, and wherever padding is; -inf over padding alone.
    """
    y, _ = max_pool(subject, problem, np.full(problem.x, -3.0))
    wanted = np.where(taps_inside(problem) > 0, -3.0, -np.inf)
    return equal(y, np.broadcast_to(wanted, y.shape), "max_pool(-3)")


def _covered(problem: Problem, x: Array) -> Array:
    """The input with -inf around it wherever a window looks, and cut where none does."""
    return np.asarray(pad_or_crop(x, problem.window.cover(problem.x[2:], problem.kernel), -np.inf, np))


def _looks_outside(problem: Problem) -> bool:
    if problem.operator is not MAX:
        return False
    return any(side > 0 for pair in problem.window.cover(problem.x[2:], problem.kernel) for side in pair)


@law(tolerance="exact", when=_looks_outside)
def maximum_padding_is_minus_infinity(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """max_pool(x; padding p) = max_pool(-inf around x; padding 0)

    Both sides of every axis by their own padding, and the ceil overhang.
    """
    x = wide(problem, "x", problem.x)
    explicit, _ = max_pool(subject, problem, _covered(problem, x), bare(problem.window))
    return equal(max_pool(subject, problem, x)[0], explicit, "padded max_pool")


@law(tolerance="exact", when=lambda p: p.operator is MAX and any(d > 1 for d in p.window.dilation))
def maximum_dilation_is_polyphase(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """max_pool(x; dilation d)[r + d j] = max_pool(x[r::d]; dilation 1)[j], at stride 1

    Every phase r of every axis is pooled alone; a stride then takes every s-th. x has its padding around it.
    """
    x, d = wide(problem, "x", problem.x), problem.window.dilation
    covered, ones = _covered(problem, x), (1,) * problem.axes
    extent = [n - reach + 1 for n, reach in zip(covered.shape[2:], problem.window.reach(problem.kernel), strict=True)]
    dense, close = np.empty((*x.shape[:2], *extent)), replace(bare(problem.window), stride=ones, dilation=ones)
    for phase in itertools.product(*map(range, map(min, extent, d))):
        at = (*EVERY, *(slice(r, None, jump) for r, jump in zip(phase, d, strict=True)))
        dense[at] = max_pool(subject, problem, covered[at], close)[0]
    every = dense[(*EVERY, *(slice(None, None, s) for s in problem.window.stride))]
    return equal(max_pool(subject, problem, x)[0], every, "dilated max_pool")


# --- NaN and infinity --------------------------------------------------------------------------------------------


def _odd_nan() -> np.float64:
    """Return a NaN that is not the usual one: sign, first and last bits of its payload set, in float32 as well."""
    return np.uint64(0xFFFC_0000_2000_0000).view(np.float64)


@law(tolerance="exact", when=finite_max_pool)
def nan_wins_its_windows(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """x[p] = NaN  =>  y[i] is NaN and indices[i] = p where window i holds p; all other y[i] keep their bits

    One NaN in each map, among the problem's data and, with its sign set and other bits than the usual one, among +inf.
    Where the backend declares that nan_local does not hold, the second half is asked of maps without a NaN.
    """
    x = wide(problem, "x", problem.x)
    mask, at = mark_one(problem, "nan")
    held, spoiled = holds(problem, mask), np.where(mask, np.nan, x)
    before, (y, indices) = max_pool(subject, problem, x)[0], max_pool(subject, problem, spoiled)
    among, _ = max_pool(subject, problem, np.where(mask, _odd_nan(), np.inf))
    reached = worst_of(
        nan_reaches(y, held, "windows that hold one"),
        nan_reaches(among, held, "windows that hold one among +inf"),
        equal(_where_held(indices, held), _spread(at, held), "index of a NaN"),
    )
    return worst_of(nan_stays(subject, problem, {"x": x}, spoiled, held, (before, y)), reached)


@law(tolerance="exact", when=finite_max_pool)
def infinity_wins_its_windows(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """x[p] = +inf  =>  y[i] = +inf and indices[i] = p where window i holds p; all other y[i] keep their bits

    One +inf in each map.
    """
    x = wide(problem, "x", problem.x)
    mask, at = mark_one(problem, "infinity")
    held = holds(problem, mask)
    before, (y, indices) = max_pool(subject, problem, x)[0], max_pool(subject, problem, np.where(mask, np.inf, x))
    return worst_of(
        equal(y, np.where(held, np.inf, before), "y with one +inf in each map"),
        equal(_where_held(indices, held), _spread(at, held), "index of +inf"),
    )


def _where_held(indices: Array, held: Array) -> Array:
    return np.where(held, indices, -1)


def _spread(at: Array, held: Array) -> Array:
    """The marked position of each map at the windows that hold it, else -1."""
    return np.where(held, at.reshape(*at.shape, *(1,) * (held.ndim - 2)), -1)


@law(tolerance="exact", when=lambda problem: problem.operator is MAX)
def minus_infinity_is_a_number(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """x = -inf everywhere  =>  y = -inf, and indices[i] lies in window i

    A search that begins with the smallest finite number finds nothing there.
    """
    y, indices = max_pool(subject, problem, np.full(problem.x, -np.inf))
    return worst_of(equal(y, np.full(y.shape, -np.inf), "max_pool(-inf)"), _indexed(problem, indices))


# --- unpooling, and the window that is everything ----------------------------------------------------------------


@law(tolerance="exact", when=finite_max_pool)
def unpooling_pools_back(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """max_pool(y put at indices in -inf) = y;  on distinct data with the same indices

    What was chosen from a window is in it, and no other choice is larger there.
    """
    x, meets = wide(problem, "x", problem.x), taps_inside(problem) > 0
    y, indices = max_pool(subject, problem, x)
    own = _indexed(problem, indices)
    if not own.passed:
        return own
    sparse = np.full(flat(x).shape, -np.inf)
    np.put_along_axis(sparse, indices[..., meets], y[..., meets], axis=2)
    again, chosen = max_pool(subject, problem, sparse.reshape(x.shape))
    back = equal(again, y, "max_pool of the unpooled y")
    if problem.data != "distinct":
        return back
    return worst_of(back, equal(chosen[..., meets], indices[..., meets], "indices of the unpooled y"))


@law(
    tolerance="exact",
    when=lambda p: p.operator is MAX and unpadded(p) and p.kernel == p.x[2:],
)
def global_maximum(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """kernel = whole input  =>  y = max over space

    On the problem's data, and on its negated magnitudes.
    """
    x = wide(problem, "x", problem.x)
    space = tuple(range(2, x.ndim))
    pairs = [(max_pool(subject, problem, a)[0], a.max(axis=space, keepdims=True)) for a in (x, -np.abs(x))]
    return worst_of(*(equal(y, largest, "global max_pool") for y, largest in pairs))

"""Laws of pooling, forwards and backwards (SPEC sections 4 and 5)."""

from __future__ import annotations

import math

import numpy as np

from harness import Deviation, Operator, Problem, Subject, Window, compare, join, law, structure
from harness.spec.numerics import FORMATS
from harness.spec.reference import divisor_map
from harness.spec.taps import EVERY, fit, tap_slices
from suites.laws.common import Array, equal, inner, step, whole_avg_pool, whole_max_pool, wide

MAX, MAX_GRAD = Operator.max_pool, Operator.max_pool_grad
AVG, AVG_GRAD = Operator.avg_pool, Operator.avg_pool_grad


def _max_pool(subject: Subject, problem: Problem, x: Array) -> tuple[Array, Array]:
    found = subject.whole(problem, {"x": x})
    return found["y"], found["indices"]


def _max_grad(subject: Subject, problem: Problem, dy: Array, x: Array, indices: Array) -> Array:
    backwards = problem.with_(operator=MAX_GRAD)
    return subject.whole(backwards, {"dy": dy, "x": x, "indices": indices})["dx"]


@law(tolerance="exact", when=lambda problem: problem.operator is MAX, needs=(MAX,))
def maximum_is_selected(subject: Subject, problem: Problem) -> Deviation:
    """y[i] = x[indices[i]], indices[i] lies in window i, and y[i] >= x[j] for all j in window i

    Bit-exact on any data: a maximum is chosen, never computed.
    """
    x = wide(problem, "x", problem.x)
    y, indices = _max_pool(subject, problem, x)
    assert problem.window.kernel is not None
    flat = indices.reshape(*indices.shape[:2], -1)
    area = int(np.prod(problem.x[2:]))
    if flat.size and (flat.min() < 0 or flat.max() >= area):
        return structure(False, f"indices: got {int(flat.min())} to {int(flat.max())}, wanted 0 to {area - 1}")
    chosen = np.take_along_axis(x.reshape(*x.shape[:2], -1), flat, axis=2).reshape(y.shape)
    places = np.arange(area, dtype=np.float64).reshape(1, 1, *problem.x[2:])
    cover = problem.window.cover(problem.x[2:], problem.window.kernel)
    padded, places = fit(x, cover, -np.inf, np), fit(places, cover, -1.0, np)
    inside, largest = np.zeros(y.shape, dtype=bool), np.full(y.shape, -np.inf)
    for _, at in tap_slices(y.shape[2:], problem.window.kernel, problem.window):
        inside |= indices == places[(*EVERY, *at)]
        largest = np.maximum(largest, padded[(*EVERY, *at)])
    return join(
        equal(y, chosen, "y against x[indices]"),
        equal(y, largest, "y against the largest of its window"),
        structure(bool(inside.all()), f"indices in their own window: {int(inside.sum())} of {inside.size}"),
    )


@law(tolerance="exact", when=whole_max_pool, needs=(MAX, MAX_GRAD))
def maximum_gradient_is_conserved(subject: Subject, problem: Problem) -> Deviation:
    """sum dx = sum dy, map by map; dx is 0 where nothing was chosen

    Overlapping windows add up; all of dy goes to the winning index (1.17).
    """
    x, dy = wide(problem, "x", problem.x), wide(problem, "dy", problem.y)
    _, indices = _max_pool(subject, problem, x)
    dx = _max_grad(subject, problem, dy, x, indices)
    space = tuple(range(2, dy.ndim))
    chosen = np.zeros((*x.shape[:2], int(np.prod(x.shape[2:]))), dtype=bool)
    np.put_along_axis(chosen, indices.reshape(*indices.shape[:2], -1), True, axis=2)
    stray = np.where(chosen.reshape(x.shape), 0.0, dx)
    return join(
        equal(dx.sum(axis=space), dy.sum(axis=space), "sum of dx"),
        equal(stray, np.zeros_like(stray), "dx beside the winners"),
    )


@law(tolerance="exact", when=lambda p: p.operator is MAX and p.data == "distinct", needs=(MAX, MAX_GRAD))
def maximum_unit_step(subject: Subject, problem: Problem) -> Deviation:
    """<dy, max_pool(x + h) - max_pool(x)> = <h, dx>, for |h| <= 1 on whole numbers 4 apart

    Inside one linear region the difference is the derivative, exactly.
    """
    x, h = wide(problem, "x", problem.x), step(problem, "h", problem.x)
    dy = step(problem, "dy", problem.y)
    y, indices = _max_pool(subject, problem, x)
    change = _max_pool(subject, problem, x + h)[0] - y
    return equal(inner(h, _max_grad(subject, problem, dy, x, indices)), inner(dy, change), "<h, dx>")


def _sums(subject: Subject, problem: Problem, x: Array) -> Array:
    """Window sums of whole numbers, recovered from means: rint(y * divisor)."""
    y = subject.run(problem, {"x": x})["y"].astype(np.float64)
    return np.asarray(np.rint(y * divisor_map(problem.x[2:], problem.window)))


@law(
    tolerance="exact",
    when=lambda p: whole_avg_pool(p) and not p.window.ceil_mode,
    needs=(AVG, Operator.conv),
    restates=(AVG,),
)
def mean_is_depthwise_convolution(subject: Subject, problem: Problem) -> Deviation:
    """avg_pool(x) * divisor = conv(x, ones), depthwise

    Mean pooling is a depthwise convolution with a constant kernel; without the ceil rule, which conv does not have.
    """
    x, window, channels = wide(problem, "x", problem.x), problem.window, problem.x[1]
    plain = Window(stride=window.stride, padding=window.padding, dilation=window.dilation, groups=channels)
    total = subject.conv(x, np.ones((channels, 1, *problem.kernel)), window=plain)
    return equal(_sums(subject, problem, x), total, "avg_pool * divisor")


@law(tolerance="exact", when=whole_avg_pool, needs=(AVG, AVG_GRAD))
def mean_adjoint(subject: Subject, problem: Problem) -> Deviation:
    """<avg_pool(x), dy> = <x, dx(dy)>

    dy is a multiple of the divisor, so that both sides are whole.
    """
    x, share = wide(problem, "x", problem.x), step(problem, "dy", problem.y)
    dy = share * divisor_map(problem.x[2:], problem.window)
    backwards = problem.with_(operator=AVG_GRAD)
    dx = np.rint(subject.run(backwards, {"dy": dy})["dx"].astype(np.float64))
    return equal(inner(x, dx), inner(_sums(subject, problem, x), share), "<x, dx>")


@law(tolerance="bound", when=whole_avg_pool, needs=(AVG,))
def mean_of_ones_is_one(subject: Subject, problem: Problem) -> Deviation:
    """avg_pool(1) = (taps inside the input) / divisor, which is 1 away from padding

    Fixes the divisor: explicit padding counts if count_include_pad, the ceil overhang never does.
    """
    y = subject.run(problem, {"x": np.ones(problem.x)})["y"].astype(np.float64)
    wanted = np.broadcast_to(_taps_inside(problem) / divisor_map(problem.x[2:], problem.window), y.shape)
    allowed = (math.prod(problem.kernel) + 2) * FORMATS[problem.dtype].u * wanted
    return compare(y, wanted, allowed, what="avg_pool(1)", kind="bound")


def _taps_inside(problem: Problem) -> Array:
    """Taps of every window that fall inside the input; 0 where the window lies in the padding alone."""
    assert problem.window.kernel is not None
    padded = fit(np.ones((1, 1, *problem.x[2:])), problem.window.cover(problem.x[2:], problem.window.kernel), 0.0, np)
    total = np.zeros((1, 1, *problem.y[2:]))
    for _, at in tap_slices(problem.y[2:], problem.window.kernel, problem.window):
        total += padded[(*EVERY, *at)]
    return total[0, 0]

"""Laws of the gradients of both poolings: conservation, places and linearity (specification, section 5)."""

from __future__ import annotations

import math

import numpy as np

from harness import BackendUnderTest, Deviation, Problem, compare_arrays, law, worst_of
from harness.laws import NotExactError
from harness.problems import EVERY, FORMATS, Array, array_generator, draw_array, make_arrays
from suites.laws.common import equal, inner, step, whole_avg_pool, whole_max_pool, wide
from suites.laws.windows import (
    AVG,
    AVG_GRAD,
    MAX,
    MAX_GRAD,
    allowance,
    apart,
    flat,
    max_pool,
    nan_reaches,
    nan_stays,
    narrow,
    ordinary,
    places,
    settle,
    taps_counted,
    taps_inside,
    unpadded,
    window_sums,
)

GRADIENTS = (MAX_GRAD, AVG_GRAD)
SCALE = 4.0


def _space(a: Array) -> tuple[int, ...]:
    return tuple(range(2, a.ndim))


def _at(indices: Array, values: Array, x: Array) -> Array:
    """Values put at indices in zeros of the shape of x; an index below 0 is none."""
    found = np.zeros((*x.shape[:2], math.prod(x.shape[2:]) + 1))
    np.put_along_axis(found, flat(indices), flat(values), axis=2)  # -1 is the place behind the map
    return found[..., :-1].reshape(x.shape)


# --- max pooling -------------------------------------------------------------------------------------------------


def _max_grad(subject: BackendUnderTest, problem: Problem, dy: Array, x: Array, indices: Array) -> Array:
    """The gradient dx of max pooling, for whole numbers dy; never rounded. Raises NotExactError where sums may be."""
    backwards = problem.with_(operator=MAX_GRAD)
    formats = (subject.numerics(backwards).sums_in(problem.dtype), FORMATS[problem.dtype])
    windows = min(math.prod(problem.kernel), math.prod(problem.y[2:]))  # that can choose the same position
    most = windows * float(np.max(np.abs(dy), initial=0.0))
    if most > 2.0 ** min(form.bits for form in formats):
        raise NotExactError(f"{backwards.line}: sums of up to {most:.4g} are not exact in {problem.dtype}")
    return subject.run(backwards, {"dy": dy, "x": x, "indices": indices})["dx"].astype(np.float64)


@law(tolerance="exact", when=whole_max_pool, needs=(MAX, MAX_GRAD))
def maximum_gradient_is_conserved(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """sum dx = sum dy, map by map; dx is 0 where nothing was chosen

    Overlapping windows add up; all of dy goes to the winning index (specification 1.17). dy is 0 over padding alone.
    """
    x, dy = wide(problem, "x", problem.x), wide(problem, "dy", problem.y) * (taps_inside(problem) > 0)
    _, indices = max_pool(subject, problem, x)
    dx = _max_grad(subject, problem, dy, x, indices)
    stray = np.where(_at(indices, np.ones(indices.shape), x) > 0, 0.0, dx)
    return worst_of(
        equal(dx.sum(axis=_space(dx)), dy.sum(axis=_space(dy)), "sum of dx"),
        equal(stray, np.zeros_like(stray), "dx beside the winners"),
    )


def _steps_within(problem: Problem) -> bool:
    """True if the dtype holds distinct numbers, and each of them plus and minus 1."""
    return 2 * math.prod(problem.x[2:]) + 3 <= 1 << FORMATS[problem.dtype].bits


@law(
    tolerance="exact",
    when=lambda p: p.operator is MAX and p.data == "distinct" and _steps_within(p),
    needs=(MAX, MAX_GRAD),
)
def maximum_unit_step(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """<dy, max_pool(x + h) - max_pool(x)> = <h, dx>, for |h| <= 1 on whole numbers 4 apart

    Inside one linear region the difference is the derivative, exactly. dy is 0 over padding alone.
    """
    x, h, meets = wide(problem, "x", problem.x), step(problem, "h", problem.x), taps_inside(problem) > 0
    dy = step(problem, "dy", problem.y) * meets
    (y, indices), (moved, _) = max_pool(subject, problem, x), max_pool(subject, problem, x + h)
    change = np.where(meets, moved, 0.0) - np.where(meets, y, 0.0)
    return equal(inner(h, _max_grad(subject, problem, dy, x, indices)), inner(dy, change), "<h, dx>")


@law(tolerance="exact", when=lambda p: p.operator is MAX_GRAD and ordinary(p) and apart(p))
def maximum_gradient_is_placed(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """dx[indices[i]] = dy[i], and dx = 0 elsewhere, where windows lie apart

    To the bit, as nothing is added up. It is the inverse of pooling: dy is put back to where it came from.
    """
    arrays = make_arrays(problem)
    dx = subject.run(problem, arrays)["dx"]
    wanted = _at(arrays["indices"], arrays["dy"].astype(np.float64), arrays["x"])
    return equal(dx, wanted, "dx")


# --- mean pooling ------------------------------------------------------------------------------------------------


def _multiples(problem: Problem) -> tuple[Array, Array]:
    """Gradients -1, 0 and 1 of the taps of each window, and dy: the divisor times as much."""
    share = step(problem, "dy", problem.y)
    return share, share * taps_counted(problem)


def _avg_grad(subject: BackendUnderTest, problem: Problem, dy: Array) -> Array:
    """The gradient dx of mean pooling, for dy that are multiples of the divisors."""
    return settle(subject, problem.with_(operator=AVG_GRAD), {"dy": dy})


@law(tolerance="exact", when=whole_avg_pool, needs=(AVG, AVG_GRAD))
def mean_adjoint(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """<avg_pool(x), dy> = <x, dx(dy)>

    dy is a multiple of the divisor, so that both sides are whole.
    """
    x, (share, dy) = wide(problem, "x", problem.x), _multiples(problem)
    dx = _avg_grad(subject, problem, dy)
    return equal(inner(x, dx), inner(window_sums(subject, problem, x), share), "<x, dx>")


@law(
    tolerance="exact",
    when=lambda p: whole_avg_pool(p) and (unpadded(p) or not p.window.count_include_pad),
    needs=(AVG_GRAD,),
)
def mean_gradient_is_conserved(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """sum dx = sum dy, map by map, where padding does not count

    Without padding, or with exclude_pad; the ceil overhang takes nothing either. dy is a multiple of the divisor, and
    0 over padding alone.
    """
    dy = _multiples(problem)[1] * (taps_inside(problem) > 0)
    dx = _avg_grad(subject, problem, dy)
    return equal(dx.sum(axis=_space(dx)), dy.sum(axis=_space(dy)), "sum of dx")


@law(
    tolerance="bound",
    when=lambda p: p.operator is AVG_GRAD and ordinary(p) and unpadded(p) and apart(p),
)
def mean_gradient_is_spread_evenly(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """dx[j] = dy[i] / prod K for every j in window i, and dx = 0 elsewhere, where windows lie apart

    Without padding; dy is 0 where the ceil rule leaves a window with fewer elements.
    """
    full = taps_inside(problem) == math.prod(problem.kernel)
    dy = draw_array(problem, "dy", problem.y).astype(np.float64) * full
    dx = subject.run(problem, {"dy": dy})["dx"].astype(np.float64)
    taps = [np.where(at < n, at, 0) for at, n in zip(places(problem), problem.x[2:], strict=True)]
    wanted = np.zeros(problem.x)
    spread = dy.reshape(*dy.shape[:2], *(size for p in dy.shape[2:] for size in (p, 1))) / math.prod(problem.kernel)
    spread = np.broadcast_to(spread, (*dy.shape[:2], *(size for at in taps for size in at.shape)))
    at = (*EVERY, *np.ix_(*(axis.reshape(-1) for axis in taps)))
    np.add.at(wanted, at, spread.reshape(wanted[at].shape))  # a tap beyond the input adds the 0 of its window
    return compare_arrays(dx, wanted, allowance(subject, problem, {"dy": dy}), what="dx", kind="bound")


# --- both --------------------------------------------------------------------------------------------------------


def _scales(problem: Problem) -> bool:
    """True if dy of 1 to 2 over the divisor, and sums of 8 over all windows, are normal numbers of the dtype."""
    form = FORMATS[problem.dtype]
    return problem.operator in GRADIENTS and math.prod(problem.kernel) * form.smallest * 2.0 ** (form.bits + 1) <= 1.0


@law(tolerance="exact", when=_scales)
def pool_gradient_scales(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """dx(2^k dy) = 2^k dx(dy);  dx(-dy) = -dx(dy)

    To the bit: dy lies between 1 and 2, so that no sum cancels and no share is a subnormal number. A norm-wise class
    may leave errors at 0, which the output rounds to its smallest number.
    """
    arrays = make_arrays(problem)
    dy = narrow(problem, array_generator(problem, "scaled").uniform(1.0, 2.0, size=problem.y))
    dx, larger, negative = (
        subject.run(problem, {**arrays, "dy": a})["dx"].astype(np.float64) for a in (dy, SCALE * dy, -dy)
    )
    noise = SCALE * FORMATS[problem.dtype].smallest if subject.numerics(problem).normwise else 0.0
    return worst_of(
        compare_arrays(larger, SCALE * dx, noise, what=f"dx({SCALE:g} dy)"), equal(negative, -dx, "dx(-dy)")
    )


@law(tolerance="exact", when=lambda problem: problem.operator in GRADIENTS and problem.data != "nonfinite")
def pool_gradient_adds(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """dx(dy + dz) = dx(dy) + dx(dz)

    On whole numbers; for means on multiples of the divisor.
    """
    divisor = taps_counted(problem) if problem.operator is AVG_GRAD else 1.0
    dy, dz = (step(problem, name, problem.y) * divisor for name in ("dy", "dz"))
    if problem.operator is AVG_GRAD:
        parts = [_avg_grad(subject, problem.with_(data="integer"), a) for a in (dy, dz, dy + dz)]
    else:
        arrays = make_arrays(problem)
        parts = [_max_grad(subject, problem, a, arrays["x"], arrays["indices"]) for a in (dy, dz, dy + dz)]
    return equal(parts[2], parts[0] + parts[1], "dx(dy + dz)")


@law(tolerance="exact", when=lambda problem: problem.operator in GRADIENTS and problem.data != "nonfinite")
def gradient_nan_stays_local(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """dy[i] = NaN  =>  dx is NaN at indices[i], or wherever window i lies for means; all other dx keep their bits

    One window in the middle of each map. The second half only where the backend declares nan_local.
    """
    arrays = make_arrays(problem)
    middle = tuple(p // 2 for p in problem.y[2:])
    dy = arrays["dy"].copy()
    dy[(*EVERY, *middle)] = np.nan
    held = np.zeros(problem.x, dtype=bool)
    if problem.operator is MAX_GRAD:
        held = _at(arrays["indices"][(*EVERY, *middle)][..., None], np.ones((*problem.x[:2], 1)), held) > 0
    else:
        taps = [at[i] for at, i in zip(places(problem), middle, strict=True)]
        held[(*EVERY, *np.ix_(*(at[(at >= 0) & (at < n)] for at, n in zip(taps, problem.x[2:], strict=True))))] = True
    before, after = (subject.run(problem, a)["dx"].astype(np.float64) for a in (arrays, {**arrays, "dy": dy}))
    reached = nan_reaches(after, held, "positions that get their gradient from one")
    return worst_of(nan_stays(subject, problem, arrays, dy, held, (before, after)), reached)

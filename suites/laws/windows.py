"""Laws that both poolings keep, and windows counted tap by tap (specification, section 4).

subject: the backend. problem: the pooling. x: input n c *s. window: of the pooling. arrays: inputs by name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce

import numpy as np

from harness import BackendUnderTest, Deviation, Operator, Problem, Window, law, statement
from harness.laws import NotExactError, find_nan_reach, magnitude, rounding_bound, sum_bound
from harness.problems import EVERY, Array, array_generator, dtype_of, make_arrays, name_outputs, pad_or_crop, tap_slices
from suites.laws.common import compare_beside, equal, whole_avg_pool, wide

MAX, MAX_GRAD = Operator.max_pool, Operator.max_pool_grad
AVG, AVG_GRAD = Operator.avg_pool, Operator.avg_pool_grad


# --- conditions --------------------------------------------------------------------------------------------------


def finite_max_pool(problem: Problem) -> bool:
    """Return True for max pooling of finite numbers, integer or real."""
    return problem.operator is MAX and problem.data != "nonfinite"


def ordinary(problem: Problem) -> bool:
    """Return True if the rounding errors of the problem's data are bounded by their size: not for subnormal numbers."""
    return problem.data not in ("nonfinite", "subnormal")


def unpadded(problem: Problem) -> bool:
    """Return True if there is no explicit padding."""
    return not any(side for pair in problem.window.padding for side in pair)


def apart(problem: Problem) -> bool:
    """Return True if no position lies in two windows."""
    window = problem.window
    return all(
        p == 1 or s >= reach
        for p, s, reach in zip(problem.y[2:], window.stride, window.reach(problem.kernel), strict=True)
    )


def overhangs(problem: Problem) -> tuple[bool, ...]:
    """For each axis, whether the last window reaches beyond input and explicit padding, as the ceil rule permits."""
    cover = problem.window.cover(problem.x[2:], problem.kernel)
    return tuple(last > end for (_, last), (_, end) in zip(cover, problem.window.padding, strict=True))


# --- windows and their taps --------------------------------------------------------------------------------------


def places(problem: Problem) -> list[Array]:
    """For each axis, the input position of every tap of every window, p x m; outside the input too."""
    window = problem.window
    return [
        np.arange(p)[:, None] * s - begin + np.arange(m) * d
        for p, m, s, d, (begin, _) in zip(
            problem.y[2:], problem.kernel, window.stride, window.dilation, window.padding, strict=True
        )
    ]


def _outer(counts: list[Array]) -> Array:
    return reduce(np.multiply.outer, [axis.astype(np.float64) for axis in counts])


def taps_inside(problem: Problem) -> Array:
    """Return the number of taps of each window inside the input, shape P."""
    sizes = zip(places(problem), problem.x[2:], strict=True)
    return _outer([((at >= 0) & (at < n)).sum(axis=1) for at, n in sizes])


def taps_padded(problem: Problem) -> Array:
    """Return the number of taps of each window inside input and explicit padding, shape P; no ceil overhang."""
    sizes = zip(places(problem), problem.x[2:], problem.window.padding, strict=True)
    return _outer([((at >= -begin) & (at < n + end)).sum(axis=1) for at, n, (begin, end) in sizes])


def taps_counted(problem: Problem) -> Array:
    """Divisor of each mean: with exclude_pad the taps inside the input, else those in explicit padding too."""
    return np.maximum(1.0, taps_padded(problem) if problem.window.count_include_pad else taps_inside(problem))


def seen(problem: Problem, x: Array, outside: float) -> Iterator[Array]:
    """Return the numbers that each tap reads in every window, n c *p, tap by tap; `outside` if it misses the input."""
    padded = pad_or_crop(x, problem.window.cover(problem.x[2:], problem.kernel), outside, np)
    for _, at in tap_slices(problem.y[2:], problem.kernel, problem.window):
        yield padded[(*EVERY, *at)]


def mark_one(problem: Problem, name: str) -> tuple[Array, Array]:
    """Mark one position in each map: a mask of the shape of x, and the flat positions, n c."""
    n, c, *spatial = problem.x
    at = array_generator(problem, name).integers(math.prod(spatial), size=(n, c))
    mask = np.zeros((n, c, math.prod(spatial)), dtype=bool)
    np.put_along_axis(mask, at[..., None], True, axis=2)
    return mask.reshape(problem.x), at


def holds(problem: Problem, mask: Array) -> Array:
    """Windows that hold a marked position, n c *p."""
    return np.asarray(reduce(np.logical_or, seen(problem, mask, False)))


def nan_reaches(output: Array, held: Array, where: str) -> Deviation:
    """Check that an output is NaN at every place that must be.

    held: mask of these places. where: their description, for the message.
    """
    found = int(np.isnan(output[held]).sum())
    return statement(found == int(held.sum()), f"NaN in {found} of {int(held.sum())} {where}")


def nan_stays(
    subject: BackendUnderTest, problem: Problem, arrays: dict[str, Array], spoiled: Array, held: Array,
    outputs: tuple[Array, Array],
) -> Deviation:  # fmt: skip
    """Check that NaN reaches its windows alone; where the backend declares that nan_local does not hold, its own map.

    Sums that run on carry a NaN through its map. A call of its own, with NaN in every other map, then asks the rest.
    arrays: inputs, of which the first is spoiled: with NaN in every map. held: what its windows reach.
    outputs: of the inputs without NaN, and with it in every map.
    """
    spec, (before, after) = problem.operator.spec, outputs
    name, output = spec.factors[0], spec.outputs[0]
    if subject.numerics(problem).nan_local:
        what = f"{output} beside the NaN"
        return compare_beside(subject, problem, {**arrays, name: spoiled}, (before, after), held, what)
    image, channel, *_ = np.indices((*problem.x[:2], *(1,) * problem.axes), sparse=True)
    some = {**arrays, name: np.where((image + channel) % 2, arrays[name], spoiled)}
    apart = subject.run(problem, some)[output].astype(np.float64)
    reached = find_nan_reach(problem, some)
    return compare_beside(subject, problem, some, (before, apart), reached, f"{output} of maps beside those with NaN")


def narrow(problem: Problem, a: Array) -> Array:
    """Numbers rounded to the problem's dtype, which keeps their order."""
    return a.astype(dtype_of(problem.dtype)).astype(np.float64)


def flat(a: Array) -> Array:
    """Space in one axis: n c *s to n c s."""
    return a.reshape(*a.shape[:2], math.prod(a.shape[2:]))


def bare(window: Window) -> Window:
    """The window without padding and without the ceil rule."""
    return replace(window, padding=((0, 0),) * window.axes, ceil_mode=False)


# --- asking the backend ------------------------------------------------------------------------------------------


def max_pool(
    subject: BackendUnderTest, problem: Problem, x: Array, window: Window | None = None
) -> tuple[Array, Array]:
    """Return maxima of any input, as float64 to the bit, and their indices; the window defaults to the problem's."""
    asked = problem.with_(operator=MAX, x=x.shape, window=window or problem.window)
    found = subject.run(asked, {"x": x})
    return found["y"].astype(np.float64), found["indices"].astype(np.int64)


def avg_pool(
    subject: BackendUnderTest, problem: Problem, x: Array, window: Window | None = None
) -> tuple[Array, Array]:
    """Return means of any input, as float64, and the bound on their errors."""
    asked = problem.with_(operator=AVG, x=x.shape, window=window or problem.window)
    y = subject.run(asked, {"x": x})["y"].astype(np.float64)
    return y, allowance(subject, asked, {"x": x})


def allowance(subject: BackendUnderTest, problem: Problem, arrays: dict[str, Array]) -> Array:
    """Return the bound on the errors of a problem's first output, by the class that the backend declares."""
    size = magnitude(problem, arrays)
    return np.asarray(sum_bound(problem, subject.numerics(problem), arrays, size) + rounding_bound(problem, size))


def settle(subject: BackendUnderTest, problem: Problem, arrays: dict[str, Array], scale: Array | float = 1.0) -> Array:
    """Return the integers of which a mean, or its gradient, is one in `scale`: rint(scale * output).

    Raises NotExactError if an input is no number of the dtype, or if the bound on the error exceeds half the distance
    of
    integers.
    """
    if any((narrow(problem, a) != a).any() for a in arrays.values()):
        raise NotExactError(f"{problem.line}: whole numbers of the input are not numbers of {problem.dtype}")
    largest = float(np.max(scale * allowance(subject, problem, arrays), initial=0.0))
    if not largest < 0.5:
        raise NotExactError(f"{problem.line}: whole numbers are only known to {largest:.2g}, wanted below 0.5")
    output = subject.run(problem, arrays)[problem.operator.outputs[0]]
    return np.asarray(np.rint(scale * output.astype(np.float64)))


def window_sums(subject: BackendUnderTest, problem: Problem, x: Array) -> Array:
    """Return sums of integers over every window of a mean pooling, recovered from their means."""
    return settle(subject, problem, {"x": x}, taps_counted(problem))


# --- laws that both poolings keep --------------------------------------------------------------------------------


def count_windows(n: int, m: int, stride: int, dilation: int, padding: tuple[int, int], ceil: bool) -> int:
    """Count the windows of one axis by walking over it, without the formula (specification, section 4).

    n: size of the input. m: of the kernel. stride, dilation: one number each. padding: (begin, end). ceil: ceil mode.
    """
    (begin, end), reach = padding, (m - 1) * dilation + 1
    starts = [0]
    while starts[-1] + stride + reach <= n + begin + end or (ceil and starts[-1] + reach < n + begin + end):
        starts.append(starts[-1] + stride)
    if ceil and starts[-1] >= n + begin:
        starts.pop()
    return len(starts)


@law(tolerance="structure", when=lambda problem: problem.operator.pools)
def windows_are_counted(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """P = number of windows at 0, s, 2s, ... that end in input and padding; ceil adds one that begins in them

    The windows are walked through one by one. With the ceil rule there is one more where the last one ends before
    the padding does, and one less where the last would begin in the end padding. y, indices and dy have P positions.
    """
    window = problem.window
    steps = zip(problem.x[2:], problem.kernel, window.stride, window.dilation, window.padding, strict=True)
    y = (*problem.x[:2], *(count_windows(n, m, s, d, pad, window.ceil_mode) for n, m, s, d, pad in steps))
    wanted = {"x": problem.x, "dx": problem.x, "y": y, "dy": y, "indices": y}
    arrays = make_arrays(problem)
    with subject.together():
        outputs = name_outputs(problem, subject.prepare(problem, arrays).run())
        found = {name: a.shape for name, a in subject.to_hosts(outputs).items()}
    shapes = {name: a.shape for name, a in arrays.items()} | found
    wrong = [name for name, shape in shapes.items() if shape != wanted[name]]
    reasons = (f"{name}: got shape {shapes[name]}, wanted {wanted[name]} by counting windows" for name in wrong)
    return statement(not wrong, "; ".join(reasons) or f"windows: {y}")


def _shuffles(problem: Problem) -> bool:
    """True if windows lie apart in the input itself and have an order to change."""
    kind = finite_max_pool(problem) or whole_avg_pool(problem)
    return kind and unpadded(problem) and apart(problem) and math.prod(problem.kernel) > 1


@law(tolerance="exact", when=_shuffles)
def order_in_a_window_is_free(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """pool(x permuted inside every window) = pool(x), where windows lie apart

    Stride of at least the kernel, no padding; bit by bit for maxima, by sums of whole numbers for means.
    """
    x = wide(problem, "x", problem.x)
    shuffled = shuffle_windows(problem, x)
    if problem.operator is MAX:
        return equal(max_pool(subject, problem, shuffled)[0], max_pool(subject, problem, x)[0], "y of permuted windows")
    return equal(window_sums(subject, problem, shuffled), window_sums(subject, problem, x), "sums of permuted windows")


def shuffle_windows(problem: Problem, x: Array) -> Array:
    """The elements of every window that fits into the input, all in the same new order."""
    kernel = problem.kernel
    taps = [at[(at < n).all(axis=1)] for at, n in zip(places(problem), problem.x[2:], strict=True)]
    at = (*EVERY, *np.ix_(*(axis.reshape(-1) for axis in taps)))
    windows = tuple(len(axis) for axis in taps)
    split = x[at].reshape(*x.shape[:2], *(size for pair in zip(windows, kernel, strict=True) for size in pair))
    inner = tuple(range(3, split.ndim, 2))
    blocks = np.moveaxis(split, inner, tuple(range(-len(kernel), 0)))
    order = np.roll(np.arange(math.prod(kernel)), 1)  # no element keeps its place
    mixed = blocks.reshape(*blocks.shape[: 2 + len(kernel)], math.prod(kernel))[..., order].reshape(blocks.shape)
    shuffled = x.copy()
    shuffled[at] = np.moveaxis(mixed, tuple(range(-len(kernel), 0)), inner).reshape(x[at].shape)
    return shuffled

"""Convolution by scipy.signal's direct methods, whose errors are bounded element by element.

SciPy knows neither channels, strides, dilations nor groups: channels are summed here, strides subsample, dilations put
zeros between taps, groups are computed one by one. `correlate2d` is ten times faster per product than the N-D
`correlate`, which sums over channels by itself and so needs fewer calls; the cheaper one by an estimate is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from backends.guards import check_gradient, conv_shape, is_empty, sum_of_nothing
from harness import Backend, Numerics, Operator, Problem, Window, hookimpl
from harness.problems import EVERY, Array, Sizes, pad_or_crop

CALL_NS = 8000.0  # a call of correlate2d on nothing
PLANE_NS = 1.8  # a product of correlate2d
SPACE_NS = 17.0  # a product of correlate

WORK_OF_A_CALL = 6e3  # operations in the time that a call of correlate takes by itself, 20 us


class ScipySignal(Backend):
    """The three convolutions by scipy.signal; float16 is computed in float32."""

    name = "scipy-signal"
    instruction_sets = ("openblas", "numpy")
    rate = 3e8
    numerics = Numerics(algorithm="direct")
    takes_complex = True

    def probe(self) -> str | None:
        """Correlate two tiny arrays."""
        try:
            from scipy.signal import correlate2d
        except ImportError as error:
            return f"scipy.signal cannot be imported: {error}"
        return None if correlate2d([[3.0]], [[2.0]]).item() == 6.0 else "scipy.signal.correlate2d of 3 and 2 is not 6"

    def versions(self) -> dict[str, str]:
        """Versions of NumPy and SciPy."""
        import numpy as np
        import scipy

        return {"numpy": np.__version__, "scipy": scipy.__version__}

    def numerics_for(self, problem: Problem) -> Numerics:
        """Zeros between taps or positions multiply a NaN that their window does not hold."""
        local = all(step == 1 for step in (*problem.window.dilation, *problem.window.stride))
        return replace(self.numerics, nan_local=local)

    def work(self, problem: Problem) -> float:
        """Count products of whole kernels at all places, zeros between taps and strides too, and calls of SciPy.

        Positions are computed before strides and dilations subsample them; a gradient of the input has more of them.
        """
        if problem.operator is Operator.conv_bias_grad or is_empty(problem.x):
            return float(problem.flops)
        transposed = problem.operator is Operator.conv_transpose
        reach = problem.window.reach(problem.kernel)
        backward = transposed or problem.operator in (Operator.conv_input_grad, Operator.avg_pool_grad)
        places = math.prod(
            (p - 1) * s + (m if backward else 1)
            for p, s, m in zip((problem.x if transposed else problem.y)[2:], problem.window.stride, reach, strict=True)
        )
        pairs = problem.x[1] if problem.w is None else problem.w[0] * problem.w[1]
        return pairs * (float(problem.x[0]) * math.prod(reach) * places + WORK_OF_A_CALL)

    def conv(self, x: Array, w: Array, b: Array | None, window: Window) -> Array:
        """y = the covered input correlated with the upsampled kernel, subsampled, plus b."""
        import numpy as np

        shape = conv_shape(x.shape, w.shape, window)
        if is_empty(x.shape, w.shape):
            return sum_of_nothing(x, shape, b)
        covered = pad_or_crop(_widen(x), window.cover(x.shape[2:], w.shape[2:]), 0.0, np)
        taps = _stuff(_widen(w), window.dilation).conj()  # SciPy conjugates it back; what is real stays as it is
        y = _by_group(covered, taps, window.groups)[(*EVERY, *_every(window.stride))]
        if b is not None:
            y = y + _widen(b).reshape(1, -1, *(1,) * (x.ndim - 2))
        return np.ascontiguousarray(y, dtype=x.dtype)

    def conv_input_grad(self, dy: Array, w: Array, x_shape: Sizes, window: Window) -> Array:
        """dx = wide true convolution of the zero-stuffed dy with the upsampled kernel, padding cropped."""
        import numpy as np

        check_gradient(dy.shape, conv_shape(x_shape, w.shape, window))
        if is_empty(dy.shape, w.shape):
            return sum_of_nothing(dy, x_shape)
        groups, reach = window.groups, window.reach(w.shape[2:])
        wide = pad_or_crop(_stuff(_widen(dy), window.stride), tuple((m - 1, m - 1) for m in reach), 0.0, np)
        turned = np.flip(_stuff(_widen(w), window.dilation), axis=tuple(range(2, w.ndim)))
        swapped = turned.reshape(groups, -1, *turned.shape[1:]).swapaxes(1, 2).reshape(x_shape[1], -1, *reach)
        covered = _by_group(wide, swapped, groups)[(*EVERY, *(slice(begin, None) for begin, _ in window.padding))]
        ends = tuple((0, n - size) for n, size in zip(x_shape[2:], covered.shape[2:], strict=True))
        return np.ascontiguousarray(pad_or_crop(covered, ends, 0.0, np), dtype=dy.dtype)

    def conv_weight_grad(self, dy: Array, x: Array, w_shape: Sizes, window: Window) -> Array:
        """dw = the covered input correlated with the zero-stuffed dy, summed over images, subsampled."""
        import numpy as np

        check_gradient(dy.shape, conv_shape(x.shape, w_shape, window))
        if is_empty(dy.shape, x.shape):
            return sum_of_nothing(dy, w_shape)
        covered = pad_or_crop(_widen(x), window.cover(x.shape[2:], w_shape[2:]), 0.0, np).swapaxes(0, 1)
        stuffed = _stuff(_widen(dy), window.stride).swapaxes(0, 1)
        o, c = w_shape[0] // window.groups, w_shape[1]
        parts = [
            _correlate(covered[g * c : (g + 1) * c], stuffed[g * o : (g + 1) * o]).swapaxes(0, 1)
            for g in range(window.groups)
        ]
        return np.concatenate(parts)[(*EVERY, *_every(window.dilation))].astype(dy.dtype)


def _widen(a: Array) -> Array:
    return a.astype("float32") if a.dtype.itemsize == 2 else a


def _every(steps: Sizes) -> tuple[slice, ...]:
    return tuple(slice(None, None, step) for step in steps)


def _stuff(a: Array, steps: Sizes) -> Array:
    """Put step - 1 zeros between the elements of every spatial axis."""
    import numpy as np

    if all(step == 1 for step in steps):
        return a
    sizes = ((n - 1) * step + 1 for n, step in zip(a.shape[2:], steps, strict=True))
    stuffed = np.zeros((*a.shape[:2], *sizes), dtype=a.dtype)
    stuffed[(*EVERY, *_every(steps))] = a
    return stuffed


def _by_group(x: Array, w: Array, groups: int) -> Array:
    """Valid correlation of each group of channels: x n c *s, w o c/g *k, result n o *p."""
    import numpy as np

    c, o = x.shape[1] // groups, w.shape[0] // groups
    parts = [_correlate(x[:, g * c : (g + 1) * c], w[g * o : (g + 1) * o]) for g in range(groups)]
    return parts[0] if groups == 1 else np.concatenate(parts, axis=1)


def _correlate(x: Array, w: Array) -> Array:
    """Valid correlation summed over channels: x n c *s, w o c *k, result n o *p."""
    n, c, *spatial = x.shape
    o, kernel = w.shape[0], w.shape[2:]
    out = [size - m + 1 for size, m in zip(spatial, kernel, strict=True)]
    products = float(n * o * c * math.prod(kernel) * math.prod(out))
    slices = kernel[0] if len(kernel) == 3 else 1
    # images under one another make windows that straddle two of them, which are computed in vain
    stacked = slices * o * c * CALL_NS + PLANE_NS * products * (spatial[-2] / out[-2] if len(out) > 1 else 1)
    single = slices * o * c * n * (out[0] if len(out) == 3 else 1) * CALL_NS + PLANE_NS * products
    if SPACE_NS * products + o * CALL_NS < min(stacked, single):
        return _correlate_space(x, w)
    if len(kernel) == 3:
        return _correlate_slices(x, w, out[0])
    return _correlate_planes(x, w, together=stacked <= single)


def _correlate_space(x: Array, w: Array) -> Array:
    """One N-D correlation per output channel; 'valid' leaves a single place on the axis of channels."""
    import numpy as np
    from scipy.signal import correlate

    return np.concatenate([correlate(x, row[None], mode="valid", method="direct") for row in w], axis=1)


def _correlate_slices(x: Array, w: Array, depth: int) -> Array:
    """Three axes as a sum over the first axis' taps of correlations in the plane."""
    import numpy as np

    total: Array = np.zeros((), dtype=x.dtype)
    for tap in range(w.shape[2]):
        planes = x[:, :, tap : tap + depth].swapaxes(1, 2)  # n d c h w
        total = total + _correlate(planes.reshape(-1, *planes.shape[2:]), w[:, :, tap])
    return total.reshape(x.shape[0], depth, *total.shape[1:]).swapaxes(1, 2)


def _correlate_planes(x: Array, w: Array, together: bool) -> Array:
    """One 2-D correlation per pair of channels, of all images under one another, or of each image by itself."""
    import numpy as np
    from scipy.signal import correlate2d

    n, _, *spatial = x.shape
    if len(spatial) == 1:  # one axis: each image is a row, and the kernel has one row
        rows, height, w = 1, 1, w[:, :, None]
    else:
        rows, height = spatial[0], spatial[0] - w.shape[2] + 1
    stacks = np.ascontiguousarray(x.swapaxes(0, 1)).reshape(x.shape[1], 1 if together else n, -1, spatial[-1])
    y = np.zeros((w.shape[0], n * rows, spatial[-1] - w.shape[-1] + 1), dtype=x.dtype)
    step = y.shape[1] // stacks.shape[1]
    for target, kernels in zip(y, w, strict=True):
        for stack, kernel in zip(stacks, kernels, strict=True):
            for number, image in enumerate(stack):
                part = correlate2d(image, kernel, mode="valid")
                target[number * step : number * step + len(part)] += part
    maps = y.reshape(len(y), n, rows, -1)[:, :, :height].swapaxes(0, 1)  # n o h w
    return maps.reshape(n, len(y), -1) if len(spatial) == 1 else maps


@hookimpl
def register_backends(register: Callable[[Backend], None]) -> None:
    """Register the backend."""
    register(ScipySignal())

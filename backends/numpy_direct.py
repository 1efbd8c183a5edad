"""Direct convolution and pooling in NumPy: shifted views of the input, contracted tap by tap.

No column matrix is built. The padded input is split into its stride phases, so that each tap is one contiguous,
shifted slice of flattened space that BLAS takes without a copy; sums run in blocks that stay in the cache.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

from backends.guards import check_gradient, conv_shape, is_empty, sum_of_nothing, transposed_shape
from backends.reductions import BLOCK_BYTES, Reductions, grown, widen
from harness import Backend, Numerics, Window, hookimpl
from harness.problems import EVERY, Array, Sizes, inner_slices, pad_or_crop, tap_slices

if TYPE_CHECKING:
    import numpy as np

MIN_STEP = 512
FOLD_CHANNELS = 16  # with fewer input channels the products are thin: taps of the last axis are made channels


class NumpyDirect(Reductions, Backend):
    """All nine operators by shifted views and tap-wise contraction; float16 is summed in float32."""

    name = "numpy-direct"
    instruction_sets = ("openblas", "numpy")
    rate = 3e9
    numerics = Numerics(algorithm="direct")
    takes_complex = True

    def versions(self) -> dict[str, str]:
        """Version of NumPy."""
        import numpy as np

        return {"numpy": np.__version__}

    def conv(self, x: Array, w: Array, b: Array | None, window: Window) -> Array:
        """y[n,o,i] = b[o] + sum over c, u of w[o,c,u] x[n, c, s*i + d*u - begin]."""
        import numpy as np

        shape = conv_shape(x.shape, w.shape, window)
        if is_empty(x.shape, w.shape):
            return sum_of_nothing(x, shape, b)
        dtype, out = x.dtype, shape[2:]
        x, w = pad_or_crop(widen(x), window.cover(x.shape[2:], w.shape[2:]), 0.0, np), widen(w)
        if len(out) > 1 and 1 < w.shape[1] < FOLD_CHANNELS:
            x, w, window = _fold_last_axis(x, w, window, out[-1])
        rows = tuple(-(-n // s) for n, s in zip(x.shape[2:], window.stride, strict=True))
        phases = _Phases(x, window, rows)
        sums = _sum_shifted(_tap_matrices(w, window.groups), list(phases.shifts(w.shape[2:])))
        y = sums.reshape(w.shape[0], x.shape[0], *rows)[(*EVERY, *map(slice, out))].swapaxes(0, 1)
        return _finish(y, b, dtype)

    def conv_input_grad(self, dy: Array, w: Array, x_shape: Sizes, window: Window) -> Array:
        """dx[n, c, s*i + d*u - begin] += w[o,c,u] dy[n,o,i]."""
        check_gradient(dy.shape, conv_shape(x_shape, w.shape, window))
        if is_empty(dy.shape, w.shape):
            return sum_of_nothing(dy, x_shape)
        return _finish(_input_sums(dy, w, x_shape, window), None, dy.dtype)

    def conv_transpose(self, x: Array, w: Array, b: Array | None, window: Window, output_padding: Sizes) -> Array:
        """y = the input gradient of `conv` at x, plus b."""
        shape = transposed_shape(x.shape, w.shape, window, output_padding)
        if is_empty(x.shape, w.shape):
            return sum_of_nothing(x, shape, b)
        return _finish(_input_sums(x, w, shape, window), b, x.dtype)

    def conv_weight_grad(self, dy: Array, x: Array, w_shape: Sizes, window: Window) -> Array:
        """dw[o,c,u] = sum over n, i of dy[n,o,i] x[n, c, s*i + d*u - begin]."""
        import numpy as np

        check_gradient(dy.shape, conv_shape(x.shape, w_shape, window))
        if is_empty(dy.shape, x.shape):
            return sum_of_nothing(dy, w_shape)
        groups, out = window.groups, dy.shape[2:]
        padded = pad_or_crop(x, window.cover(x.shape[2:], w_shape[2:]), 0.0, np)
        dw = np.zeros((math.prod(w_shape[2:]), groups, w_shape[0] // groups, w_shape[1]), dtype=widen(dy[:0]).dtype)
        for at in _image_blocks(x.shape[0], math.prod((x.shape[1], *out)) * dw.itemsize):
            rows = _channels_first(widen(dy[at]), groups)
            part = widen(padded[at]).swapaxes(0, 1)
            columns = np.empty((x.shape[1], rows.shape[-1] // math.prod(out), *out), dtype=dw.dtype)
            seen = columns.reshape(groups, w_shape[1], -1).swapaxes(1, 2)
            for number, (_, tap) in enumerate(tap_slices(out, w_shape[2:], window)):
                columns[...] = part[(*EVERY, *tap)]
                dw[number] += rows @ seen
        return np.moveaxis(dw, 0, -1).reshape(w_shape).astype(dy.dtype)


class _Phases:
    """The padded input as one contiguous row per channel and stride phase, so that taps are shifts of it.

    With stride s, position s*i + d*u is place i + d*u // s of phase d*u % s. Images stand one after another in a
    row; sums that run over the end of a line or an image are never read.
    """

    def __init__(self, x: Array, window: Window, rows: Sizes) -> None:
        self.x, self.window, self.rows = x, window, rows
        self.known: dict[Sizes, Array] = {}

    def shifts(self, kernel: Sizes) -> Iterator[tuple[Array, int]]:
        """For every tap in row-major order its phase, shape g c/g n*rows, and the shift in it."""
        for tap in itertools.product(*map(range, kernel)):
            where = [divmod(u * d, s) for u, d, s in zip(tap, self.window.dilation, self.window.stride, strict=True)]
            shift = reduce(lambda flat, axis: flat * axis[1] + axis[0][0], zip(where, self.rows, strict=True), 0)
            yield self._phase(tuple(r for _, r in where)), shift

    def _phase(self, phase: Sizes) -> Array:
        if phase not in self.known:
            import numpy as np

            part = self.x[(*EVERY, *(slice(r, None, s) for r, s in zip(phase, self.window.stride, strict=True)))]
            n, c = part.shape[:2]
            laid = np.zeros((c, n, *self.rows), dtype=part.dtype)
            laid[(*EVERY, *map(slice, part.shape[2:]))] = part.swapaxes(0, 1)
            self.known[phase] = laid.reshape(self.window.groups, c // self.window.groups, -1)
        return self.known[phase]


def _fold_last_axis(x: Array, w: Array, window: Window, size: int) -> tuple[Array, Array, Window]:
    """Make the taps of the last axis input channels: x n c *s to n c*k *s, w o c *k to o c*k *k 1."""
    import numpy as np
    from numpy.lib.stride_tricks import sliding_window_view

    taps, s, d = w.shape[-1], window.stride[-1], window.dilation[-1]
    views = sliding_window_view(x, (taps - 1) * d + 1, axis=-1)[..., : (size - 1) * s + 1 : s, ::d]
    folded = np.moveaxis(views, -1, 2).reshape(x.shape[0], -1, *views.shape[2:-1])
    rows = np.moveaxis(w, -1, 2).reshape(w.shape[0], -1, *w.shape[2:-1], 1)
    return folded, rows, replace(window, stride=(*window.stride[:-1], 1), dilation=(*window.dilation[:-1], 1))


def _tap_matrices(w: Array, groups: int) -> Array:
    """The kernel as one matrix per tap and group: k g o/g c/g."""
    import numpy as np

    o, c = w.shape[:2]
    return np.ascontiguousarray(np.moveaxis(w.reshape(groups, o // groups, c, -1), -1, 0))


def _product(a: Array, rows: Array, out: Array) -> None:
    """out = a @ rows; where one channel is contracted, a plain product is quicker than many thin matrix products."""
    import numpy as np

    (np.multiply if a.shape[-1] == 1 else np.matmul)(a, rows, out=out)


def _sum_shifted(taps: Array, shifted: list[tuple[Array, int]]) -> Array:
    """Sum over taps of a[tap] @ shifted row, block by block of flat space: g o/g length."""
    import numpy as np

    groups, o = taps.shape[1:3]
    length = shifted[0][0].shape[-1]
    sums = np.empty((groups, o, length), dtype=taps.dtype)
    end = length - max(shift for _, shift in shifted)
    step = max(MIN_STEP, BLOCK_BYTES // (groups * (2 * o + taps.shape[3]) * sums.itemsize))
    total, part = (np.empty((groups, o, min(step, end)), dtype=sums.dtype) for _ in range(2))
    for low in range(0, end, step):
        high = min(end, low + step)
        now = total[..., : high - low]
        _product(taps[0], shifted[0][0][..., low + shifted[0][1] : high + shifted[0][1]], now)
        for a, (row, shift) in zip(taps[1:], shifted[1:], strict=True):
            _product(a, row[..., low + shift : high + shift], part[..., : high - low])
            now += part[..., : high - low]
        sums[..., low:high] = now
    return sums


def _image_blocks(images: int, image_bytes: int) -> Iterator[slice]:
    step = max(1, BLOCK_BYTES // image_bytes)
    return (slice(n, n + step) for n in range(0, images, step))


def _channels_first(a: Array, groups: int) -> Array:
    """Images one after another in each channel's row: n c *s to g c/g n*s."""
    return a.swapaxes(0, 1).reshape(groups, a.shape[1] // groups, -1)


def _input_sums(dy: Array, w: Array, x_shape: Sizes, window: Window) -> Array:
    """Sums of the input gradient, in the dtype of sums: n c *s."""
    import numpy as np

    groups, out = window.groups, dy.shape[2:]
    cover = window.cover(x_shape[2:], w.shape[2:])
    taps = _tap_matrices(widen(w), groups).swapaxes(2, 3)
    padded = np.zeros((x_shape[1], x_shape[0], *grown(x_shape[2:], cover)), dtype=taps.dtype)
    for at in _image_blocks(x_shape[0], math.prod((x_shape[1], *out)) * padded.itemsize):
        rows = _channels_first(widen(dy[at]), groups)
        target = padded[:, at]
        part = np.empty((groups, taps.shape[2], rows.shape[-1]), dtype=taps.dtype)
        for a, (_, tap) in zip(taps, tap_slices(out, w.shape[2:], window), strict=True):
            _product(a, rows, part)
            target[(*EVERY, *tap)] += part.reshape(*target.shape[:2], *out)
    return padded[(*EVERY, *inner_slices(x_shape[2:], cover))].swapaxes(0, 1)


def _finish(sums: Array, b: Array | None, dtype: np.dtype[Any]) -> Array:
    """Add the bias and round to the dtype of the problem, in one pass into a new array."""
    import numpy as np

    y = np.empty(sums.shape, dtype=dtype)
    if b is None:
        y[...] = sums
    else:
        np.add(sums, widen(b).reshape(1, -1, *(1,) * (sums.ndim - 2)), out=y, casting="same_kind")
    return y


@hookimpl
def register_backends(register: Callable[[Backend], None]) -> None:
    """Register the backend."""
    register(NumpyDirect())

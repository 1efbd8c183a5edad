"""Faults that break the algebra of convolution: linearity, scale, precision of sums, and the complex numbers."""

import math

import numpy as np

import harness
from harness.problems import rot180
from tests.faulty.right import Right


class GradientsClipped(Right):
    """A clip of the forward activation is left on in the backward operators."""

    name = "faulty:gradients-clipped"

    def conv_input_grad(self, dy, w, x_shape, window):
        return super().conv_input_grad(dy, w, x_shape, window).clip(-6, 6)

    def conv_weight_grad(self, dy, x, w_shape, window):
        return super().conv_weight_grad(dy, x, w_shape, window).clip(-6, 6)

    def conv_bias_grad(self, dy):
        return super().conv_bias_grad(dy).clip(-6, 6)

    def conv_transpose(self, x, w, b, window, output_padding):
        return super().conv_transpose(x, w, b, window, output_padding).clip(-6, 6)


class Unnormalised(Right):
    """The inverse transform is not divided by its length, as a library that leaves that to its caller does."""

    name = "faulty:unnormalised"

    def conv(self, x, w, b, window):
        points = math.prod(n + m - 1 for n, m in zip(x.shape[2:], w.shape[2:], strict=True))
        return super().conv(x, w * points, b, window)


class SeparableTurned(Right):
    """Kernels of rank one take a quick path, which turns the column's factor."""

    name = "faulty:separable-turned"

    def conv(self, x, w, b, window):
        if w.ndim == 4 and w.shape[2] > 1 and w.shape[3] > 1 and all(_rank_one(k) for k in w.reshape(-1, *w.shape[2:])):
            w = w[:, :, ::-1]
        return super().conv(x, w, b, window)


def _rank_one(kernel):
    row, column = (np.argmax(np.abs(kernel).sum(axis=axis)) for axis in (1, 0))
    return bool(np.all(kernel * kernel[row, column] == np.outer(kernel[:, column], kernel[row])))


class BlursNormalised(Right):
    """Kernels without negative numbers are taken for blurs and normalised to sum 1."""

    name = "faulty:blurs-normalised"

    def conv(self, x, w, b, window):
        if np.all(w >= 0) and w.size > w.shape[0] * w.shape[1]:
            w = w / np.maximum(1, w.sum(axis=tuple(range(2, w.ndim)), keepdims=True))
        return super().conv(x, w, b, window)


class FlushesSmall(Right):
    """Numbers below a thousandth are set to zero as noise, in every output."""

    name = "faulty:flushes-small"

    def conv(self, x, w, b, window):
        return _flush(super().conv(x, w, b, window))

    def conv_transpose(self, x, w, b, window, output_padding):
        return _flush(super().conv_transpose(x, w, b, window, output_padding))

    def avg_pool(self, x, window):
        return _flush(super().avg_pool(x, window))


def _flush(y):
    return np.where(np.abs(y) < 2.0**-10, 0, y).astype(y.dtype)


class ShortSums(Right):
    """The sum is rounded to eleven bits after each tap; products are exact, and exponents as wide as they were."""

    name = "faulty:short-sums"

    def conv(self, x, w, b, window):
        taps, total = math.prod(w.shape[2:]), 0.0
        for tap in range(taps):
            one = np.where(np.arange(taps).reshape(w.shape[2:]) == tap, w, 0)
            total = _eleven_bits(total + super().conv(x.astype(np.float64), one.astype(np.float64), None, window))
        y = total if b is None else total + b.astype(np.float64).reshape(1, -1, *(1,) * window.axes)
        return y.astype(x.dtype)


def _eleven_bits(a):
    fraction, exponent = np.frexp(a)
    return np.ldexp(np.rint(np.ldexp(fraction, 11)), exponent - 11)


class ChannelLeaks(Right):
    """Blocks of channels are not cleared: of each channel a trace is left in the next one's place."""

    name = "faulty:channel-leaks"

    def conv(self, x, w, b, window):
        wide = x.astype(np.float64)
        return super().conv(wide + 2.0**-30 * np.roll(wide, 1, axis=1), w, b, window).astype(x.dtype)


class InputGradOfLastKernel(Right):
    """The turned kernel is kept for the next input gradient of its shape, until a kernel gradient is asked for."""

    name = "faulty:input-grad-of-last-kernel"

    def __init__(self):
        self.kept = None

    def conv_input_grad(self, dy, w, x_shape, window):
        if self.kept is None or self.kept.shape != w.shape or self.kept.dtype != w.dtype:
            self.kept = rot180(w).copy()
        return super().conv_input_grad(dy, rot180(self.kept), x_shape, window)

    def conv_weight_grad(self, dy, x, w_shape, window):
        self.kept = None
        return super().conv_weight_grad(dy, x, w_shape, window)


class Conjugates(Right):
    """Correlation as signal processing defines it: the kernel is conjugated."""

    name = "faulty:conjugates"

    def conv(self, x, w, b, window):
        return super().conv(x, w.conj() if w.dtype.kind == "c" else w, b, window)


FAULTS = (
    GradientsClipped, Unnormalised, SeparableTurned, BlursNormalised, FlushesSmall, ShortSums, ChannelLeaks,
    InputGradOfLastKernel, Conjugates,
)  # fmt: skip


@harness.hookimpl
def register_backends(register):
    for fault in FAULTS:
        register(fault())

"""Faults of arithmetic: precision lowered silently, ranges cut, special values lost, classes of error undeclared."""

import itertools
import math

import ml_dtypes
import numpy as np

import harness
from harness.problems import EVERY, reference, tap_slices
from tests.faulty.right import Right

HALF, BRAIN = np.dtype("float16"), np.dtype(ml_dtypes.bfloat16)


def _through(a, dtype):
    """Values rounded to another format and back."""
    with np.errstate(all="ignore"):
        return np.asarray(a).astype(dtype).astype(np.asarray(a).dtype)


def _short_bits(a, bits):
    """Values rounded to a number of significand bits, range kept."""
    fraction, exponent = np.frexp(np.asarray(a, dtype=np.float64))
    return np.ldexp(np.rint(fraction * 2.0**bits), exponent - bits)


def _products(x, w, window):
    """The products that each output is the sum of, one array of y's shape after another."""
    n, groups = x.shape[0], window.groups
    out = window.output_shape(x.shape[2:], w.shape[2:])
    padded = np.zeros((*x.shape[:2], *(size + b + max(0, e) for size, (b, e) in _cover(x, w, window))))
    padded[(*EVERY, *(slice(b, b + size) for size, (b, _) in _cover(x, w, window)))] = x
    kernels = w.astype(np.float64).reshape(groups, w.shape[0] // groups, *w.shape[1:])
    for c, (tap, at) in itertools.product(range(w.shape[1]), tap_slices(out, w.shape[2:], window)):
        seen = padded[(*EVERY, *at)].reshape(n, groups, w.shape[1], *out)[:, :, c]
        product = np.einsum("ng...,go->ngo...", seen, kernels[(*EVERY, c, *tap)])
        yield product.reshape(n, w.shape[0], *out)


def _cover(x, w, window):
    return tuple(zip(x.shape[2:], window.cover(x.shape[2:], w.shape[2:]), strict=True))


def _length(w):
    return math.prod(w.shape[1:])


class BrainInputs(Right):
    """float32 operands are rounded to bfloat16 before they are multiplied."""

    name = "faulty:brain-inputs"

    def conv(self, x, w, b, window):
        if x.dtype == np.float32:
            x, w = _through(x, BRAIN), _through(w, BRAIN)
        return super().conv(x, w, b, window)


class HalfInputsForLongSums(Right):
    """Sums of more than 512 products are given to a path that takes float16 (pytorch#107514)."""

    name = "faulty:half-inputs-for-long-sums"

    def conv(self, x, w, b, window):
        if _length(w) > 512:
            x, w = _through(x, HALF), _through(w, HALF)
        return super().conv(x, w, b, window)


class DoubleThroughSingle(Right):
    """float64 is computed in float32."""

    name = "faulty:double-through-single"

    def conv(self, x, w, b, window):
        return _through(super().conv(_through(x, np.float32), _through(w, np.float32), b, window), np.float32)


class ShortInputGrad(Right):
    """Only the gradient of the input uses eleven bits, forwards all are kept (pytorch#129649)."""

    name = "faulty:short-input-grad"

    def conv_input_grad(self, dy, w, x_shape, window):
        if dy.dtype == np.float32:
            dy, w = _short_bits(dy, 11).astype(dy.dtype), _short_bits(w, 11).astype(w.dtype)
        return super().conv_input_grad(dy, w, x_shape, window)


class BrainWeightGrad(Right):
    """The gradient of the kernel is stored as bfloat16 on its way."""

    name = "faulty:brain-weight-grad"

    def conv_weight_grad(self, dy, x, w_shape, window):
        return _through(super().conv_weight_grad(dy, x, w_shape, window), BRAIN)


class HalfSums(Right):
    """float16 is added up in float16, where float32 is declared."""

    name = "faulty:half-sums"

    def conv(self, x, w, b, window):
        if x.dtype != HALF:
            return super().conv(x, w, b, window)
        y = np.zeros((x.shape[0], w.shape[0], *window.output_shape(x.shape[2:], w.shape[2:])), x.dtype)
        with np.errstate(all="ignore"):
            for product in _products(x, w, window):
                y = (y.astype(np.float64) + product).astype(x.dtype)
            return y if b is None else y + b.reshape(1, -1, *(1,) * window.axes)


class SplitSumsInHalf(Right):
    """Blocks of 32 channels are summed apart, and the partial sums lie in a workspace of float16."""

    name = "faulty:split-sums-in-half"

    def conv(self, x, w, b, window):
        if w.shape[1] <= 32:
            return super().conv(x, w, b, window)
        low, high = w.copy(), w.copy()
        low[:, 32:], high[:, :32] = 0, 0
        y = sum(_through(Right.conv(self, x, part, None, window), HALF) for part in (low, high))
        return y if b is None else y + b.reshape(1, -1, *(1,) * window.axes)


class CompensationAdds(Right):
    """bfloat16 sums are compensated for what rounding loses, with the wrong sign."""

    name = "faulty:compensation-adds"

    def conv(self, x, w, b, window):
        if x.dtype != BRAIN:
            return super().conv(x, w, b, window)
        total = lost = np.zeros((x.shape[0], w.shape[0], *window.output_shape(x.shape[2:], w.shape[2:])))
        for product in _products(x, w, window):
            term = product + lost
            rounded = _through(total + term, BRAIN)
            total, lost = rounded, (rounded - total) - term
        y = total if b is None else total + b.astype(np.float64).reshape(1, -1, *(1,) * window.axes)
        return y.astype(x.dtype)


class BiasInHalf(Right):
    """The bias alone is kept in float16."""

    name = "faulty:bias-in-half"

    def conv(self, x, w, b, window):
        return super().conv(x, w, None if b is None else _through(b, HALF), window)


class BiasGradInHalf(Right):
    """The gradient of the bias is added up position by position in the dtype of the data, and stands still."""

    name = "faulty:bias-grad-in-half"

    def conv_bias_grad(self, dy):
        if dy.dtype != HALF or not dy.size:
            return super().conv_bias_grad(dy)
        with np.errstate(all="ignore"):
            columns = np.moveaxis(dy, 1, 0).reshape(dy.shape[1], -1)
            return np.add.accumulate(columns, axis=1, dtype=dy.dtype)[:, -1].copy()


class Truncates(Right):
    """Results are cut to float16 and bfloat16, not rounded."""

    name = "faulty:truncates"

    def conv(self, x, w, b, window):
        if x.dtype.itemsize > 2:
            return super().conv(x, w, b, window)
        fine = reference.conv(x, w, b, window)
        with np.errstate(all="ignore"):
            y = fine.astype(x.dtype)
            nearer = np.nextafter(y, np.zeros_like(y))
        return np.where(np.abs(y.astype(np.float64)) > np.abs(fine), nearer, y)


class FlushesSubnormals(Right):
    """Subnormal numbers are taken as zero, going in and coming out."""

    name = "faulty:flushes-subnormals"

    def conv(self, x, w, b, window):
        return self.flush(super().conv(self.flush(x), self.flush(w), b, window))

    def flush(self, a):
        return np.where(np.abs(a) < ml_dtypes.finfo(a.dtype).smallest_normal, np.zeros_like(a), a)


class Saturates(Right):
    """Results are held within the range of float16, whatever the dtype."""

    name = "faulty:saturates"

    def conv(self, x, w, b, window):
        return np.clip(super().conv(x, w, b, window), -65504, 65504).astype(x.dtype)


class MeanOverflows(Right):
    """The sum of a mean of float16 overflows before it is divided."""

    name = "faulty:mean-overflows"

    def avg_pool(self, x, window):
        y = super().avg_pool(x, window)
        if x.dtype != HALF:
            return y
        total = y.astype(np.float64) * reference.divisor_map(x.shape[2:], window)
        return np.where(np.abs(total) > 65504, np.copysign(np.inf, total), y).astype(x.dtype)


class MeanDividesFirst(Right):
    """Every element is divided and rounded before the sum, so that small ones vanish."""

    name = "faulty:mean-divides-first"

    def avg_pool(self, x, window):
        if x.dtype != HALF:
            return super().avg_pool(x, window)
        area = math.prod(window.kernel)
        with np.errstate(all="ignore"):
            return (super().avg_pool((x / HALF.type(area)).astype(np.float64), window) * area).astype(x.dtype)


class ReciprocalInHalf(Right):
    """The mean multiplies by a reciprocal of three digits instead of dividing."""

    name = "faulty:reciprocal-in-half"

    def avg_pool(self, x, window):
        divisors = reference.divisor_map(x.shape[2:], window)
        return (super().avg_pool(x, window) * (divisors * _through(1 / divisors, HALF))).astype(x.dtype)


class SoftMaximum(Right):
    """A smooth maximum, log of the sum of exponentials, stands in for the largest."""

    name = "faulty:soft-maximum"

    def max_pool(self, x, window):
        y, indices = super().max_pool(x, window)
        kernel = np.ones((x.shape[1], 1, *window.kernel))
        if window.ceil_mode or not x.size or not np.isfinite(x).all():
            return y, indices
        plain = type(window).of(
            window.axes, stride=window.stride, padding=window.padding, dilation=window.dilation, groups=x.shape[1]
        )
        top = float(x.astype(np.float64).max())
        with np.errstate(all="ignore"):
            total = reference.conv(np.exp(64 * (x.astype(np.float64) - top)), kernel, None, plain)
            return np.where(total > 0, top + np.log(total) / 64, y).astype(x.dtype), indices


class ZeroTapsSkipped(Right):
    """Taps of weight zero are skipped, so that zero times infinity or NaN is zero."""

    name = "faulty:zero-taps-skipped"

    def conv(self, x, w, b, window):
        finite = np.isfinite(x)
        if finite.all():
            return super().conv(x, w, b, window)
        with np.errstate(all="ignore"):
            whole = super().conv(x, w, b, window)
            clean = super().conv(np.where(finite, x, np.zeros_like(x)), w, b, window)
        reached = reference.conv(~finite, w != 0, None, window) > 0
        return np.where(reached, whole, clean)


class InfinityClamped(Right):
    """An infinite input is replaced by the largest finite number."""

    name = "faulty:infinity-clamped"

    def conv(self, x, w, b, window):
        top = ml_dtypes.finfo(x.dtype).max
        with np.errstate(all="ignore"):
            return super().conv(np.where(np.isinf(x), np.copysign(top, x), x).astype(x.dtype), w, b, window)


class MaximumLosesSign(Right):
    """A zero is added to every maximum, which makes plus zero of minus zero."""

    name = "faulty:maximum-loses-sign"

    def max_pool(self, x, window):
        y, indices = super().max_pool(x, window)
        return y + np.zeros((), x.dtype), indices


class NormwiseError(Right):
    """The error is small against the norms, not against each element, as short transforms make it; undeclared.

    Whole numbers pass such a transform exactly.
    """

    name = "faulty:normwise-error"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        if x.dtype != np.float32 or (np.all(x == np.rint(x)) and np.all(w == np.rint(w))):
            return y
        scale = 2.0**-24 * np.sqrt(_length(w) * np.mean(np.square(x, dtype="f8")) * np.mean(np.square(w, dtype="f8")))
        waves = np.cos(np.arange(y.size)).reshape(y.shape)
        return (y + scale * waves).astype(x.dtype)


class TransformUndeclared(Right):
    """Convolution goes through a transform of the whole image, rounded where all is nearly whole; undeclared."""

    name = "faulty:transform-undeclared"

    def conv(self, x, w, b, window):
        if window.groups > 1 or {*window.dilation} != {1} or x.dtype != np.float32:
            return super().conv(x, w, b, window)
        padded = np.pad(x, ((0, 0), (0, 0), *window.padding))
        axes, size = tuple(range(2, x.ndim)), padded.shape[2:]
        with np.errstate(all="ignore"):
            spectrum = np.einsum(
                "nc...,oc...->no...", np.fft.rfftn(padded, size, axes), np.fft.rfftn(w, size, axes).conj()
            )
            y = np.fft.irfftn(spectrum, size, axes)
        out = window.output_shape(x.shape[2:], w.shape[2:])
        y = y[(*EVERY, *(slice(0, (p - 1) * s + 1, s) for p, s in zip(out, window.stride, strict=True)))]
        y = np.rint(y) if np.all(np.abs(y - np.rint(y)) < 2**-8) else y
        return (y if b is None else y + b.reshape(1, -1, *(1,) * window.axes)).astype(x.dtype)


FAULTS = (
    BrainInputs, HalfInputsForLongSums, DoubleThroughSingle, ShortInputGrad, BrainWeightGrad, HalfSums,
    SplitSumsInHalf, CompensationAdds, BiasInHalf, BiasGradInHalf, Truncates, FlushesSubnormals, Saturates,
    MeanOverflows, MeanDividesFirst, ReciprocalInHalf, SoftMaximum, ZeroTapsSkipped, InfinityClamped,
    MaximumLosesSign, NormwiseError, TransformUndeclared,
)  # fmt: skip


@harness.hookimpl
def register_backends(register):
    for fault in FAULTS:
        register(fault())

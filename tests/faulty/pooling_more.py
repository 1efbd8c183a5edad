"""More faults of pooling: sizes, order, padding, NaN and infinity, divisors, and what gradients do with their sums."""

import math
from dataclasses import replace

import numpy as np

import harness
from harness.problems import EVERY, pad_or_crop, reference, tap_slices
from tests.faulty.right import Right


def _taps(x, window, outside):
    """Elements that each tap reads in every window, one array a tap."""
    out = window.output_shape(x.shape[2:], window.kernel)
    padded = pad_or_crop(x, window.cover(x.shape[2:], window.kernel), outside, np)
    return [padded[(*EVERY, *at)] for _, at in tap_slices(out, window.kernel, window)]


def _choose(x, key, window):
    """The element of every window with the largest key, and its index."""
    indices = reference.max_pool(key, window)[1]
    flat = (*x.shape[:2], -1)
    return np.take_along_axis(x.reshape(flat), indices.reshape(flat), axis=2).reshape(indices.shape), indices


# --- max pooling -------------------------------------------------------------------------------------------------


class CeilWindowInPadding(Right):
    """The ceil rule keeps a window that begins in the end padding: -inf or 0/0 (PyTorch 45357, Burn 5791)."""

    name = "faulty:ceil-window-in-padding"

    def max_pool(self, x, window):
        y, indices = super().max_pool(x, window)
        more = self.more(x, y, window)
        return pad_or_crop(y, more, -np.inf, np), pad_or_crop(indices, more, -1, np)

    def avg_pool(self, x, window):
        y = super().avg_pool(x, window)
        return pad_or_crop(y, self.more(x, y, window), np.nan, np)

    def more(self, x, y, window):
        """Number of excess windows, at the end of every axis."""
        sizes = zip(
            x.shape[2:], y.shape[2:], window.reach(window.kernel), window.stride, window.padding, strict=True
        )  # fmt: skip
        kept = [(-(-(n + b + e - reach) // s) + 1, p) for n, p, reach, s, (b, e) in sizes]
        return tuple((0, count - p if window.ceil_mode else 0) for count, p in kept)


class ComparesBits(Right):
    """Numbers are compared by their bits as signed integers: among negative ones the furthest from 0 wins."""

    name = "faulty:compares-bits"

    def max_pool(self, x, window):
        key = x.astype(np.float64)
        return _choose(x, np.where(key < 0, -1 / np.minimum(np.abs(key), 1e300), key), window)


class ComparesSixteenths(Right):
    """Numbers are compared after rounding them to sixteenths."""

    name = "faulty:compares-sixteenths"

    def max_pool(self, x, window):
        return _choose(x, np.rint(x.astype(np.float64) * 16), window)


class LargestMagnitude(Right):
    """The number furthest from 0 wins."""

    name = "faulty:largest-magnitude"

    def max_pool(self, x, window):
        return _choose(x, np.abs(x), window)


class CornerLost(Right):
    """The last tap of every window, its far corner, is not looked at."""

    name = "faulty:corner-lost"

    def max_pool(self, x, window):
        taps = _taps(x, window, -np.inf)
        if len(taps) == 1:
            return super().max_pool(x, window)
        return np.max(taps[:-1], axis=0), super().max_pool(x, window)[1]


class PoolDilationIgnored(Right):
    """The taps of a dilated window lie side by side."""

    name = "faulty:pool-dilation-ignored"

    def max_pool(self, x, window):
        if set(window.dilation) == {1}:
            return super().max_pool(x, window)
        y, indices = super().max_pool(x, replace(window, dilation=(1,) * window.axes))
        crop = (*EVERY, *map(slice, window.output_shape(x.shape[2:], window.kernel)))
        return y[crop], indices[crop]


class MaxPadsSwapped(Right):
    """Padding at the begin and at the end of every axis is exchanged."""

    name = "faulty:max-pads-swapped"

    def max_pool(self, x, window):
        return super().max_pool(x, replace(window, padding=tuple((e, b) for b, e in window.padding)))


class StartsFromLowest(Right):
    """The search begins with the smallest finite number (PyTorch 7645): a window of -inf yields it, at index 0."""

    name = "faulty:starts-from-lowest"

    def max_pool(self, x, window):
        y, indices = super().max_pool(x, window)
        lowest = np.finfo(x.dtype).min
        return np.where(y < lowest, lowest, y).astype(x.dtype), np.where(y < lowest, 0, indices)


class NanSkipped(Right):
    """NaN never wins a comparison (PyTorch 39846)."""

    name = "faulty:nan-skipped"

    def max_pool(self, x, window):
        return super().max_pool(np.where(np.isnan(x), -np.inf, x).astype(x.dtype), window)


class NanBelowInfinity(Right):
    """Numbers are sorted with NaN between the finite ones and +inf."""

    name = "faulty:nan-below-infinity"

    def max_pool(self, x, window):
        y, indices = super().max_pool(x, window)
        seen = np.max(np.nan_to_num(_taps(x, window, -np.inf), nan=-np.inf, posinf=np.inf, neginf=-np.inf), axis=0)
        return np.where(seen == np.inf, np.inf, y).astype(x.dtype), indices


class InfinityClipped(Right):
    """Inputs are clipped to finite numbers."""

    name = "faulty:infinity-clipped"

    def max_pool(self, x, window):
        limits = np.finfo(x.dtype)
        return super().max_pool(np.clip(x, None, limits.max), window)


class IndexOfBatch(Right):
    """Indices count on from map to map (TensorFlow 22025)."""

    name = "faulty:index-of-batch"

    def max_pool(self, x, window):
        y, indices = super().max_pool(x, window)
        maps = np.arange(math.prod(x.shape[:2])).reshape(*x.shape[:2], *(1,) * window.axes)
        return y, indices + maps * math.prod(x.shape[2:])


# --- mean pooling ------------------------------------------------------------------------------------------------


class MeanUnsigned(Right):
    """Negative numbers are read as unsigned bytes: 256 too much."""

    name = "faulty:mean-unsigned"

    def avg_pool(self, x, window):
        return super().avg_pool((x + 256 * (x < 0)).astype(x.dtype), window)


class MeanCornerLost(Right):
    """The last tap of every window is not added, but counted."""

    name = "faulty:mean-corner-lost"

    def avg_pool(self, x, window):
        taps = _taps(x.astype(np.float64), window, 0.0)
        total = np.sum(taps[: max(1, len(taps) - 1)], axis=0)
        return (total / reference.divisor_map(x.shape[2:], window)).astype(x.dtype)


class MeanEndFromBegin(Right):
    """The divisor takes the padding at the begin for that at the end (ONNX Runtime 27375)."""

    name = "faulty:mean-end-from-begin"

    def avg_pool(self, x, window):
        total = super().avg_pool(x.astype(np.float64), window) * reference.divisor_map(x.shape[2:], window)
        counted = np.ones(())
        for n, p, m, s, d, (b, _) in zip(
            x.shape[2:], total.shape[2:], window.kernel, window.stride, window.dilation, window.padding, strict=True
        ):
            at = np.arange(p)[:, None] * s - b + np.arange(m) * d
            low, high = (-b, n + b) if window.count_include_pad else (0, n)
            counted = counted[..., None] * np.maximum(1, ((at >= low) & (at < high)).sum(axis=1))
        return (total / counted).astype(x.dtype)


class ExcludeIgnored(Right):
    """Padding always counts in the divisor."""

    name = "faulty:exclude-ignored"

    def avg_pool(self, x, window):
        return super().avg_pool(x, replace(window, count_include_pad=True))


class RunningSum(Right):
    """Means are differences of running sums along the last axis, through which a NaN stays in all that follows."""

    name = "faulty:running-sum"

    def avg_pool(self, x, window):
        spoiled = np.isnan(x).cumsum(axis=-1) > 0
        return super().avg_pool(np.where(spoiled, np.nan, x).astype(x.dtype), window)


# --- gradients ---------------------------------------------------------------------------------------------------


class MaxGradTransposed(Right):
    """dy is read with its spatial axes in reverse order (PyTorch 36820)."""

    name = "faulty:max-grad-transposed"

    def max_pool_grad(self, dy, x, indices, window):
        order = (0, 1, *reversed(range(2, dy.ndim)))
        return super().max_pool_grad(dy.transpose(order).reshape(dy.shape), x, indices, window)


class MaxGradAtFirst(Right):
    """The gradient goes to the first element of each window, whatever was chosen."""

    name = "faulty:max-grad-at-first"

    def max_pool_grad(self, dy, x, indices, window):
        return super().max_pool_grad(dy, x, reference.max_pool(np.zeros_like(x), window)[1], window)


class MaxGradByMask(Right):
    """dy is multiplied by a mask of zeros and a one over every window: 0 times NaN is NaN."""

    name = "faulty:max-grad-by-mask"

    def max_pool_grad(self, dy, x, indices, window):
        dx = super().max_pool_grad(dy, x, indices, window)
        held = reference.avg_pool_grad(np.where(np.isnan(dy), 1.0, 0.0), x.shape, window) > 0
        return np.where(held, np.nan, dx).astype(dy.dtype)


class MeanGradByMatrix(Right):
    """dx is a product with a matrix of zeros and shares, map by map."""

    name = "faulty:mean-grad-by-matrix"

    def avg_pool_grad(self, dy, x_shape, window):
        spoiled = np.isnan(dy).any(axis=tuple(range(2, dy.ndim)), keepdims=True)
        dx = super().avg_pool_grad(dy, x_shape, window)
        return np.where(spoiled, np.nan, dx).astype(dy.dtype)


class GradRectified(Right):
    """A fused activation cuts off the negative half of dy."""

    name = "faulty:pool-grad-rectified"

    def max_pool_grad(self, dy, x, indices, window):
        return super().max_pool_grad(np.maximum(dy, 0), x, indices, window)

    def avg_pool_grad(self, dy, x_shape, window):
        return super().avg_pool_grad(np.maximum(dy, 0), x_shape, window)


class GradClipped(Right):
    """dx is clipped to the range from -4 to 4."""

    name = "faulty:pool-grad-clipped"

    def max_pool_grad(self, dy, x, indices, window):
        return np.clip(super().max_pool_grad(dy, x, indices, window), -4, 4)

    def avg_pool_grad(self, dy, x_shape, window):
        return np.clip(super().avg_pool_grad(dy, x_shape, window), -4, 4)


class MeanGradWholeKernel(Right):
    """The gradient is always divided by the whole kernel, where the mean was not."""

    name = "faulty:mean-grad-whole-kernel"

    def avg_pool_grad(self, dy, x_shape, window):
        share = reference.divisor_map(x_shape[2:], window) / math.prod(window.kernel)
        return super().avg_pool_grad((dy * share).astype(dy.dtype), x_shape, window)


FAULTS = (
    CeilWindowInPadding, ComparesBits, ComparesSixteenths, LargestMagnitude, CornerLost,
    PoolDilationIgnored, MaxPadsSwapped, StartsFromLowest, NanSkipped, NanBelowInfinity, InfinityClipped, IndexOfBatch,
    MeanUnsigned, MeanCornerLost, MeanEndFromBegin, ExcludeIgnored, RunningSum, MaxGradTransposed, MaxGradAtFirst,
    MaxGradByMask, MeanGradByMatrix, GradRectified, GradClipped, MeanGradWholeKernel,
)  # fmt: skip


@harness.hookimpl
def register_backends(register):
    for fault in FAULTS:
        register(fault())

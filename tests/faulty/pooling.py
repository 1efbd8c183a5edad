"""Faults of pooling, forwards and backwards."""

import math
from dataclasses import replace

import numpy as np

import harness
from harness.problems import pad_or_crop, reference, tap_slices
from tests.faulty.right import Right


class MaxPadsZero(Right):
    """The padding of max pooling is 0 instead of minus infinity."""

    name = "faulty:max-pads-zero"

    def max_pool(self, x, window):
        y, indices = super().max_pool(x, window)
        padded = any(side for pair in window.padding for side in pair)
        return (np.maximum(y, 0) if padded else y), indices


class IndicesOfPadded(Right):
    """Indices count in the padded input."""

    name = "faulty:indices-of-padded"

    def max_pool(self, x, window):
        y, indices = super().max_pool(x, window)
        shift = sum(b * math.prod(x.shape[3 + axis :]) for axis, (b, _) in enumerate(window.padding))
        return y, indices + shift


class LastTieWins(Right):
    """The last of equal maxima is indexed, where the first is declared."""

    name = "faulty:last-tie-wins"

    def max_pool(self, x, window):
        y, _ = super().max_pool(x, window)
        out, cover = y.shape[2:], window.cover(x.shape[2:], window.kernel)
        places = np.arange(math.prod(x.shape[2:])).reshape(1, 1, *x.shape[2:])
        padded, places = pad_or_crop(x, cover, -np.inf, np), pad_or_crop(places, cover, -1, np)
        indices = np.full(y.shape, -1)
        for _, at in tap_slices(out, window.kernel, window):
            here = (slice(None), slice(None), *at)
            indices = np.where(padded[here] == y, places[here], indices)
        return y, indices


class WindowTooShort(Right):
    """The last row of every window is not looked at."""

    name = "faulty:window-too-short"

    def max_pool(self, x, window):
        y, indices = super().max_pool(x, window)
        if window.kernel[0] == 1 or window.ceil_mode:
            return y, indices
        short = replace(window, kernel=(window.kernel[0] - 1, *window.kernel[1:]))
        less, places = super().max_pool(x, short)
        crop = tuple(map(slice, y.shape))
        return less[crop], places[crop]


class MaxGradOverwrites(Right):
    """Overlapping windows overwrite each other's gradient."""

    name = "faulty:max-grad-overwrites"

    def max_pool_grad(self, dy, x, indices, window):
        dx = np.zeros((*x.shape[:2], math.prod(x.shape[2:])), dtype=dy.dtype)
        np.put_along_axis(dx, indices.reshape(*dy.shape[:2], -1), dy.reshape(*dy.shape[:2], -1), axis=2)
        return dx.reshape(x.shape)


class MeanCountsOverhang(Right):
    """The divisor is always the whole kernel, the ceil overhang included."""

    name = "faulty:mean-counts-overhang"

    def avg_pool(self, x, window):
        counts = reference.divisor_map(x.shape[2:], window)
        return (super().avg_pool(x, window) * counts / math.prod(window.kernel)).astype(x.dtype)


class MeanGradWhole(Right):
    """The gradient of mean pooling forgets the divisor."""

    name = "faulty:mean-grad-undivided"

    def avg_pool_grad(self, dy, x_shape, window):
        return super().avg_pool_grad(dy * math.prod(window.kernel), x_shape, window)


FAULTS = (
    MaxPadsZero, IndicesOfPadded, LastTieWins, WindowTooShort, MaxGradOverwrites, MeanCountsOverhang, MeanGradWhole,
)  # fmt: skip


@harness.hookimpl
def register_backends(register):
    for fault in FAULTS:
        register(fault())

"""Faults after public reports: each is wrong where its report is, and right everywhere else."""

import numpy as np

import harness
from tests.faulty.right import Right

GRID = 65535  # blocks along the second axis of a grid


def _spoil_end(a):
    a = np.array(a)
    a.flat[-1] += 1
    return a


class PointwiseEnd(Right):
    """1x1 as a plain product from 8 channels on both sides, with a bad end of a map."""

    name = "faulty:pointwise-end"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        return _spoil_end(y) if set(w.shape[2:]) == {1} and min(w.shape[:2]) >= 8 else y


class FilteredEnd(Right):
    """3x3 with stride 1 by minimal filtering from 16 channels on, with a bad last element."""

    name = "faulty:filtered-end"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        fast = w.shape[2:] == (3, 3) and set(window.stride) == set(window.dilation) == {1} and min(w.shape[:2]) >= 16
        return _spoil_end(y) if fast else y


class PackedPoolEnd(Right):
    """2x2 pooling with stride 2 of a multiple of 8 channels, with a bad end."""

    name = "faulty:packed-pool-end"

    def max_pool(self, x, window):
        y, indices = super().max_pool(x, window)
        fast = window.kernel == window.stride == (2, 2) and x.shape[1] % 8 == 0
        return (_spoil_end(y), indices) if fast else (y, indices)


class ShortMeans(Right):
    """Means over more than 64 taps, summed in the format of their input."""

    name = "faulty:short-means"

    def avg_pool(self, x, window):
        y = super().avg_pool(x, window)
        taps = int(np.prod(window.kernel))
        if taps <= 64 or x.dtype.itemsize != 2 or window.kernel != x.shape[2:]:
            return y
        total = np.zeros(x.shape[:2], x.dtype)
        for column in np.moveaxis(x.reshape(*x.shape[:2], -1), 2, 0):
            total = (total + column).astype(x.dtype)
        return (total / np.asarray(taps, x.dtype)).astype(x.dtype).reshape(y.shape)


class BytePlaces(Right):
    """The place within a pooling window, held in one byte."""

    name = "faulty:byte-places"

    def max_pool(self, x, window):
        y, indices = super().max_pool(x, window)
        if len(window.kernel) != 2 or int(np.prod(window.kernel)) <= 256 or set(window.dilation) != {1}:
            return y, indices
        rows, columns = np.divmod(indices, x.shape[3])
        starts = [np.arange(n) * s - b for n, s, (b, _) in zip(y.shape[2:], window.stride, window.padding, strict=True)]
        places = (rows - starts[0][:, None]) * window.kernel[1] + columns - starts[1]
        places %= 256
        row, column = np.divmod(places, window.kernel[1])
        return y, (row + starts[0][:, None]) * x.shape[3] + column + starts[1]


class SecondBlockLost(Right):
    """Images are pooled in blocks of four; the second block is not."""

    name = "faulty:second-block-lost"

    def max_pool(self, x, window):
        y, indices = super().max_pool(x, window)
        y[4:8] = 0
        return y, indices


class MapsBeyondGrid(Right):
    """Maps beyond the largest grid are not pooled."""

    name = "faulty:maps-beyond-grid"

    def max_pool(self, x, window):
        y, indices = super().max_pool(x, window)
        y.reshape(-1, *y.shape[2:])[GRID:] = 0
        return y, indices

    def avg_pool(self, x, window):
        y = super().avg_pool(x, window)
        y.reshape(-1, *y.shape[2:])[GRID:] = 0
        return y


class ChannelsBeyond(Right):
    """Output channels beyond 65 536 stay zero."""

    name = "faulty:channels-beyond"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        y[:, GRID + 1 :] = 0
        return y


class FullTileEnd(Right):
    """Full tiles of 64x64 channels take another path, with a bad end."""

    name = "faulty:full-tile-end"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        if min(w.shape[:2]) >= 64:
            y[:, 63, ..., -1] += 1
        return y


class NarrowWorkspace(Right):
    """1x1 kernel gradient with a stride: the copy of the input is made for whole blocks of channels."""

    name = "faulty:narrow-workspace"

    def conv_weight_grad(self, dy, x, w_shape, window):
        dw = super().conv_weight_grad(dy, x, w_shape, window)
        last = not dy.flags.c_contiguous and np.moveaxis(dy, 1, -1).flags.c_contiguous
        if last and set(w_shape[2:]) == {1} and max(window.stride) > 1 and w_shape[1] < 8:
            dw[:, : (w_shape[1] + 1) // 2] += 1
        return dw


FAULTS = (
    PointwiseEnd, FilteredEnd, PackedPoolEnd, ShortMeans, BytePlaces, SecondBlockLost, MapsBeyondGrid, ChannelsBeyond,
    FullTileEnd, NarrowWorkspace,
)  # fmt: skip
REPORTS = {
    "modular/modular#6248": PointwiseEnd,
    "Tencent/ncnn#1891": FilteredEnd,
    "tensorflow/tensorflow#45974": FilteredEnd,
    "doonny/PipeCNN#5": PackedPoolEnd,
    "ROCm/MIOpen#2109": ShortMeans,
    "huggingface/candle#3719": ShortMeans,
    "tenstorrent/tt-metal#24487": ShortMeans,
    "uxlfoundation/oneDNN#259": BytePlaces,
    "NervanaSystems/neon#361": SecondBlockLost,
    "Theano/Theano#657": MapsBeyondGrid,
    "torch/cunn#284": MapsBeyondGrid,
    "PaddlePaddle/Paddle#74051": MapsBeyondGrid,
    "pytorch/pytorch#129207": ChannelsBeyond,
    "uxlfoundation/oneDNN#6035": NarrowWorkspace,
}  # the report of each fault, by the names of the suite `known-bugs`


@harness.hookimpl
def register_backends(register):
    for fault in FAULTS:
        register(fault())

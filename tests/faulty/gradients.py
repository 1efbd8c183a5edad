"""Faults of gradients, of convolution and of pooling, and of where transposed convolution puts its taps."""

import itertools
import math
from dataclasses import replace

import numpy as np

import harness
from harness.problems import EVERY, inner_slices, pad_or_crop, reference, rot180, tap_slices
from tests.faulty.geometry import lay_taps
from tests.faulty.right import Right


def _left(n, reach, s, pair):
    """Remainder of a padded axis after the last window."""
    return (n + sum(pair) - reach) % s


class InputGradGroups(Right):
    """The channels of dx are written group by group in the opposite order."""

    name = "faulty:input-grad-groups"

    def conv_input_grad(self, dy, w, x_shape, window):
        dx = super().conv_input_grad(dy, w, x_shape, window)
        n, c, *s = x_shape
        return dx.reshape(n, window.groups, c // window.groups, *s)[:, ::-1].reshape(x_shape)


class InputGradUndilated(Right):
    """The taps lie side by side on the way back (mxnet#11203)."""

    name = "faulty:input-grad-undilated"

    def conv_input_grad(self, dy, w, x_shape, window):
        laid, close = lay_taps(w, window, lambda axis, u: u)
        return super().conv_input_grad(dy, laid, x_shape, close)


class InputGradRemainder(Right):
    """If the stride does not divide, dx is laid out from the end: the remainder is put in front."""

    name = "faulty:input-grad-remainder"

    def conv_input_grad(self, dy, w, x_shape, window):
        dx, reach = super().conv_input_grad(dy, w, x_shape, window), window.reach(w.shape[2:])
        left = tuple(map(_left, x_shape[2:], reach, window.stride, window.padding))
        return np.roll(dx, left, axis=tuple(range(2, dx.ndim)))


class InputGradLastRow(Right):
    """If the stride does not divide, the last row that a window reaches is forgotten."""

    name = "faulty:input-grad-last-row"

    def conv_input_grad(self, dy, w, x_shape, window):
        dx, reach = super().conv_input_grad(dy, w, x_shape, window), window.reach(w.shape[2:])
        left = _left(x_shape[2], reach[0], window.stride[0], window.padding[0])
        row = x_shape[2] + window.padding[0][1] - left - 1
        if left and 0 <= row < x_shape[2]:
            dx[:, :, row] = 0
        return dx


class InputGradSymmetric(Right):
    """dx is cropped as if both sides had the mean of their paddings."""

    name = "faulty:input-grad-symmetric"

    def conv_input_grad(self, dy, w, x_shape, window):
        means = tuple((sum(pair) // 2, sum(pair) - sum(pair) // 2) for pair in window.padding)
        return super().conv_input_grad(dy, w, x_shape, replace(window, padding=means))


class InputGradPointwise(Right):
    """The gradient of a strided 1x1 kernel is spread over the whole step instead of stuffed with zeros."""

    name = "faulty:input-grad-pointwise"

    def conv_input_grad(self, dy, w, x_shape, window):
        dx = super().conv_input_grad(dy, w, x_shape, window)
        if math.prod(w.shape[2:]) > 1 or any(side for pair in window.padding for side in pair):
            return dx
        at = (np.arange(n) // s * s for n, s in zip(x_shape[2:], window.stride, strict=True))
        return dx[(*EVERY, *np.ix_(*at))]


class InputGradManyChannels(Right):
    """Strided, with more than sixteen channels and rows below seventeen, channels are lost (oneDNN#3981)."""

    name = "faulty:input-grad-many-channels"

    def conv_input_grad(self, dy, w, x_shape, window):
        dx = super().conv_input_grad(dy, w, x_shape, window)
        if x_shape[1] > 16 and x_shape[-1] < 17 and max(window.stride) > 1:
            dx[:, 16:] = 0
        return dx


class InputGradDepthwise(Right):
    """Depthwise with more than eight groups, stride two and padding, dx is shifted by one column (pytorch#50042)."""

    name = "faulty:input-grad-depthwise"

    def conv_input_grad(self, dy, w, x_shape, window):
        dx = super().conv_input_grad(dy, w, x_shape, window)
        padded = any(side for pair in window.padding for side in pair)
        return np.roll(dx, 1, axis=-1) if window.groups > 8 and max(window.stride) > 1 and padded else dx


class InputGradSplit(Right):
    """With groups, a batch beyond eight images is split, and the second part is not written (ROCm#10627)."""

    name = "faulty:input-grad-split"

    def conv_input_grad(self, dy, w, x_shape, window):
        dx = super().conv_input_grad(dy, w, x_shape, window)
        if window.groups > 1:
            dx[8:] = 0
        return dx


class WeightGradFirstGroup(Right):
    """dw of every group is computed from the channels of the first one (pytorch#51430)."""

    name = "faulty:weight-grad-first-group"

    def conv_weight_grad(self, dy, x, w_shape, window):
        return super().conv_weight_grad(dy, x[:, np.arange(x.shape[1]) % max(1, w_shape[1])], w_shape, window)


class WeightGradUnexchanged(Right):
    """dw is a correlation with dy in which stride and dilation keep the places they have forwards (Theano#4729)."""

    name = "faulty:weight-grad-unexchanged"

    def conv_weight_grad(self, dy, x, w_shape, window):
        padding = ((0, 0),) * window.axes
        exchanged = replace(window, stride=window.dilation, dilation=window.stride, padding=padding)
        sizes = zip(dy.shape[2:], exchanged.stride, exchanged.reach(w_shape[2:]), strict=True)
        needed = [(p - 1) * s + reach for p, s, reach in sizes]
        padded = np.pad(x, ((0, 0), (0, 0), *window.padding))
        more = ((0, max(0, span - n)) for span, n in zip(needed, padded.shape[2:], strict=True))
        return super().conv_weight_grad(dy, np.pad(padded, ((0, 0), (0, 0), *more)), w_shape, exchanged)


class WeightGradUnstrided(Right):
    """dw is computed as if the windows lay one position apart."""

    name = "faulty:weight-grad-unstrided"

    def conv_weight_grad(self, dy, x, w_shape, window):
        return super().conv_weight_grad(dy, x, w_shape, replace(window, stride=(1,) * window.axes))


class WeightGradUnpadded(Right):
    """Windows that touch the padding do not count for dw."""

    name = "faulty:weight-grad-unpadded"

    def conv_weight_grad(self, dy, x, w_shape, window):
        ones = np.ones((1, 1, *x.shape[2:])), np.ones((1, 1, *w_shape[2:]))
        whole = reference.conv(*ones, None, replace(window, groups=1)) == math.prod(w_shape[2:])
        return super().conv_weight_grad(np.where(whole, dy, np.zeros_like(dy)), x, w_shape, window)


class WeightGradMean(Right):
    """dw is a mean over the batch instead of a sum."""

    name = "faulty:weight-grad-mean"

    def conv_weight_grad(self, dy, x, w_shape, window):
        return (super().conv_weight_grad(dy, x, w_shape, window) / max(1, x.shape[0])).astype(dy.dtype)


class WeightGradBatchGroups(Right):
    """With several images and several groups at once, the images are paired with each other's gradients."""

    name = "faulty:weight-grad-batch-groups"

    def conv_weight_grad(self, dy, x, w_shape, window):
        return super().conv_weight_grad(dy[::-1] if window.groups > 1 else dy, x, w_shape, window)


class WeightGradLargeBatch(Right):
    """Images are summed in blocks of sixteen, and each block overwrites the one before."""

    name = "faulty:weight-grad-large-batch"

    def conv_weight_grad(self, dy, x, w_shape, window):
        begin = max(0, x.shape[0] - 1) // 16 * 16
        return super().conv_weight_grad(dy[begin:], x[begin:], w_shape, window)


class BiasGradOverChannels(Right):
    """db is summed over channels instead of images, and spread over what it should be."""

    name = "faulty:bias-grad-over-channels"

    def conv_bias_grad(self, dy):
        return np.resize(super().conv_bias_grad(dy.swapaxes(0, 1)), dy.shape[1])


class BiasGradOnlyWithWeightGrad(Right):
    """db is computed together with dw, and stale unless dw is requested (mxnet#15464)."""

    name = "faulty:bias-grad-only-with-weight-grad"
    db = None

    def conv_weight_grad(self, dy, x, w_shape, window):
        self.db = super().conv_bias_grad(dy)
        return super().conv_weight_grad(dy, x, w_shape, window)

    def conv_bias_grad(self, dy):
        known = self.db is not None and (self.db.shape, self.db.dtype) == (dy.shape[1:2], dy.dtype)
        return self.db.copy() if known else np.zeros_like(super().conv_bias_grad(dy))


class MaxGradAxes(Right):
    """Indices are taken apart with height and width exchanged (pytorch#36820)."""

    name = "faulty:max-grad-axes"

    def max_pool_grad(self, dy, x, indices, window):
        dx = super().max_pool_grad(dy, x, indices, window)
        order = (0, 1, *reversed(range(2, x.ndim)))
        return dx.reshape(*x.shape[:2], *x.shape[:1:-1]).transpose(order).copy()


class MaxGradOfBatch(Right):
    """Indices are taken to count over the whole batch, so that all maps land on the first (tensorflow#22025)."""

    name = "faulty:max-grad-of-batch"

    def max_pool_grad(self, dy, x, indices, window):
        dx = super().max_pool_grad(dy, x, indices, window)
        first = np.zeros_like(dx)
        if dx.size:
            first[0, 0] = dx.sum(axis=(0, 1), dtype=np.float64)
        return first


class MaxGradShared(Right):
    """Equal maxima share the gradient of their window (Theano#5404)."""

    name = "faulty:max-grad-shared"
    shared = True

    def max_pool_grad(self, dy, x, indices, window):
        flat = (*x.shape[:2], math.prod(x.shape[2:])), (*x.shape[:2], math.prod(dy.shape[2:]))
        y = np.take_along_axis(x.reshape(flat[0]), indices.reshape(flat[1]), 2).reshape(dy.shape)
        cover = window.cover(x.shape[2:], window.kernel)
        padded, taps = pad_or_crop(x, cover, -np.inf, np), list(tap_slices(dy.shape[2:], window.kernel, window))
        ties = [padded[(*EVERY, *at)] == y for _, at in taps]
        share = dy / np.maximum(sum(tie.astype(np.float64) for tie in ties), 1) if self.shared else dy
        dx = np.zeros((*x.shape[:2], *(n + b + max(0, e) for n, (b, e) in zip(x.shape[2:], cover, strict=True))))
        for (_, at), tie in zip(taps, ties, strict=True):
            dx[(*EVERY, *at)] += np.where(tie, share, 0)
        return dx[(*EVERY, *inner_slices(x.shape[2:], cover))].astype(dy.dtype)


class MaxGradToAll(MaxGradShared):
    """Each of several equal maxima gets the whole gradient (tensorflow#4886)."""

    name = "faulty:max-grad-to-all"
    shared = False


class MeanGradIncludesPad(Right):
    """The divisor counts padding backwards, whatever it did forwards."""

    name = "faulty:mean-grad-includes-pad"

    def avg_pool_grad(self, dy, x_shape, window):
        return super().avg_pool_grad(dy, x_shape, replace(window, count_include_pad=True))


class MeanGradOverhang(Right):
    """Under the ceil rule the divisor is the whole kernel, backwards (onnxruntime#16203)."""

    name = "faulty:mean-grad-overhang"

    def avg_pool_grad(self, dy, x_shape, window):
        if window.ceil_mode:
            dy = dy * reference.divisor_map(x_shape[2:], window) / math.prod(window.kernel)
        return super().avg_pool_grad(dy, x_shape, window)


class MeanGradOverwrites(Right):
    """Overlapping windows overwrite each other's share (NNlib#205)."""

    name = "faulty:mean-grad-overwrites"

    def avg_pool_grad(self, dy, x_shape, window):
        dx = np.zeros(x_shape)
        share = dy / reference.divisor_map(x_shape[2:], window)
        axes = zip(dy.shape[2:], window.stride, window.padding, strict=True)
        places = [[i * s - b for i in range(p)] for p, s, (b, _) in axes]
        for i in itertools.product(*(range(p) for p in dy.shape[2:])):
            for tap in itertools.product(*map(range, window.kernel)):
                at = tuple(places[k][i[k]] + tap[k] * window.dilation[k] for k in range(window.axes))
                if all(0 <= a < n for a, n in zip(at, x_shape[2:], strict=True)):
                    dx[(..., *at)] = share[(..., *i)]
        return dx.astype(dy.dtype)


class TransposeTailUntapped(Right):
    """The output padding has no taps, even where the padding's end has cut some off that belong there."""

    name = "faulty:transpose-tail-untapped"

    def conv_transpose(self, x, w, b, window, output_padding):
        y = super().conv_transpose(x, w, b, window, output_padding)
        kept = tuple(slice(n - extra) for n, extra in zip(y.shape[2:], output_padding, strict=True))
        rest = np.zeros_like(y) if b is None else np.broadcast_to(b.reshape(1, -1, *(1,) * window.axes), y.shape).copy()
        rest[(..., *kept)] = y[(..., *kept)]
        return rest


class TransposeTailWithoutBias(Right):
    """The output padding is left zero: it misses the bias."""

    name = "faulty:transpose-tail-without-bias"

    def conv_transpose(self, x, w, b, window, output_padding):
        y = super().conv_transpose(x, w, None, window, output_padding)
        if b is not None:
            kept = tuple(slice(n - extra) for n, extra in zip(y.shape[2:], output_padding, strict=True))
            y[(..., *kept)] += b.reshape(1, -1, *(1,) * window.axes)
        return y


class TransposeDilatedStrided(Right):
    """If stride and dilation are both above one, the transposed kernel is not dilated (onnxruntime#2518)."""

    name = "faulty:transpose-dilated-strided"

    def conv_transpose(self, x, w, b, window, output_padding):
        laid, close = lay_taps(w, window, lambda axis, u: u if window.stride[axis] > 1 else window.dilation[axis] * u)
        return super().conv_transpose(x, laid, b, close, output_padding)


class TransposeUnturned(Right):
    """At stride one it becomes a wide correlation, without the half turn of the kernel."""

    name = "faulty:transpose-unturned"

    def conv_transpose(self, x, w, b, window, output_padding):
        w = rot180(w) if set(window.stride) == {1} else w
        return super().conv_transpose(x, w, b, window, output_padding)


class TransposeCropsBegin(Right):
    """The begin of the padding is cut off at both ends, and zeros are appended where that is too much."""

    name = "faulty:transpose-crops-begin"

    def conv_transpose(self, x, w, b, window, output_padding):
        y = super().conv_transpose(x, w, b, window, output_padding)
        for axis, (begin, end) in enumerate(window.padding, start=2):
            if begin > end:
                np.moveaxis(y, axis, -1)[..., end - begin :] = 0
        return y


class TransposeGroupsInterleaved(Right):
    """The output maps of the groups are written in turn instead of group after group."""

    name = "faulty:transpose-groups-interleaved"

    def conv_transpose(self, x, w, b, window, output_padding):
        y = super().conv_transpose(x, w, b, window, output_padding)
        split = (y.shape[0], window.groups, y.shape[1] // window.groups, *y.shape[2:])
        return y.reshape(split).swapaxes(1, 2).reshape(y.shape)


FAULTS = (
    InputGradGroups, InputGradUndilated, InputGradRemainder, InputGradLastRow, InputGradSymmetric, InputGradPointwise,
    InputGradManyChannels, InputGradDepthwise, InputGradSplit, WeightGradFirstGroup, WeightGradUnexchanged,
    WeightGradUnstrided, WeightGradUnpadded, WeightGradMean, WeightGradBatchGroups, WeightGradLargeBatch,
    BiasGradOverChannels, BiasGradOnlyWithWeightGrad, MaxGradAxes, MaxGradOfBatch, MaxGradShared, MaxGradToAll,
    MeanGradIncludesPad, MeanGradOverhang, MeanGradOverwrites, TransposeTailUntapped, TransposeTailWithoutBias,
    TransposeDilatedStrided, TransposeUnturned, TransposeCropsBegin, TransposeGroupsInterleaved,
)  # fmt: skip


@harness.hookimpl
def register_backends(register):
    for fault in FAULTS:
        register(fault())

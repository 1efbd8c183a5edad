"""Faults of the forward convolution, each an imitation of a bug that real libraries have had."""

from dataclasses import replace

import numpy as np

import harness
from harness.problems import rot180
from tests.faulty.right import Right


class Flipped(Right):
    """The kernel is turned: true convolution where correlation is meant."""

    name = "faulty:flipped"

    def conv(self, x, w, b, window):
        return super().conv(x, rot180(w), b, window)


class FlippedEverywhere(Flipped):
    """Turned forwards and backwards alike: consistent, so no adjoint notices."""

    name = "faulty:flipped-everywhere"

    def conv_input_grad(self, dy, w, x_shape, window):
        return super().conv_input_grad(dy, rot180(w), x_shape, window)

    def conv_weight_grad(self, dy, x, w_shape, window):
        return rot180(super().conv_weight_grad(dy, x, w_shape, window))


class StrideSwapped(Right):
    """The strides of the axes are mixed up."""

    name = "faulty:stride-swapped"

    def conv(self, x, w, b, window):
        wrong = super().conv(x, w, b, replace(window, stride=window.stride[::-1]))
        return np.resize(wrong, super().conv(x, w, b, window).shape)


class PadsSwapped(Right):
    """Begin and end of the padding are mixed up."""

    name = "faulty:pads-swapped"

    def conv(self, x, w, b, window):
        return super().conv(x, w, b, replace(window, padding=tuple((e, b) for b, e in window.padding)))


class DilationIgnored(Right):
    """The taps lie side by side whatever the dilation."""

    name = "faulty:dilation-ignored"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        close = super().conv(x, w, b, replace(window, dilation=(1,) * window.axes))
        return close[(..., *map(slice, y.shape[2:]))]


class EdgePadded(Right):
    """The border is repeated where zeros belong."""

    name = "faulty:edge-padded"

    def conv(self, x, w, b, window):
        wide = np.pad(x, ((0, 0), (0, 0), *window.padding), mode="edge")
        return super().conv(wide, w, b, replace(window, padding=((0, 0),) * window.axes))


class BiasByImage(Right):
    """The bias is indexed by the image instead of the channel."""

    name = "faulty:bias-by-image"

    def conv(self, x, w, b, window):
        if b is None:
            return super().conv(x, w, b, window)
        wrong = b[np.arange(x.shape[0]) % b.size].reshape(-1, 1, *(1,) * window.axes)
        return super().conv(x, w, None, window) + wrong


class BiasScales(Right):
    """The bias is multiplied instead of added."""

    name = "faulty:bias-scales"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, None, window)
        return y if b is None else y * b.reshape(1, -1, *(1,) * window.axes)


class GroupsReversed(Right):
    """Groups read the channels in the opposite order."""

    name = "faulty:groups-reversed"

    def conv(self, x, w, b, window):
        n, c, *s = x.shape
        turned = x.reshape(n, window.groups, c // window.groups, *s)[:, ::-1].reshape(x.shape)
        return super().conv(turned, w, b, window)


class LastChannelLost(Right):
    """A vector loop forgets the tail of the channels."""

    name = "faulty:last-channel-lost"

    def conv(self, x, w, b, window):
        short = w.copy()
        short[:, w.shape[1] // 4 * 4 :] = 0
        return super().conv(x, short if w.shape[1] > 4 else w, b, window)


class LastTapLost(Right):
    """The loop over taps ends one too early."""

    name = "faulty:last-tap-lost"

    def conv(self, x, w, b, window):
        short = w.copy()
        short.reshape(*w.shape[:2], -1)[:, :, -1] = 0
        return super().conv(x, short, b, window)


class WidthTailLost(Right):
    """Columns beyond a multiple of four are not written."""

    name = "faulty:width-tail-lost"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        if y.shape[-1] > 4:
            y[..., y.shape[-1] // 4 * 4 :] = 0
        return y


class FirstImageOnly(Right):
    """Every image of the batch gets the first one's answer."""

    name = "faulty:first-image-only"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        return np.broadcast_to(y[:1], y.shape).copy()


class Scaled(Right):
    """Everything is half a thousandth too large."""

    name = "faulty:scaled"

    def conv(self, x, w, b, window):
        return (super().conv(x, w, b, window) * 1.0005).astype(x.dtype)


class Rectified(Right):
    """A fused ReLU is left on."""

    name = "faulty:rectified"

    def conv(self, x, w, b, window):
        return np.maximum(super().conv(x, w, b, window), 0)


class Rounded(Right):
    """Inputs are rounded to eleven bits, as TF32 does, without a declaration."""

    name = "faulty:rounded"

    def conv(self, x, w, b, window):
        if x.dtype != np.float32:
            return super().conv(x, w, b, window)
        return super().conv(_eleven_bits(x), _eleven_bits(w), b, window).astype(x.dtype)


def _eleven_bits(a):
    return (np.ascontiguousarray(a).view(np.uint32) + 0x1000 & 0xFFFFE000).view(np.float32)


class OneNaN(Right):
    """A single element is not a number."""

    name = "faulty:one-nan"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        y.reshape(-1)[-1] = np.nan
        return y


class PointwiseTransposed(Right):
    """A 1x1 convolution multiplies by the transposed matrix where that is possible, else reverses the channels."""

    name = "faulty:pointwise-transposed"

    def conv(self, x, w, b, window):
        if set(w.shape[2:]) == {1}:
            w = w[:, ::-1]
        return super().conv(x, w, b, window)


class FullTransposed(Right):
    """A fully connected layer flattens its input in the wrong order."""

    name = "faulty:full-transposed"

    def conv(self, x, w, b, window):
        if w.shape[2:] == x.shape[2:] and w.ndim == 4:
            w = w.swapaxes(2, 3).reshape(w.shape)
        return super().conv(x, w, b, window)


class SecondCallEmpty(Right):
    """A prepared call is right once, and returns zeros from then on."""

    name = "faulty:second-call-empty"

    def prepare(self, problem, arrays):
        call, calls = super().prepare(problem, arrays), []

        def late():
            calls.append(1)
            result = call()
            if len(calls) == 1:
                return result
            return tuple(np.zeros_like(a) for a in result) if isinstance(result, tuple) else np.zeros_like(result)

        return late


class NanSwallowed(Right):
    """NaN is read as zero."""

    name = "faulty:nan-swallowed"

    def conv(self, x, w, b, window):
        return super().conv(np.nan_to_num(x), w, b, window)


class NanSpread(Right):
    """A window that is computed but not needed leaks into the neighbouring row."""

    name = "faulty:nan-spread"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        y[..., 1:] += 0 * y[..., :-1]
        return y


class Unsteady(Right):
    """The order of summation changes from call to call."""

    name = "faulty:unsteady"
    calls = 0

    def conv(self, x, w, b, window):
        type(self).calls += 1
        y = super().conv(x, w, b, window)
        return np.nextafter(y, np.inf, dtype=x.dtype) if x.dtype == np.float32 and self.calls % 2 else y


FAULTS = (
    Flipped, FlippedEverywhere, StrideSwapped, PadsSwapped, DilationIgnored, EdgePadded, BiasByImage, BiasScales,
    GroupsReversed, LastChannelLost, LastTapLost, WidthTailLost, FirstImageOnly, Scaled, Rectified, Rounded, OneNaN,
    PointwiseTransposed, FullTransposed, SecondCallEmpty, NanSwallowed, NanSpread, Unsteady,
)  # fmt: skip


@harness.hookimpl
def register_backends(register):
    for fault in FAULTS:
        register(fault())

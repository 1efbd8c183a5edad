"""Faults of geometry: padding, dilation, stride, groups, blocks and their tails, layout of the kernel."""

import itertools
import math
from dataclasses import replace

import numpy as np

import harness
from harness.problems import reference, rot180
from tests.faulty.right import Right


def _fit_shape(a, shape):
    """Cut what is too long and leave zero what is missing, as a buffer of the right size would show it."""
    out = np.zeros(shape, a.dtype)
    common = tuple(map(slice, map(min, a.shape, shape)))
    out[common] = a[common]
    return out


def lay_taps(w, window, place):
    """The kernel upsampled by hand, tap u of an axis at place(axis, u); as it is where that is no other place."""
    if all(place(axis, u) == d * u for axis, d in enumerate(window.dilation) for u in range(w.shape[2 + axis])):
        return w, window
    reach = window.reach(w.shape[2:])
    laid = np.zeros((*w.shape[:2], *reach), w.dtype)
    for tap in itertools.product(*map(range, w.shape[2:])):
        at = tuple(min(place(axis, u), reach[axis] - 1) for axis, u in enumerate(tap))
        laid[(..., *at)] += w[(..., *tap)]
    return laid, replace(window, dilation=(1,) * window.axes)


class Elsewhere(Right):
    """Base of backends that convolve with another window; the result is then cut or filled to the right size."""

    def conv(self, x, w, b, window):
        shape = (x.shape[0], w.shape[0], *window.output_shape(x.shape[2:], w.shape[2:]))
        return _fit_shape(super().conv(x, w, b, self.misread(window, x, w)), shape)

    def misread(self, window, x, w):
        raise NotImplementedError


class EndPadFromBegin(Elsewhere):
    """The end of every axis is padded as its begin is: one number per axis where there are two."""

    name = "faulty:end-pad-from-begin"

    def misread(self, window, x, w):
        return replace(window, padding=tuple((begin, begin) for begin, _ in window.padding))


class PadsMisgrouped(Elsewhere):
    """All begins and then all ends are read as pairs, so that h_end comes from pads[1] (onnxruntime#27375)."""

    name = "faulty:pads-misgrouped"

    def misread(self, window, x, w):
        begins, ends = zip(*window.padding, strict=True)
        flat = begins + ends
        return replace(window, padding=tuple(zip(flat[::2], flat[1::2], strict=True)))


class DilationAsStride(Elsewhere):
    """The dilation is passed in place of the stride (keras#10967)."""

    name = "faulty:dilation-as-stride"

    def misread(self, window, x, w):
        return replace(window, stride=window.dilation, dilation=(1,) * window.axes)


class StrideOfLastAxis(Elsewhere):
    """Every axis moves by the stride of the last one."""

    name = "faulty:stride-of-last-axis"

    def misread(self, window, x, w):
        return replace(window, stride=window.stride[-1:] * window.axes)


class StrideCapped(Elsewhere):
    """A stride beyond the kernel is cut to the kernel's size: windows never lie apart."""

    name = "faulty:stride-capped"

    def misread(self, window, x, w):
        return replace(window, stride=tuple(map(min, window.stride, window.reach(w.shape[2:]))))


class SameForStrided(Elsewhere):
    """Padding that keeps the width is taken for SAME, which pads less where there is a stride (onnxruntime#4086)."""

    name = "faulty:same-for-strided"

    def misread(self, window, x, w):
        padding = []
        for n, reach, s, pair in zip(
            x.shape[2:], window.reach(w.shape[2:]), window.stride, window.padding, strict=True
        ):
            total = max((-(-n // s) - 1) * s + reach - n, 0)
            padding.append((total // 2, total - total // 2) if s > 1 and sum(pair) == reach - 1 > 0 else pair)
        return replace(window, padding=tuple(padding))


class EvenKernelShifted(Elsewhere):
    """The odd element of an even kernel's padding goes to the other side: SAME_LOWER for SAME_UPPER (root#21737)."""

    name = "faulty:even-kernel-shifted"

    def misread(self, window, x, w):
        kernels = zip(w.shape[2:], window.padding, strict=True)
        return replace(
            window, padding=tuple((b + 1, e - 1) if m % 2 == 0 and e > 0 else (b, e) for m, (b, e) in kernels)
        )


class DepthPaddingAtEnd(Elsewhere):
    """Of three axes the first is padded at its end only: the begin is forgotten in one of three places."""

    name = "faulty:depth-padding-at-end"

    def misread(self, window, x, w):
        (b, e), *rest = window.padding
        return replace(window, padding=((0, b + e), *rest)) if window.axes == 3 else window


class DepthStrideOfHeight(Elsewhere):
    """Of three axes the first moves by the stride of the second."""

    name = "faulty:depth-stride-of-height"

    def misread(self, window, x, w):
        return replace(window, stride=window.stride[1:2] + window.stride[1:]) if window.axes == 3 else window


class Relaid(Right):
    """Base of backends that look for the taps of a dilated kernel at other places."""

    def conv(self, x, w, b, window):
        laid, close = lay_taps(w, window, lambda axis, u: self.place(window, axis, u))
        return super().conv(x, laid, b, close)

    def place(self, window, axis, u):
        raise NotImplementedError


class DilationSwapped(Relaid):
    """The dilations of the axes are mixed up."""

    name = "faulty:dilation-swapped"

    def place(self, window, axis, u):
        return window.dilation[::-1][axis] * u


class MiddleDilationLost(Relaid):
    """Of three axes the middle one's dilation is forgotten."""

    name = "faulty:middle-dilation-lost"

    def place(self, window, axis, u):
        return u if (window.axes, axis) == (3, 1) else window.dilation[axis] * u


class StridedDilatedInStep(Relaid):
    """With stride and dilation together, a tap's offset is cut to a whole number of strides (onnxruntime#2518)."""

    name = "faulty:strided-dilated-in-step"

    def place(self, window, axis, u):
        s, d = window.stride[axis], window.dilation[axis]
        return d * u // s * s if s > 1 and d > 1 else d * u


class RemainderAtBegin(Right):
    """If the stride does not divide, the windows are laid out from the end, and the remainder is left in front."""

    name = "faulty:remainder-at-begin"

    def conv(self, x, w, b, window):
        padded = np.pad(x, ((0, 0), (0, 0), *window.padding))
        reach = window.reach(w.shape[2:])
        left = ((n - r) % s for n, r, s in zip(padded.shape[2:], reach, window.stride, strict=True))
        kept = padded[(..., *(slice(r, None) for r in left))]
        return super().conv(kept, w, b, replace(window, padding=((0, 0),) * window.axes))


class HaloRepeated(Right):
    """The first column beyond a wide border repeats the last one of the image (oneDNN#5080)."""

    name = "faulty:halo-repeated"

    def conv(self, x, w, b, window):
        *others, (begin, end) = window.padding
        if end > 1:
            x, window = np.concatenate([x, x[..., -1:]], axis=-1), replace(window, padding=(*others, (begin, end - 1)))
        return super().conv(x, w, b, window)


class WrapAround(Right):
    """The transform is as long as the image, so that the far side comes back where padding is due."""

    name = "faulty:wrap-around"

    def conv(self, x, w, b, window):
        wrapped = np.pad(x, ((0, 0), (0, 0), *window.padding), mode="wrap")
        return super().conv(wrapped, w, b, replace(window, padding=((0, 0),) * window.axes))


class PaddingWithoutBias(Right):
    """Windows that lie in the padding alone are skipped, and miss their bias (modular#6712)."""

    name = "faulty:padding-without-bias"

    def conv(self, x, w, b, window):
        ones = np.ones((1, 1, *x.shape[2:])), np.ones((1, 1, *w.shape[2:]))
        touched = reference.conv(*ones, None, replace(window, groups=1)) > 0
        return super().conv(x, w, b, window) * touched.astype(x.dtype)


class LongKernelTurned(Right):
    """Kernels beyond seven taps take another path, on which they are turned."""

    name = "faulty:long-kernel-turned"

    def conv(self, x, w, b, window):
        return super().conv(x, rot180(w) if max(w.shape[2:]) > 7 else w, b, window)


class PointwiseUnpadded(Right):
    """A 1x1 kernel becomes a product of matrices that knows no padding: the border of zeros is at the wrong place."""

    name = "faulty:pointwise-unpadded"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        if math.prod(w.shape[2:]) > 1:
            return y
        return _fit_shape(super().conv(x, w, b, replace(window, padding=((0, 0),) * window.axes)), y.shape)


class GroupsInterleaved(Right):
    """A group takes every g-th channel instead of a block of them."""

    name = "faulty:groups-interleaved"

    def conv(self, x, w, b, window):
        n, c, *s = x.shape
        mixed = x.reshape(n, c // window.groups, window.groups, *s).swapaxes(1, 2).reshape(x.shape)
        return super().conv(mixed, w, b, window)


class OddGroupLost(Right):
    """Groups are handled in pairs, and the last of an odd number of them is not."""

    name = "faulty:odd-group-lost"

    def conv(self, x, w, b, window):
        y, groups = super().conv(x, w, b, window), window.groups
        if groups > 1 and groups % 2:
            y[:, -(w.shape[0] // groups) :] = 0
        return y


class DepthwiseFirstFilter(Right):
    """A depthwise problem takes the path of one group: every channel is filtered by the first kernel."""

    name = "faulty:depthwise-first-filter"

    def conv(self, x, w, b, window):
        depthwise = w.shape[1] == 1 and w.shape[0] == window.groups
        return super().conv(x, np.broadcast_to(w[:1], w.shape) if depthwise else w, b, window)


class MultiplierOrder(Right):
    """The filters of a depthwise kernel with several per channel lie multiplier by multiplier."""

    name = "faulty:multiplier-order"

    def conv(self, x, w, b, window):
        if w.shape[1] == 1 and window.groups > 1:
            w = w.reshape(-1, window.groups, *w.shape[1:]).swapaxes(0, 1).reshape(w.shape)
        return super().conv(x, w, b, window)


class DepthwiseTail(Right):
    """Depthwise channels beyond a multiple of eight are filtered with the kernels of the first ones."""

    name = "faulty:depthwise-tail"

    def conv(self, x, w, b, window):
        tail = w.shape[0] % 8
        if w.shape[1] == 1 and w.shape[0] == window.groups > 8 and tail:
            w = np.concatenate([w[:-tail], w[:tail]])
        return super().conv(x, w, b, window)


class SplitBatch(Right):
    """Beyond eight images the batch is split, and the second part reads the first one's images (ROCm#10627)."""

    name = "faulty:split-batch"

    def conv(self, x, w, b, window):
        return super().conv(x[np.arange(x.shape[0]) % 8], w, b, window)


class BatchBeyondGrid(Right):
    """Images beyond the 65535th are left zero, as a launch grid has no more rows (Theano#6045)."""

    name = "faulty:batch-beyond-grid"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        y[65535:] = 0
        return y


class ChannelBlockOverwrites(Right):
    """Channels are added up in blocks of sixteen, and the last block overwrites the sum (oneDNN#3981)."""

    name = "faulty:channel-block-overwrites"

    def conv(self, x, w, b, window):
        short = w.copy()
        short[:, : (w.shape[1] - 1) // 16 * 16] = 0
        return super().conv(x, short, b, window)


class BiasTailLost(Right):
    """Output channels beyond a multiple of sixteen get no bias."""

    name = "faulty:bias-tail-lost"

    def conv(self, x, w, b, window):
        if b is not None and w.shape[0] > 16:
            b = np.where(np.arange(b.size) < b.size // 16 * 16, b, np.zeros_like(b))
        return super().conv(x, w, b, window)


class WidthTailRepeated(Right):
    """The columns beyond a multiple of sixteen are written from the first vector of the row."""

    name = "faulty:width-tail-repeated"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        tail = y.shape[-1] % 16
        if y.shape[-1] > 16 and tail:
            y[..., -tail:] = y[..., :tail].copy()
        return y


class SeamAt64(Right):
    """Rows wider than a tile of 64 repeat a column at the seam."""

    name = "faulty:seam-at-64"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        y[..., 64::64] = y[..., 63:-1:64].copy()
        return y


class KernelChannelsLast(Right):
    """A kernel that lies channels last in memory is read as if its channels came first (pytorch#82060)."""

    name = "faulty:kernel-channels-last"

    def conv(self, x, w, b, window):
        last = np.moveaxis(w, 1, -1)
        if last.flags.c_contiguous and not w.flags.c_contiguous:
            w = last.reshape(w.shape)
        return super().conv(x, w, b, window)


FAULTS = (
    EndPadFromBegin, PadsMisgrouped, DilationAsStride, StrideOfLastAxis, StrideCapped, SameForStrided,
    EvenKernelShifted, DepthPaddingAtEnd, DepthStrideOfHeight, DilationSwapped, MiddleDilationLost,
    StridedDilatedInStep, RemainderAtBegin, HaloRepeated, WrapAround, PaddingWithoutBias, LongKernelTurned,
    PointwiseUnpadded, GroupsInterleaved, OddGroupLost, DepthwiseFirstFilter, MultiplierOrder, DepthwiseTail,
    SplitBatch, BatchBeyondGrid, ChannelBlockOverwrites, BiasTailLost, WidthTailRepeated, SeamAt64,
    KernelChannelsLast,
)  # fmt: skip


@harness.hookimpl
def register_backends(register):
    for fault in FAULTS:
        register(fault())

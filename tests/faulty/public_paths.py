"""Faults after public reports on less common shapes, on precision and on views; each is right everywhere else.

Named after their kind. Those of a shape are plans; those of memory and of numbers have classes.
"""

import math

import numpy as np

import harness
from harness import Operator
from harness.generate.dispatch.conditions import count_inputs, count_outputs, is_depthwise, windows
from tests.faulty.right import Right
from tests.planting.conditioned import Conditioned, Plan

CONV, INPUT_GRAD, WEIGHT_GRAD = Operator.conv, Operator.conv_input_grad, Operator.conv_weight_grad


def _sides(problem, *pair):
    return all(side == pair for side in problem.window.padding)


def _in_blocks(block, kernel=None):
    """Return a test of float32 with whole blocks of channels on both sides."""
    return lambda p: (
        p.dtype == "float32" and (kernel is None or p.kernel == kernel)
        and count_inputs(p) % block == 0 and count_outputs(p) % block == 0
    )  # fmt: skip


# Factors rounded to TF32 where a library has a path that does so: right sums of short whole numbers.
ROUNDING = (
    Plan(name="filtered-in-tf32", report="mlx#4242: multiples of 32 channels", operator=CONV, spoil="short-factors",
         conditions=("stride 1",), also=_in_blocks(32, (3, 3))),
    Plan(name="searched-in-tf32", report="cumo#501: the search takes tensor cores", operator=WEIGHT_GRAD,
         spoil="short-factors", also=_in_blocks(16, (3, 3))),
    Plan(name="channels-last-in-tf32", report="pytorch#106749: float32 on tensor cores", operator=INPUT_GRAD,
         spoil="short-factors", conditions=("channels-last",), also=_in_blocks(8)),
    Plan(name="depthwise-in-tf32", report="tensorflow#56821: depthwise on tensor cores", operator=CONV,
         conditions=("depthwise", "float32", "kernel 3x3"), spoil="short-factors"),
)  # fmt: skip
SHAPES = (
    Plan(name="six-channels", report="pytorch#21597: six channels", operator=CONV, spoil="last-channel",
         conditions=("one group",), also=lambda p: count_inputs(p) in (6, 12, 20, 24)),
    Plan(name="grouped-below-a-block", report="pytorch#18463: groups of few inputs, 16 outputs", operator=CONV,
         spoil="last-channel", also=lambda p: p.window.groups > 1 and p.w[1] < 16 and p.w[0] % 16 == 0),
    Plan(name="grouped-strided-input-grad", report="mlx#3800: groups with a stride", operator=INPUT_GRAD,
         spoil="shifted-by-one", also=lambda p: p.window.groups > 1 and max(p.window.stride) > 1),
    Plan(name="transposed-later-images", report="ggml#1448: batches", operator=Operator.conv_transpose,
         conditions=("batch above 4",), spoil="later-images"),
    Plan(name="wide-and-tall", report="ComputeLibrary#490: 40x40", operator=CONV, spoil="last-row",
         conditions=("kernel 3x3", "C = 3"), also=lambda p: min(p.y[2:]) >= 40),
    Plan(name="filtering-next-tile", report="adam-dziedzic/winograd#1: more than one tile", operator=CONV,
         conditions=("kernel 3x3", "stride 1", "C >= 16", "O >= 16"), spoil="last-element",
         also=lambda p: min(p.y[2:]) > 4),
    Plan(name="filtering-padded-half", report="openvino#33681: padded", operator=CONV, spoil="last-element",
         conditions=("kernel 3x3", "stride 1", "float16"), also=lambda p: _sides(p, 1, 1)),
    Plan(name="filtering-unequal-sides", report="tvm#7090: inputs that are not square", operator=CONV, spoil="zeros",
         conditions=("kernel 3x3", "stride 1", "channels-last"), also=lambda p: p.x[2] != p.x[3]),
    Plan(name="transposed-groups-last", report="XNNPACK#1951: two groups", operator=Operator.conv_transpose,
         conditions=("channels-last",), spoil="shifted-by-one", also=lambda p: p.window.groups == 2),
    Plan(name="depthwise-one-row", report="tt-mlir#9276: one row", operator=CONV, conditions=("depthwise",),
         spoil="zeros", also=lambda p: p.kernel == (1, 3) and p.x[2] == 1),
    Plan(name="depthwise-small-map", report="MNN#2291: 2x1 under 3x3", operator=CONV, spoil="last-element",
         conditions=("depthwise", "kernel 3x3"), also=lambda p: p.x[2:] == (2, 1)),
    Plan(name="depthwise-column", report="ComputeLibrary#904: 5x1", operator=CONV, conditions=("depthwise",),
         spoil="zeros", also=lambda p: p.kernel in ((5, 1), (1, 5), (5,))),
    Plan(name="depthwise-7x7", report="ncnn#3171: 7x7 with stride 2", operator=CONV, spoil="last-channel",
         conditions=("depthwise", "kernel 7x7", "stride 2"), also=lambda p: _sides(p, 3, 3)),
    Plan(name="depthwise-strided-dilated", report="tensorflow#31514: stride with dilation", operator=CONV,
         conditions=("depthwise", "stride 2", "dilation 2"), spoil="tap-lost"),
    Plan(name="depthwise-long-signal", report="pytorch#23042: 25 taps, stride 2", operator=CONV, spoil="small-factor",
         conditions=("stride 2",), also=lambda p: is_depthwise(p) and len(p.kernel) == 1 and p.kernel[0] >= 25),
    Plan(name="depthwise-same-5x5", report="nnfusion#192: padding 1:2", operator=CONV, spoil="last-row",
         conditions=("depthwise", "kernel 5x5"), also=lambda p: _sides(p, 1, 2)),
    Plan(name="depthwise-same-3x3", report="openvino#493: padding 0:1", operator=CONV, spoil="last-column",
         conditions=("depthwise", "kernel 3x3", "stride 2"), also=lambda p: _sides(p, 0, 1)),
    Plan(name="volume-same", report="mlx#2038: padding 0:1 of three axes", operator=CONV, spoil="last-row",
         conditions=("kernel 3x3x3", "stride 2"), also=lambda p: _sides(p, 0, 1)),
    Plan(name="end-padding-strided", report="ComputeLibrary#480: padding 0:1", operator=CONV, spoil="last-column",
         conditions=("stride 2", "O a multiple of 16"), also=lambda p: len(p.kernel) == 2 and _sides(p, 0, 1)),
    Plan(name="blocked-unequal-padding", report="openvino#2876: blocks of 16", operator=CONV, spoil="last-column",
         conditions=("C a multiple of 16",), also=lambda p: p.window.padding[-1][0] < p.window.padding[-1][1]),
    Plan(name="period-discriminator", report="oneDNN#5730: 5x1 with stride 3x1", operator=INPUT_GRAD, spoil="zeros",
         also=lambda p: len(p.kernel) == 2 and p.kernel[0] > p.kernel[1] == 1
         and p.window.stride[0] > p.window.stride[1] == 1 and count_inputs(p) >= 8),
    Plan(name="weight-grad-of-few-outputs", report="MIOpen#2770: dirty", operator=WEIGHT_GRAD, spoil="small-factor",
         conditions=("kernel 3x3", "C >= 64"),
         also=lambda p: count_outputs(p) <= 3 and p.x[0] * math.prod(windows(p)) >= 1024),
    Plan(name="weight-grad-1x1-large-batch", report="MIOpen#670: 1x1, multiples of 128", operator=WEIGHT_GRAD,
         conditions=("kernel 1x1", "batch above 16"), spoil="last-channel", also=lambda p: count_inputs(p) % 128 == 0),
    Plan(name="weight-grad-filtering", report="MIOpen#600: 3x3 by filtering", operator=WEIGHT_GRAD,
         conditions=("kernel 3x3", "stride 1", "C >= 64", "batch above 4"), spoil="last-element"),
    Plan(name="weight-grad-single-output", report="apple/tensorflow_macos#230: one output", operator=WEIGHT_GRAD,
         conditions=("O = 1", "channels-last"), spoil="shifted-by-one", also=lambda p: p.w[1] > 1),
    Plan(name="nine-channels", report="onnxruntime#14392: no multiple of 4", operator=CONV, spoil="last-channel",
         conditions=("C >= 8", "O a multiple of 8"), also=lambda p: count_inputs(p) % 4 > 0),
    Plan(name="positions-beyond-a-grid", report="mlx#3893: 65 536 positions", operator=CONV, spoil="last-element",
         also=lambda p: p.x[0] * math.prod(p.y[2:]) > 65535),
    Plan(name="transposed-padded", report="ComputeLibrary#1017: stride 2, padding 1", operator=Operator.conv_transpose,
         conditions=("stride 2",), spoil="last-row", also=lambda p: _sides(p, 1, 1)),
    Plan(name="mean-pool-excluded-unequal", report="burn#5450: padding not counted, unequal", spoil="last-element",
         operator=Operator.avg_pool, conditions=("padding not counted",),
         also=lambda p: any(b != e for b, e in p.window.padding)),
    Plan(name="mean-pool-gradient-padded-last", report="pytorch#188344: channels last", spoil="shifted-by-one",
         operator=Operator.avg_pool_grad, conditions=("channels-last",),
         also=lambda p: any(map(max, p.window.padding))),
    Plan(name="mean-pool-gradient-volume", report="pytorch#171869: images of a volume", spoil="later-images",
         operator=Operator.avg_pool_grad, conditions=("channels-last", "batch above 4"),
         also=lambda p: len(p.kernel) == 3),
    Plan(name="mean-pool-gradient-one-row", report="tensorflow#48773: one row", spoil="last-column",
         operator=Operator.avg_pool_grad, conditions=("stride 1",),
         also=lambda p: len(p.kernel) == 2 and p.x[2] == 1 and p.x[3] >= 5),
)  # fmt: skip
PLANS = (*ROUNDING, *SHAPES)


def _spoil_end(a):
    spoiled = np.array(a)
    spoiled.reshape(-1)[-1:] += 1
    return spoiled


class ReversedInput(Right):
    """A first argument with negative strides, together with a second one without, is read wrong (cupy#10303)."""

    name = "faulty:reversed-input"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        return _spoil_end(y) if x.strides[-1] < 0 < w.strides[-1] else y


class SlicedKernel(Right):
    """A kernel whose taps are dense, and whose channels are not, is read as dense (pytorch#192212)."""

    name = "faulty:sliced-kernel"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        dense = math.prod(w.shape[2:]) * w.itemsize
        sliced = w.shape[1] > 1 and w[0, 0].flags.c_contiguous and w.strides[1] > dense
        return _spoil_end(y) if sliced else y


class SomeChannelsLast(Right):
    """Some channels of an array with channels last are read as all of them (pytorch#180984)."""

    name = "faulty:some-channels-last"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        sliced = x.shape[-1] > 1 and x.strides[1] == x.itemsize and x.strides[-1] > x.shape[1] * x.itemsize
        return _spoil_end(y) if sliced else y


class DenseIndices(Right):
    """Indices are read in the order of memory, whatever their strides (pytorch#197888)."""

    name = "faulty:dense-indices"

    def max_pool_grad(self, dy, x, indices, window):
        if dy.flags.c_contiguous and not indices.flags.c_contiguous:
            indices = np.ravel(indices, order="K").reshape(indices.shape)
        return super().max_pool_grad(dy, x, indices, window)


class SpreadGradient(Right):
    """A gradient that is one number in memory is taken for an array of one element (pytorch#3303, k2#1101)."""

    name = "faulty:spread-gradient"

    def conv_weight_grad(self, dy, x, w_shape, window):
        dw = super().conv_weight_grad(dy, x, w_shape, window)
        return _spoil_end(dw) if dy.size > 1 and not any(dy.strides) else dw


class UsualNanOnly(Right):
    """NaN is told by the bits of the usual one; any other compares as a number (openvino#35935, its kind)."""

    name = "faulty:usual-nan-only"

    def max_pool(self, x, window):
        usual = np.full(1, np.nan, x.dtype).tobytes()
        bits = np.ascontiguousarray(x).view(np.dtype((np.void, x.itemsize)))
        other = np.isnan(x) & (bits != np.void(usual))
        return super().max_pool(np.where(other, np.asarray(-np.inf, x.dtype), x) if other.any() else x, window)


class HalfGradientFlushed(Right):
    """Subnormal float16 is flushed in the gradient of the input alone."""

    name = "faulty:half-gradient-flushed"

    def conv_input_grad(self, dy, w, x_shape, window):
        if dy.dtype == np.float16:
            dy = np.where(np.abs(dy) < 2.0**-14, np.zeros_like(dy), dy)
        return super().conv_input_grad(dy, w, x_shape, window)


FAULTS = (
    ReversedInput, SlicedKernel, SomeChannelsLast, DenseIndices, SpreadGradient, UsualNanOnly, HalfGradientFlushed,
)  # fmt: skip


@harness.hookimpl
def register_backends(register):
    for plan in PLANS:
        register(Conditioned(plan))
    for fault in FAULTS:
        register(fault())

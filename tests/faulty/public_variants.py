"""Further faults by shape after public reports: sums in a short format, sizes between the round ones, odd batches.

Each is wrong where its report is, and nowhere else. Reports of the kind "sums in a short format" are exact on whole
numbers, so that only real data on the same path show them.
"""

import math

import harness
from harness import Operator
from harness.generate.dispatch.conditions import count_inputs, count_outputs
from tests.planting.conditioned import Conditioned, Plan

CONV, INPUT_GRAD, WEIGHT_GRAD = Operator.conv, Operator.conv_input_grad, Operator.conv_weight_grad


def _unequal_sides(problem):
    return any(begin != end for begin, end in problem.window.padding)


def _spans_a_column(problem):
    kernel = problem.kernel
    return (
        problem.dtype == "float32" and problem.window.groups > 1 and problem.x[0] > 1
        and len(kernel) == 2 and kernel[0] == problem.x[2] > 1 == kernel[1]
    )  # fmt: skip


SHORT_SUMS = (
    Plan(name="weight-grad-sums-images-in-bfloat16", report="rocm-libraries#5859: images added up in bfloat16",
         operator=WEIGHT_GRAD, conditions=("bfloat16",), spoil="short-sums", also=lambda p: p.x[0] > 1),
    Plan(name="input-grad-sums-in-half", report="rocm-libraries#12322: float16 with channels last", operator=INPUT_GRAD,
         conditions=("float16", "channels-last", "one group"), spoil="short-sums"),
    Plan(name="filtering-sums-in-half", report="ComputeLibrary#1154: 3x3 by minimal filtering", operator=CONV,
         conditions=("kernel 3x3", "stride 1", "undilated", "C >= 16", "float16"), spoil="short-sums"),
    Plan(name="depthwise-sums-in-half", report="pytorch#153276: rounds after every tap", operator=CONV,
         conditions=("depthwise", "float16", "kernel 5x5"), spoil="short-sums"),
    Plan(name="transposed-sums-in-bfloat16", report="pytorch#153276: transposed, rounds after every tap",
         operator=Operator.conv_transpose, conditions=("bfloat16", "stride 2", "O >= 16"), spoil="short-sums"),
    Plan(name="long-half-sums", report="MIOpen#2109: long sums in float16", operator=CONV, spoil="short-sums",
         conditions=("float16",), also=lambda p: count_inputs(p) * math.prod(p.kernel) > 4096),
    Plan(name="bias-grad-sums-in-half", report="pytorch#153276: a sum of dy", operator=Operator.conv_bias_grad,
         conditions=("float16", "channels-last", "O a multiple of 8"), spoil="short-sums"),
    Plan(name="mean-sums-in-bfloat16", report="candle#3719: means of small windows", operator=Operator.avg_pool,
         conditions=("bfloat16", "kernel 3x3", "stride 2"), spoil="short-sums"),
)  # fmt: skip
SHAPES = (
    Plan(name="strided-outputs-below-four", report="ncnn#1014: positions that are no multiple of 4", operator=CONV,
         conditions=("kernel 3x3", "stride 2"), spoil="last-element", also=lambda p: math.prod(p.y[2:]) % 4 > 0),
    Plan(name="kernel-spans-a-column", report="pytorch#188335: a kernel of all rows, batches", operator=CONV,
         spoil="last-image", also=_spans_a_column),
    Plan(name="depthwise-column-strided", report="tensorflow#61815: depthwise 3x1 with stride 2", operator=CONV,
         conditions=("depthwise", "stride 2", "channels-last"), spoil="zeros", also=lambda p: p.kernel == (3, 1)),
    Plan(name="pointwise-on-one-position", report="tensorflow#49269: 1x1 on 1x1 maps", operator=CONV,
         conditions=("kernel 1x1", "C a multiple of 4"), spoil="shifted-by-one", also=lambda p: p.x[2:] == (1, 1)),
    Plan(name="unequal-dilation", report="tt-metal#19542: dilation 1,4", operator=CONV, spoil="last-column",
         also=lambda p: len(set(p.window.dilation)) > 1 and min(p.kernel) > 1),
    Plan(name="dense-batch-between-powers", report="NNPACK#43: batches that are no power of 2", operator=CONV,
         conditions=("kernel = input", "C >= 16"), spoil="last-image", also=lambda p: p.x[0] & (p.x[0] - 1) > 0),
    Plan(name="transposed-unequal-padding", report="ComputeLibrary#743: padding 1:2", operator=Operator.conv_transpose,
         spoil="last-row", also=_unequal_sides),
    Plan(name="weight-grad-7x7-odd-width", report="MIOpen#97: 7x7 of few channels, odd widths", operator=WEIGHT_GRAD,
         conditions=("kernel 7x7", "stride 1", "padding same"), spoil="last-channel",
         also=lambda p: count_inputs(p) < 4 and p.y[-1] % 2 == 1),
    Plan(name="weight-grad-1x1-on-one-position", report="MIOpen#437: 1x1 maps, many images", operator=WEIGHT_GRAD,
         conditions=("kernel 1x1", "one position", "batch above 16", "C a multiple of 64"), spoil="last-element"),
    Plan(name="input-grad-grouped-long-kernel", report="oneDNN#796: two groups, 21 taps", operator=INPUT_GRAD,
         conditions=("kernel beyond 9 on an axis", "groups of 4 and more channels"), spoil="last-channel"),
    Plan(name="channels-beyond-a-block", report="tt-metal#5087: no multiple of 32", operator=CONV, spoil="tap-lost",
         conditions=("C >= 32",), also=lambda p: count_inputs(p) % 32 > 0),
    Plan(name="padded-last-column", report="oneDNN#5080: columns that read padding, channels last", operator=CONV,
         conditions=("channels-last", "C a multiple of 4"), spoil="last-column",
         also=lambda p: p.window.padding[-1][1] > 0),
    Plan(name="transposed-groups-of-one", report="tvm#10223: groups of one channel", operator=Operator.conv_transpose,
         conditions=("depthwise", "stride 2"), spoil="shifted-by-one"),
    Plan(name="flat-volume-kernel-bfloat16", report="pytorch#163539: 1x3x3 in bfloat16", operator=CONV,
         conditions=("bfloat16",), spoil="last-channel",
         also=lambda p: p.kernel == (1, 3, 3) and min(count_inputs(p), count_outputs(p)) >= 4),
    Plan(name="mean-pool-one-tap-ceil", report="Paddle#51542: 1x1 with stride 2, ceil, padding not counted",
         operator=Operator.avg_pool, conditions=("kernel of one tap", "stride 2", "ceil", "padding not counted"),
         spoil="last-element"),
    Plan(name="mean-pool-dilated-unequal", report="onnxruntime#29631: dilation with unequal padding",
         operator=Operator.avg_pool, spoil="last-element",
         also=lambda p: _unequal_sides(p) and max(p.window.dilation) > 1 and max(p.kernel) > 1),
    Plan(name="max-grad-of-one-position", report="its kind: the gradient of a global maximum is lost",
         operator=Operator.max_pool_grad, conditions=("kernel = input", "one position", "float32"), spoil="zeros"),
)  # fmt: skip
PLANS = (*SHORT_SUMS, *SHAPES)


@harness.hookimpl
def register_backends(register):
    for plan in PLANS:
        register(Conditioned(plan))

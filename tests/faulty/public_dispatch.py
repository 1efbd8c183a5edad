"""Faults by shape after public reports, named after their kind: each is wrong where its report is, and nowhere else.

What spoils the answer is like the report where that says it, else one element or channel. Reports with arithmetic of
their own (sums in float16, indices of one byte) are in `public_reports.py`.
"""

import math

import harness
from harness import Operator
from harness.generate.dispatch.conditions import count_inputs, count_outputs, windows
from tests.planting.conditioned import Conditioned, Plan

CONV, INPUT_GRAD, WEIGHT_GRAD = Operator.conv, Operator.conv_input_grad, Operator.conv_weight_grad


def _positions(problem):
    return problem.x[0] * math.prod(windows(problem))


PLANS = (
    Plan(name="filtered-half", report="ComputeLibrary#1154: float16 3x3 by minimal filtering", operator=CONV,
         conditions=("kernel 3x3", "stride 1", "undilated", "float16"), spoil="small-factor-in-last-channel"),
    Plan(name="filtered-even-inputs", report="TNN#394: the last tile of even inputs", operator=CONV,
         conditions=("kernel 3x3", "stride 1", "C >= 8"), also=lambda p: all(n % 2 == 0 for n in p.x[2:]),
         spoil="last-element"),
    Plan(name="depthwise-dilated-bias-alone", report="ncnn#315: depthwise 3x3 with dilation 2", operator=CONV,
         conditions=("kernel 3x3", "dilation 2", "depthwise"), spoil="bias-alone"),
    Plan(name="pointwise-packed-by-four", report="ncnn#1384: 1x1 packed by 4 on small maps", operator=CONV,
         conditions=("kernel 1x1", "C a multiple of 4", "O a multiple of 4"), spoil="last-column"),
    Plan(name="strided-pointwise-input-grad", report="composable_kernel#105: 1x1 with stride 2", operator=INPUT_GRAD,
         conditions=("kernel 1x1", "stride 2"), spoil="last-image"),
    Plan(name="strided-pointwise-input-grad-of-one-position", report="MIOpen#1495: 1x1 with stride 2, 2x2 maps",
         operator=INPUT_GRAD, conditions=("kernel 1x1", "stride 2", "one position"), spoil="last-element"),
    Plan(name="input-grad-with-stride-narrow", report="fujitsu/oneDNN#43: stride, over 16 channels, width below 17",
         operator=INPUT_GRAD, conditions=("O >= 16",), spoil="last-channel",
         also=lambda p: p.window.stride[-1] > 1 and count_outputs(p) > 16 and p.x[-1] < 17),
    Plan(name="input-grad-5x5-stride-over-two", report="pytorch#25101: 5x5 with stride 3", operator=INPUT_GRAD,
         conditions=("kernel 5x5",), spoil="last-row", also=lambda p: min(p.window.stride) > 2),
    Plan(name="input-grad-long-kernel-stride-over-two", report="MIOpen#575: a long kernel with stride 3",
         operator=INPUT_GRAD, conditions=("kernel beyond 9 on an axis",), spoil="last-element",
         also=lambda p: max(p.window.stride) > 2),
    Plan(name="weight-grad-split-over-positions", report="tensorflow#11327: split over positions", operator=WEIGHT_GRAD,
         spoil="small-factor", also=lambda p: _positions(p) > 1024),
    Plan(name="depthwise-weight-grad-strided", report="oneDNN#4124: depthwise with stride and padding",
         operator=WEIGHT_GRAD, conditions=("depthwise", "stride 2", "kernel 3x3"), spoil="last-channel",
         also=lambda p: any(map(max, p.window.padding))),
    Plan(name="weight-grad-dilated-depthwise-bfloat16", report="tensorflow 2.21: bfloat16 dilated depthwise",
         operator=WEIGHT_GRAD, conditions=("depthwise", "bfloat16"), spoil="zeros",
         also=lambda p: max(p.window.dilation) > 1 and max(p.kernel) > 1),
    Plan(name="dilated-channels-last", report="keras#5529: dilation", operator=CONV,
         conditions=("dilation 2", "channels-last"), spoil="tap-lost"),
    Plan(name="long-kernel-tail", report="TensorComprehensions#179: long kernels", operator=CONV,
         conditions=("kernel beyond 9 on an axis",), spoil="tap-lost", also=lambda p: max(p.kernel) > 10),
    Plan(name="large-window-gradient", report="NNlib.jl#508: large windows", operator=Operator.max_pool_grad,
         conditions=("window of 65 taps or more",), spoil="last-element"),
    Plan(name="volume-last-axis-of-one", report="pytorch#169688: bfloat16, stride, last output axis of 1",
         operator=CONV, conditions=("bfloat16", "kernel 3x3x3"), spoil="last-channel",
         also=lambda p: p.y[-1] == 1 and max(p.window.stride) > 1),
    Plan(name="bfloat16-kernel-as-input", report="pytorch#163347: 2x2 ones give 1 in bfloat16", operator=CONV,
         conditions=("bfloat16", "kernel = input"), spoil="tap-lost"),
    Plan(name="grouped-pointwise", report="pytorch#19912: grouped 1x1 of 2 to 8 channels a group", operator=CONV,
         conditions=("kernel of one tap",), spoil="shifted-by-one",
         also=lambda p: p.window.groups > 1 and 2 <= count_inputs(p) <= 8),
    Plan(name="one-channel-one-output", report="pytorch#60535: one input channel, first output alone", operator=CONV,
         conditions=("C = 1", "one group"), spoil="last-channel", also=lambda p: count_outputs(p) > 1),
    Plan(name="strided-pointwise-single-output", report="pytorch#105941: 1x1 with a stride, one output channel",
         operator=CONV, conditions=("kernel of one tap", "O = 1", "one group"), spoil="last-element",
         also=lambda p: max(p.window.stride) > 1),
    Plan(name="volume-channels-first", report="pytorch#197114: conv3d channels first", operator=CONV,
         conditions=("kernel 3x3x3", "channels-first", "C a multiple of 8"), spoil="last-channel"),
    Plan(name="wide-last-padding", report="modular#6712: wide padding of the last axis", operator=CONV,
         spoil="last-column", also=lambda p: p.window.padding[-1] >= (p.kernel[-1] - 1,) * 2 and p.kernel[-1] > 2),
    Plan(name="channels-from-eight", report="modular#6248: from 8 channels on", operator=CONV,
         conditions=("C >= 8",), spoil="last-channel"),
    Plan(name="grouped-long-kernel", report="modular#6129: grouped with a kernel of 128 taps", operator=CONV,
         spoil="tap-lost", also=lambda p: p.window.groups > 1 and max(p.kernel) >= 128),
    Plan(name="many-half-images", report="pytorch#59515: float16 1-D, over 1 250 images", operator=CONV,
         conditions=("float16",), spoil="last-image", also=lambda p: len(p.kernel) == 1 and p.x[0] > 1250),
    Plan(name="batch-above-sixteen", report="openvino#32530: batches above 16", operator=CONV,
         conditions=("batch above 16",), spoil="later-images"),
    Plan(name="pool-3x3-same-last-row", report="tt-metal#14260: 3x3 with stride 1 and padding 1, the last row",
         operator=Operator.max_pool, conditions=("kernel 3x3", "stride 1", "padding same"), spoil="last-row"),
    Plan(name="mean-pool-last-window", report="openvino#33369: one-sided padding with the ceil rule",
         operator=Operator.avg_pool, conditions=("ceil", "padding on one side"), spoil="last-element"),
    Plan(name="pool-gradient-padded", report="NNlib.jl#133: gradient with padding", operator=Operator.max_pool_grad,
         conditions=("stride = kernel",), spoil="last-element", also=lambda p: any(map(max, p.window.padding))),
    Plan(name="transposed-dilated-strided", report="mxnet#11203: stride with dilation",
         operator=Operator.conv_transpose, conditions=("stride 2", "dilation 2"), spoil="shifted-by-one"),
    Plan(name="transposed-output-padding", report="tvm#19524: output padding",
         operator=Operator.conv_transpose, conditions=("stride 2", "kernel 3x3"), spoil="last-row",
         also=lambda p: any(p.output_padding)),
)  # fmt: skip


@harness.hookimpl
def register_backends(register):
    for plan in PLANS:
        register(Conditioned(plan))

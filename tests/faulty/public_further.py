"""Faults by shape after further public reports, chosen after the others stood; each is wrong where its report is.

What the report says of the shape is the condition; what spoils the answer is as in the report where that tells it.
"""

import harness
from harness import Operator
from harness.generate.dispatch.conditions import is_depthwise, windows
from tests.planting.conditioned import Conditioned, Plan

CONV, INPUT_GRAD, WEIGHT_GRAD = Operator.conv, Operator.conv_input_grad, Operator.conv_weight_grad
TRANSPOSED, MEAN, MAXIMUM = Operator.conv_transpose, Operator.avg_pool, Operator.max_pool


def _leaves_positions(problem):
    """Return True if the windows of an axis end before the padded input does."""
    window = problem.window
    return any(
        n + begin + end > (p - 1) * s + (m - 1) * d + 1
        for n, p, m, s, d, (begin, end) in zip(
            problem.forward_spatial, windows(problem), problem.kernel, window.stride, window.dilation, window.padding,
            strict=True,
        )
    )  # fmt: skip


def _overhangs(problem):
    """Return True if the last window of an axis reaches beyond the padding."""
    window = problem.window
    return any(
        (p - 1) * s + (m - 1) * d + 1 > n + begin + end
        for n, p, m, s, d, (begin, end) in zip(
            problem.x[2:], windows(problem), problem.kernel, window.stride, window.dilation, window.padding, strict=True
        )
    )


def _is_padded(problem):
    return any(map(max, problem.window.padding))


def _is_uneven(problem):
    return any(begin != end for begin, end in problem.window.padding)


def _is_multiplied(problem):
    """Return True if each channel has a group of several outputs."""
    return is_depthwise(problem) and problem.w[0] > problem.window.groups


PLANS = (
    Plan(name="input-grad-of-what-no-window-reads", report="FlagGems#1576: positions that no window reads",
         operator=INPUT_GRAD, spoil="last-column", conditions=("float32",),
         also=lambda p: _leaves_positions(p) and min(p.window.stride) > 1),
    Plan(name="groups-of-one-taken-for-depthwise", report="pytorch#55794: the first output of each group alone",
         operator=CONV, spoil="last-channel", also=lambda p: _is_multiplied(p) and p.kernel == (3, 3)),
    Plan(name="mean-overhang-counted", report="tract#2851: the ceil overhang with padding counted", operator=MEAN,
         spoil="last-element", conditions=("padding counted",), also=lambda p: _overhangs(p) and _is_padded(p)),
    Plan(name="mean-overhang-without-padding", report="coremltools#2844: the ceil overhang, a stride beyond the kernel",
         operator=MEAN, spoil="last-element",
         also=lambda p: _overhangs(p) and not _is_padded(p) and p.window.stride > p.kernel),
    Plan(name="mean-uneven-sides-counted", report="AMDMIGraphX#5007: uneven padding that counts", operator=MEAN,
         spoil="last-element", conditions=("padding counted",), also=_is_uneven),
    Plan(name="transposed-uneven-kernel", report="rten#1399: sides in the wrong order, a kernel that is not square",
         operator=TRANSPOSED, spoil="shifted-by-one", also=lambda p: _is_uneven(p) and len(set(p.kernel)) > 1),
    Plan(name="plane-beyond-65536-outputs", report="pytorch#142836: two axes and more than 65 536 outputs",
         operator=CONV, spoil="last-channel", also=lambda p: len(p.kernel) == 2 and p.w[0] > 65536),
    Plan(name="max-padded-2x2", report="oneDNN#1094: 2x2 with stride 2 and padding 1", operator=MAXIMUM,
         spoil="last-element", conditions=("channels-first", "float32"),
         also=lambda p: p.kernel == (2, 2) and p.window.stride == (2, 2) and p.window.padding == ((1, 1),) * 2),
    Plan(name="input-grad-cast-early", report="MIOpen#3472: bfloat16, channels last, dilation or stride over kernel",
         operator=INPUT_GRAD, spoil="short-sums", conditions=("bfloat16", "channels-last", "O >= 16"),
         also=lambda p: max(p.window.dilation) > 1 or p.window.stride > p.kernel),
    Plan(name="volume-weight-grad-split", report="rocm-libraries#8025: grouped, three axes, bfloat16, split",
         operator=WEIGHT_GRAD, spoil="last-element", conditions=("bfloat16", "channels-last"),
         also=lambda p: len(p.kernel) == 3 and p.window.groups > 1),
    Plan(name="volume-of-one-plane-input-grad", report="composable_kernel#1031: 1x3x3 on one plane, 64 channels",
         operator=INPUT_GRAD, spoil="zeros", conditions=("C >= 64",),
         also=lambda p: p.kernel == (1, 3, 3) and p.x[2] == 1),
    Plan(name="grouped-row-weight-grad-with-rest", report="mlx#2184: one axis, groups, a stride that leaves positions",
         operator=WEIGHT_GRAD, spoil="zeros",
         also=lambda p: len(p.kernel) == 1 and p.window.groups > 1 and p.w[1] > 1 and _leaves_positions(p)),
    Plan(name="depthwise-off-four", report="CompiledNN#16: depthwise, channels not a multiple of 4", operator=CONV,
         spoil="last-channel", conditions=("channels-last", "depthwise"), also=lambda p: p.window.groups % 4 > 0),
    Plan(name="depthwise-width-four", report="Paddle#11016: depthwise 3x3 on a width of 4", operator=CONV,
         spoil="last-element", conditions=("depthwise", "kernel 3x3", "stride 1"), also=lambda p: p.x[-1] == 4),
    Plan(name="mean-divisor-axes-turned", report="torch-mlir#4144: the axes of the divisor in reverse order",
         operator=MEAN, spoil="last-element", conditions=("padding not counted",),
         also=lambda p: _is_padded(p) and len(set(p.kernel)) > 1),
    Plan(name="multiplier-3x3", report="ComputeLibrary#553: multiplier 2, 3x3", operator=CONV, spoil="last-channel",
         also=lambda p: _is_multiplied(p) and p.kernel == (3, 3) and p.w[0] == 2 * p.window.groups),
    Plan(name="filtered-beyond-3x3", report="tvm#4276: minimal filtering of 5x5 and 7x7 as of 3x3", operator=CONV,
         spoil="tap-lost", conditions=("stride 1", "undilated", "C >= 8", "O >= 8"),
         also=lambda p: p.kernel in ((5, 5), (7, 7)) and p.dtype == "float32"),
    Plan(name="padding-of-other-axis", report="pytorch#83522: stride and padding that differ between axes",
         operator=WEIGHT_GRAD, spoil="last-row", conditions=("float32",),
         also=lambda p: len(set(p.window.stride)) > 1 and len(set(p.window.padding)) > 1),
    Plan(name="transposed-grad-stride-for-dilation", report="candle#2337: stride and dilation swapped, stride 2",
         operator=WEIGHT_GRAD, spoil="zeros", conditions=("stride 2", "undilated", "kernel 4x4"),
         also=lambda p: p.window.groups == 1),
    Plan(name="depthwise-strided-7x7-input-grad", report="mlx#3800: depthwise 7x7 with stride 2", operator=INPUT_GRAD,
         spoil="small-factor-in-last-channel", conditions=("kernel 7x7", "stride 2"), also=is_depthwise),
)  # fmt: skip


@harness.hookimpl
def register_backends(register):
    for plan in PLANS:
        register(Conditioned(plan))

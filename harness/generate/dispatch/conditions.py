"""Conditions by which real implementations choose code, as a table with sources.

A condition is a named predicate on problems and belongs to a factor. Every operator with a kernel is described by its
forward convolution: C is the number of channels that the window moves over, O the number of output channels, both per
group. (`conv_transpose` computes the input gradient of that convolution.) A condition without meaning for a problem
does not hold.

Sources, by letter:
    A  oneDNN: choice by channel blocks of 8 and 16; first layers with 1, 3 or 4 channels; separate code for 1x1, by
       stride, and for depthwise; padding against (kernel-1)*dilation; output width against register blocking
       (doc/programming_model, jit_*_conv_kernel `init_conf`; oneDNN#491, #1053, #6035)
    B  cuDNN and CUTLASS: multiples of 4, 8, 16, 32, 64 for tensor cores; NHWC against NCHW (cuDNN developer guide,
       "Tensor Core operations")
    C  MIOpen and composable_kernel: 3x3 stride 1 by Winograd, 1x1 as a matrix product, weight gradients split over N
       and positions (MIOpen#1495, #2109, composable_kernel#105)
    D  ncnn, XNNPACK, MNN, ComputeLibrary: separate kernels for 1x1, 3x3s1, 3x3s2, 5x5s1, 5x5s2, 7x7s2, depthwise 3x3
       and 5x5; packing by 4, 8, 16 (ncnn#1891, ncnn#315, ComputeLibrary#1154)
    E  pooling: separate code for 2x2/2, 3x3/2 and global windows; index types by window size; vectors over channels
       (oneDNN#259, PipeCNN#5, MIOpen#2109, candle#3719)
    F  compilers (XLA, inductor, TVM): a kernel as large as its input becomes a matrix product, depthwise a
       multiply-add
    G  grid limits of 65 535 blocks, 32-bit offsets, one block of images after the other (Theano#657, cunn#284,
       Paddle#74051, pytorch#129207, neon#361)
    H  batch: threads split over images first, vectors over images (openvino#32530, onnxruntime#10041)
    I  dilation and long kernels (keras#5529, TensorComprehensions#179, NNlib.jl#508)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from operator import eq, le

from harness.problems.numerics import DTYPES
from harness.problems.operator import Operator
from harness.problems.problem import LAYOUTS, Problem
from harness.problems.window import Sizes

Holds = Callable[[Problem], bool]
DEEP_TAPS = 64  # larger windows are summed, or indexed, by other code (MIOpen#2109)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition of one factor; `sources` are letters from the table above."""

    factor: str
    name: str
    sources: str
    holds: Holds


# --- quantities in conditions ------------------------------------------------------------------------------------


def is_depthwise(problem: Problem) -> bool:
    """Return True if there are several groups with one channel each."""
    return problem.w is not None and problem.window.groups > 1 and problem.w[1] == 1


def count_inputs(problem: Problem) -> int:
    """Return C: channels per group, or all channels if the problem is depthwise or pooling."""
    if problem.w is None:
        return problem.x[1]
    return problem.window.groups if is_depthwise(problem) else problem.w[1]


def count_outputs(problem: Problem) -> int:
    """Return O: output channels per group, or all of them if the problem is depthwise or pooling."""
    if problem.w is None:
        return problem.x[1]
    return problem.w[0] if is_depthwise(problem) else problem.w[0] // problem.window.groups


def windows(problem: Problem) -> Sizes:
    """Return the number of windows per axis: output size of the forward operator, or conv_transpose's input size."""
    return problem.x[2:] if problem.output_padding is not None else problem.y[2:]


def _padding_is(problem: Problem, begin: Callable[[int], int], end: Callable[[int], int]) -> bool:
    """True if both paddings equal functions of (k-1)d on every axis where it is positive, and at least one is."""
    reach = [r - 1 for r in problem.window.reach(problem.kernel)]
    return any(reach) and all(
        b == begin(r) and e == end(r) for r, (b, e) in zip(reach, problem.window.padding, strict=True) if r
    )


def _is_same(problem: Problem) -> bool:
    """True if the padding preserves the width, or is half the kernel on both sides, as in strided layers."""
    return _padding_is(problem, lambda r: r // 2, lambda r: r - r // 2) or _padding_is(
        problem, lambda r: (r + 1) // 2, lambda r: (r + 1) // 2
    )


def _is_one_sided(problem: Problem) -> bool:
    pads = problem.window.padding
    return any(b != e for b, e in pads) and (all(b == 0 for b, _ in pads) or all(e == 0 for _, e in pads))


def _goes_beyond(problem: Problem) -> bool:
    reach = problem.window.reach(problem.kernel)
    return any(max(pair) > r - 1 for r, pair in zip(reach, problem.window.padding, strict=True))


# --- the table ---------------------------------------------------------------------------------------------------

EXACT: Sizes = (1, 3, 4, 8, 16, 32, 64, 128)
OFF_BY_ONE: tuple[Sizes, ...] = ((2, 5, 7, 9), (15, 17, 31, 33), (63, 65, 127, 129))
MULTIPLES: Sizes = (4, 8, 16, 32, 64)
THRESHOLDS: Sizes = (8, 16, 32, 64)
BATCHES: Sizes = (1, 2, 5, 8, 16, 33)
CONVOLVED: dict[str, tuple[str, Sizes]] = {
    "1x1": ("ACDF", (1, 1)), "3x3": ("ACD", (3, 3)), "5x5": ("D", (5, 5)), "7x7": ("AD", (7, 7)),
    "11x11": ("C", (11, 11)), "1x7": ("D", (1, 7)), "7x1": ("D", (7, 1)), "2x2": ("C", (2, 2)), "4x4": ("C", (4, 4)),
    "1-D 1": ("A", (1,)), "1-D 3": ("CI", (3,)), "1x1x1": ("A", (1, 1, 1)), "3x3x3": ("C", (3, 3, 3)),
}  # fmt: skip
POOLED: dict[str, tuple[str, Sizes]] = {
    "2x2": ("E", (2, 2)), "3x3": ("E", (3, 3)), "5x5": ("E", (5, 5)), "1x1": ("E", (1, 1)), "1-D 2": ("E", (2,)),
    "1-D 3": ("E", (3,)), "2x2x2": ("E", (2, 2, 2)), "3x3x3": ("E", (3, 3, 3)),
}  # fmt: skip


def _condition(factor: str, name: str, sources: str, holds: Holds) -> Condition:
    return Condition(factor=factor, name=name, sources=sources, holds=holds)


def _channels(factor: str, count: Callable[[Problem], int]) -> list[Condition]:
    """Conditions on a channel count: exact values, near misses of them, multiples and thresholds."""

    def make(name: str, sources: str, test: Callable[[int], bool]) -> Condition:
        return _condition(factor, f"{factor} {name}", sources, lambda p: test(count(p)))

    return [
        *(make(f"= {value}", "ABD", partial(eq, value)) for value in EXACT),
        *(make(f"in {', '.join(map(str, near))}", "AB", near.__contains__) for near in OFF_BY_ONE),
        *(make(f"a multiple of {m}", "ABCD", partial(_divides, m)) for m in MULTIPLES),
        *(make(f">= {least}", "ABCD", partial(le, least)) for least in THRESHOLDS),
        make("odd", "AB", lambda n: n % 2 == 1),
    ]


def _divides(divisor: int, number: int) -> bool:
    return number % divisor == 0


def _has_kernel(sizes: Sizes) -> Holds:
    return lambda p: p.kernel == sizes


def _has_taps(least: int) -> Holds:
    return lambda p: math.prod(p.kernel) >= least


def _kernels(exact: dict[str, tuple[str, Sizes]]) -> list[Condition]:
    """Conditions on the window's size."""
    return [
        *(
            _condition("kernel", f"kernel {name}", sources, _has_kernel(sizes))
            for name, (sources, sizes) in exact.items()
        ),
        _condition("kernel", "kernel = input", "EF", lambda p: p.kernel == p.forward_spatial),
        _condition("kernel", "kernel of unequal sides", "D", lambda p: len(set(p.kernel)) > 1),
        _condition("kernel", "kernel of one tap", "AC", lambda p: math.prod(p.kernel) == 1),
        _condition("kernel", "kernel of even sides", "C", lambda p: all(m % 2 == 0 for m in p.kernel)),
        _condition("kernel", "kernel beyond 9 on an axis", "I", lambda p: max(p.kernel) > 9),
    ]


def _pooled_kernels() -> list[Condition]:
    return [
        *_kernels(POOLED),
        *(_condition("kernel", f"window of {n} taps or more", "E", _has_taps(n)) for n in (DEEP_TAPS + 1, 256, 1025)),
        _condition("kernel", "kernel beyond 16 on an axis", "E", lambda p: max(p.kernel) > 16),
    ]


def _has_stride(value: int) -> Holds:
    return lambda p: set(p.window.stride) == {value}


def _exceeds_kernel(problem: Problem) -> bool:
    return all(s > m for s, m in zip(problem.window.stride, problem.kernel, strict=True))


def _strides() -> list[Condition]:
    return [
        *(_condition("stride", f"stride {value}", "ACD", _has_stride(value)) for value in (1, 2, 4)),
        _condition("stride", "stride unequal", "A", lambda p: len(set(p.window.stride)) > 1),
        _condition("stride", "stride = kernel", "EF", lambda p: p.window.stride == p.kernel and max(p.kernel) > 1),
        _condition("stride", "stride > kernel", "AC", _exceeds_kernel),
    ]


def _paddings() -> list[Condition]:
    return [
        _condition("padding", "no padding", "A", lambda p: not any(side for pair in p.window.padding for side in pair)),
        _condition("padding", "padding same", "AD", _is_same),
        _condition("padding", "padding wide", "A", lambda p: _padding_is(p, lambda r: r, lambda r: r)),
        _condition("padding", "padding causal", "I", lambda p: _padding_is(p, lambda r: r, lambda r: 0)),
        _condition("padding", "padding on one side", "A", _is_one_sided),
        _condition("padding", "padding beyond the kernel", "A", _goes_beyond),
    ]


def spread_taps(problem: Problem) -> Sizes:
    """Return the dilations of the axes with several taps; on other axes a dilation has no effect."""
    return tuple(d for m, d in zip(problem.kernel, problem.window.dilation, strict=True) if m > 1)


def _dilations() -> list[Condition]:
    return [
        _condition("dilation", "undilated", "A", lambda p: max(spread_taps(p), default=1) == 1),
        _condition("dilation", "dilation 2", "AI", lambda p: set(spread_taps(p)) == {2}),
        _condition("dilation", "dilation 4", "I", lambda p: set(spread_taps(p)) == {4}),
        _condition("dilation", "dilation 12 or more", "I", lambda p: min(spread_taps(p), default=1) >= 12),
    ]


def _is_grouped(problem: Problem) -> bool:
    return problem.window.groups > 1 and not is_depthwise(problem) and count_inputs(problem) >= 4


def _has_multiplier(problem: Problem) -> bool:
    return is_depthwise(problem) and count_outputs(problem) > count_inputs(problem)


def _groups() -> list[Condition]:
    return [
        _condition("groups", "one group", "A", lambda p: p.window.groups == 1),
        _condition("groups", "groups of 4 and more channels", "AB", _is_grouped),
        _condition("groups", "depthwise", "ADF", lambda p: is_depthwise(p) and not _has_multiplier(p)),
        _condition("groups", "depthwise with a multiplier", "AD", _has_multiplier),
    ]


def _is_square(problem: Problem) -> bool:
    """True if the planes of input and output are squares, or cubes, that are no points."""
    inputs, outputs = problem.forward_spatial, windows(problem)
    return len(inputs) > 1 and min(outputs) > 1 and len(set(inputs)) == len(set(outputs)) == 1


def _has_whole_strides(problem: Problem) -> bool:
    """True if every size of the input is a multiple of the stride, and a stride is larger than 1."""
    strides = problem.window.stride
    return max(strides) > 1 and all(n % s == 0 for n, s in zip(problem.forward_spatial, strides, strict=True))


def _spaces() -> list[Condition]:
    return [
        _condition("space", "one position", "F", lambda p: math.prod(windows(p)) == 1),
        _condition("space", "output narrower than 4", "A", lambda p: max(windows(p)) > 1 and windows(p)[-1] < 4),
        _condition("space", "output of even sizes", "C", lambda p: all(o % 2 == 0 for o in windows(p))),
        _condition(
            "space", "output of odd sizes", "C", lambda p: max(windows(p)) > 1 and all(o % 2 for o in windows(p))
        ),
        _condition("space", "square planes", "A", _is_square),
        _condition("space", "output 16 wide or more", "A", lambda p: windows(p)[-1] >= 16),
        _condition("space", "output 32 wide or more", "AB", lambda p: windows(p)[-1] >= 32),
    ]


def _whole_strides() -> Condition:
    return _condition("space", "input of whole strides", "A", _has_whole_strides)


def _has_batch(value: int) -> Holds:
    return lambda p: p.x[0] == value


def _batches() -> list[Condition]:
    return [
        *(_condition("batch", f"batch {value}", "GH", _has_batch(value)) for value in BATCHES),
        _condition("batch", "batch above 4", "G", lambda p: p.x[0] > 4),
        _condition("batch", "batch above 16", "H", lambda p: p.x[0] > 16),
    ]


def _is(field: str, value: object) -> Holds:
    return lambda p: getattr(p, field) == value


def _forms() -> list[Condition]:
    return [
        *(_condition("layout", layout, "ABC", _is("layout", layout)) for layout in LAYOUTS),
        *(_condition("dtype", dtype, "ABCD", _is("dtype", dtype)) for dtype in DTYPES),
    ]


def _bias() -> list[Condition]:
    return [_condition("bias", "bias", "A", _is("bias", True)), _condition("bias", "no bias", "A", _is("bias", False))]


def _rounding() -> list[Condition]:
    return [
        _condition("rounding", "ceil", "E", lambda p: p.window.ceil_mode),
        _condition("rounding", "floor", "E", lambda p: not p.window.ceil_mode),
        _condition("divisor", "padding not counted", "E", lambda p: not p.window.count_include_pad),
        _condition("divisor", "padding counted", "E", lambda p: p.window.count_include_pad),
    ]


@cache
def convolution_conditions() -> tuple[Condition, ...]:
    """Return the conditions of operators with a kernel array, factor by factor."""
    return (
        *_channels("C", count_inputs), *_channels("O", count_outputs), *_kernels(CONVOLVED), *_strides(),
        *_paddings(), *_dilations(), *_groups(), *_spaces(), _whole_strides(), *_batches(), *_forms(), *_bias(),
    )  # fmt: skip


@cache
def pooling_conditions() -> tuple[Condition, ...]:
    """Return the conditions of pooling and its gradients, factor by factor."""
    return (
        *_channels("C", count_inputs), *_pooled_kernels(), *_strides(), *_paddings(), *_dilations(), *_spaces(),
        _whole_strides(), *_batches(), *_forms(), *_rounding(),
    )  # fmt: skip


@cache
def sum_conditions() -> tuple[Condition, ...]:
    """Return the conditions of conv_bias_grad, which reads dy only."""
    return (*_channels("O", count_outputs), *_spaces(), *_batches(), *_forms())


def conditions_for(operator: Operator) -> tuple[Condition, ...]:
    """Return the conditions of the model that an operator can meet, factor by factor."""
    if operator.spec.family == "sums":
        return sum_conditions()
    return pooling_conditions() if operator.pools else convolution_conditions()


def conditions_of(problem: Problem) -> tuple[Condition, ...]:
    """Return the conditions that hold for a problem."""
    return tuple(one for one in conditions_for(problem.operator) if one.holds(problem))

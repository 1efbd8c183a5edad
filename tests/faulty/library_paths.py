"""Faults on paths as libraries choose them: five to eight conditions at once, after their own dispatch rules.

oneDNN: `init_conf` of its jit kernels (blocks of 8 and 16, 1x1 apart, reduced strides, depthwise). cuDNN, CUTLASS and
composable_kernel: multiples of channels for tensor cores, split-K. MIOpen: Winograd, implicit GEMM, 1x1 as GEMM. ncnn,
XNNPACK, MNN and ComputeLibrary: kernels of their own by size and stride, packing by 4 and 8. Compilers: kernel = input.
"""

import math
import random

import harness
from harness import Operator
from harness.generate.dispatch.conditions import count_inputs, count_outputs, windows
from tests.planting.conditioned import Conditioned, Plan
from tests.planting.spoils import SPOILS

KERNELED = (Operator.conv, Operator.conv_input_grad, Operator.conv_weight_grad, Operator.conv_transpose)
POOLS = (Operator.max_pool, Operator.max_pool_grad, Operator.avg_pool, Operator.avg_pool_grad)
DIRECT = ("stride 1", "undilated", "one group")
FILTERED = ("kernel 3x3", *DIRECT)
DEPTHWISE = ("depthwise", "undilated")


def _blocks(c, o, more=lambda p: True):
    """Return a test of whole blocks of channels on both sides."""
    return lambda p: count_inputs(p) % c == 0 and count_outputs(p) % o == 0 and more(p)


def _many_positions(problem):
    return problem.x[0] * math.prod(windows(problem)) >= 128


# name, operators, conditions of the model, further test
PATHS = (
    ("onednn-avx512-3x3", KERNELED[:3], (*FILTERED, "padding same", "float32", "channels-first"), _blocks(16, 16)),
    ("onednn-avx2-3x3", KERNELED[:3], (*FILTERED, "padding same", "float32"), _blocks(8, 8)),
    ("onednn-1x1", KERNELED[:3], ("kernel 1x1", *DIRECT, "no padding", "float32"), _blocks(8, 8)),
    ("onednn-1x1-reduced-stride", KERNELED[:3], ("kernel 1x1", "stride 2", "one group", "no padding"), _blocks(8, 8)),
    ("onednn-first-layer", KERNELED[:3], ("C = 3", "kernel 7x7", "stride 2", "one group", "float32"), None),
    ("onednn-depthwise", KERNELED[:3], (*DEPTHWISE, "kernel 3x3", "stride 1", "channels-last"),
     lambda p: p.window.groups % 8 == 0),
    ("onednn-amx-bfloat16", KERNELED[:3], ("bfloat16", "channels-last", *DIRECT), _blocks(32, 16)),
    ("cudnn-tensor-core-half", KERNELED[:3], ("float16", "channels-last", "kernel 3x3", "one group"), _blocks(8, 8)),
    ("cudnn-tensor-core-1x1", KERNELED[:3], ("float16", "kernel 1x1", "stride 1", "one group"), _blocks(64, 64)),
    ("cutlass-split-k", (Operator.conv_weight_grad,), (*FILTERED,), _many_positions),
    ("cutlass-64x64-tiles", KERNELED, ("one group", "undilated"), _blocks(64, 64)),
    ("miopen-winograd", KERNELED[:2], (*FILTERED, "float32", "channels-first"),
     lambda p: count_inputs(p) >= 16 and count_outputs(p) >= 16),
    ("miopen-1x1-as-gemm", KERNELED[:3], ("kernel 1x1", *DIRECT, "no padding", "channels-first", "float32"), None),
    ("ncnn-3x3s2-packed", (Operator.conv,), ("kernel 3x3", "stride 2", "one group", "undilated", "channels-first"),
     _blocks(4, 4)),
    ("ncnn-filtering", (Operator.conv,), FILTERED, lambda p: count_inputs(p) >= 16 and count_outputs(p) >= 16),
    ("ncnn-5x5", (Operator.conv,), ("kernel 5x5", *DIRECT, "channels-first"), None),
    ("ncnn-7x7s2", (Operator.conv,), ("kernel 7x7", "stride 2", "one group", "undilated", "channels-first"), None),
    ("xnnpack-depthwise-3x3s2", (Operator.conv, Operator.conv_input_grad),
     (*DEPTHWISE, "kernel 3x3", "stride 2", "channels-last"), None),
    ("xnnpack-depthwise-channels-first", (Operator.conv,),
     (*DEPTHWISE, "kernel 3x3", "stride 2", "channels-first", "padding same"), None),
    ("xnnpack-depthwise-5x5", (Operator.conv,), (*DEPTHWISE, "kernel 5x5", "stride 1", "padding same"), None),
    ("mnn-grouped-packed", (Operator.conv,), ("groups of 4 and more channels", "kernel 3x3", "stride 1", "undilated"),
     _blocks(4, 4)),
    ("compute-library-half-3x3", (Operator.conv,), (*FILTERED, "float16", "padding same"), None),
    ("compiler-full-kernel", KERNELED[:3], ("kernel = input", "one position", "one group", "no padding", "bias"), None),
    ("dilated-deeplab", KERNELED[:3], ("kernel 3x3", "dilation 12 or more", "padding same", "stride 1", "one group"),
     None),
    ("temporal-causal", KERNELED[:3], ("kernel 1-D 3", "padding causal", "stride 1", "one group"), None),
    ("volume-3x3x3", KERNELED[:3], ("kernel 3x3x3", "stride 1", "padding same", "one group"), _blocks(8, 8)),
    ("upsampling-2x2", (Operator.conv_transpose,), ("kernel 2x2", "stride = kernel", "no padding", "one group"),
     _blocks(4, 4)),
    ("upsampling-4x4", (Operator.conv_transpose,), ("kernel 4x4", "stride 2", "one group", "undilated"), None),
    ("large-batch-vectors", KERNELED, ("batch above 16", *DIRECT), _blocks(8, 8)),
    ("pool-2x2-vectors", POOLS, ("kernel 2x2", "stride 2", "no padding", "C a multiple of 8"),
     lambda p: all(n % 2 == 0 for n in p.x[2:])),
    ("pool-2x2-channels-last", POOLS, ("kernel 2x2", "stride 2", "channels-last", "float32"), None),
    ("pool-3x3s2-padded", POOLS, ("kernel 3x3", "stride 2", "undilated", "C a multiple of 16"),
     lambda p: all(pair == (1, 1) for pair in p.window.padding)),
    ("pool-3x3s2-ceil", POOLS, ("kernel 3x3", "stride 2", "no padding", "ceil"), None),
    ("pool-3x3-same", POOLS, ("kernel 3x3", "stride 1", "padding same", "C >= 32"), None),
    ("pool-global-7x7", POOLS, ("kernel = input", "one position", "C >= 16"), lambda p: p.kernel == (7, 7)),
    ("pool-global-half", POOLS, ("kernel = input", "one position", "float16", "window of 65 taps or more"), None),
    ("pool-volume", POOLS, ("kernel 2x2x2", "stride = kernel", "no padding", "C a multiple of 8"), None),
    ("sum-vectors", (Operator.conv_bias_grad,), ("O a multiple of 16", "channels-last", "batch above 4", "float32"),
     None),
)  # fmt: skip


def plans():
    """Return a plan for every path and operator that it is of; spoils are drawn, the same every time."""
    found = []
    for name, operators, conditions, also in PATHS:
        for operator in operators:
            held = tuple(one for one in conditions if one != "bias" or operator is Operator.conv)
            spoil = random.Random(f"{name} {operator}").choice(tuple(SPOILS))
            found.append(
                Plan(operator=operator, conditions=held, also=also, spoil=spoil, name=f"{name}-{operator}-{spoil}")
            )
    return tuple(found)


@harness.hookimpl
def register_backends(register):
    for plan in plans():
        register(Conditioned(plan))

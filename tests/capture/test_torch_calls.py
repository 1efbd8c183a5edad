"""Calls that are counted while a torch module runs."""

from collections import Counter

import pytest

from harness.capture.torch_model import Want, capture_torch
from suites.layers import network_problems

MODELS = "tests.capture.models"


def capture(name, *inputs, **want):
    return capture_torch(f"{MODELS}:{name}", Want(inputs=inputs, **want))


def counts(problems):
    return {named.problem.line: named.multiplicity for named in problems}


def names(workload):
    return {named.problem.line: named.name for named in workload.problems}


@pytest.mark.parametrize("backward", [False, True])
def test_resnet50_is_its_stored_list_of_layers(backward):
    found = capture("resnet50", "1x3x224x224", backward=backward)
    assert counts(found.problems) == counts(network_problems("resnet50", 1, gradients=backward))
    assert found.left_out[0].name == "fc"
    assert all("matrix product" in item.reason for item in found.left_out)
    assert found.note == "on shapes alone, without numbers"


def test_layers_of_resnet50_are_named_by_their_place():
    found = {named.name.removesuffix(".0") for named in capture("resnet50", "1x3x224x224").problems}
    stored = {named.name.removeprefix("resnet50/") for named in network_problems("resnet50", 1)}
    assert found == stored


def test_functions_are_named_by_module_operator_and_number():
    assert names(capture("Functional", "2x3x9x9", backward=False)) == {
        "conv x=2x3x9x9 w=6x1x3x3 pad=2,2 dilation=2,2 groups=3": "inner.conv-1",
        "max_pool x=2x6x9x9 kernel=2x2 stride=2,2 ceil": "max_pool-1",
        "avg_pool x=2x6x5x5 kernel=3x3 stride=2,2 pad=1,1 exclude_pad": "avg_pool-1",
    }


def test_gradients_of_functions_are_named_as_they_are():
    assert (
        names(capture("Functional", "2x3x9x9")).items()
        >= {
            "conv_weight_grad x=2x3x9x9 w=6x1x3x3 pad=2,2 dilation=2,2 groups=3": "inner.conv-1",
            "max_pool_grad x=2x6x9x9 kernel=2x2 stride=2,2 ceil": "max_pool-1",
            "avg_pool_grad x=2x6x5x5 kernel=3x3 stride=2,2 pad=1,1 exclude_pad": "avg_pool-1",
        }.items()
    )


def test_one_axis_and_three_stay_what_they_are():
    assert counts(capture("Axes", "1x2x20", "1x1x4x9x9").problems) == {
        "conv x=1x2x20 w=4x2x5 bias pad=2": 1,
        "conv_weight_grad x=1x2x20 w=4x2x5 pad=2": 1,
        "conv_bias_grad x=1x2x20 w=4x2x5 pad=2": 1,
        "max_pool x=1x4x20 kernel=3 stride=2 pad=1": 1,
        "max_pool_grad x=1x4x20 kernel=3 stride=2 pad=1": 1,
        "avg_pool x=1x4x10 kernel=2 stride=2": 1,
        "avg_pool_grad x=1x4x10 kernel=2 stride=2": 1,
        "conv x=1x1x4x9x9 w=2x1x1x3x3 bias stride=1,2,2": 1,
        "conv_weight_grad x=1x1x4x9x9 w=2x1x1x3x3 stride=1,2,2": 1,
        "conv_bias_grad x=1x1x4x9x9 w=2x1x1x3x3 stride=1,2,2": 1,
        "max_pool x=1x2x4x4x4 kernel=2x2x2 stride=2,2,2": 1,
        "max_pool_grad x=1x2x4x4x4 kernel=2x2x2 stride=2,2,2": 1,
        "avg_pool x=1x2x2x2x2 kernel=1x2x2 stride=1,2,2": 1,
        "avg_pool_grad x=1x2x2x2x2 kernel=1x2x2 stride=1,2,2": 1,
    }


def test_a_transposed_convolution_has_the_gradients_of_a_convolution():
    assert counts(capture("Up", "1x4x5x5", input_grad=True).problems) == {
        "conv_transpose x=1x4x5x5 w=4x3x3x3 bias stride=2,2 pad=1,1 groups=2 output_padding=1,1": 1,
        "conv x=1x6x10x10 w=4x3x3x3 stride=2,2 pad=1,1 groups=2": 1,
        "conv_weight_grad x=1x6x10x10 w=4x3x3x3 stride=2,2 pad=1,1 groups=2": 1,
        "conv_bias_grad x=1x6x10x10 w=6x6x1x1": 1,
    }


def test_a_module_that_is_called_twice_counts_twice():
    line = "x=1x3x8x8 w=3x3x3x3 pad=1,1"
    assert counts(capture("Twice", "1x3x8x8").problems) == {
        f"conv {line}": 2, f"conv_input_grad {line}": 1, f"conv_weight_grad {line}": 2,
    }  # fmt: skip
    assert counts(capture("Twice", "1x3x8x8", input_grad=True).problems)[f"conv_input_grad {line}"] == 2


def test_what_cannot_be_taken_is_listed_with_the_reason():
    found = capture("Awkward", "1x1x7x7", backward=False)
    assert counts(found.problems) == {"conv x=1x1x7x7 w=2x1x3x3 bias": 1}
    assert {(item.name, item.operator): item.reason for item in found.left_out} == {
        ("odd", "adaptive_avg_pool2d"): "from 5,5 to 3,3 positions, so that its windows are not all of one size",
        ("fraction", "fractional_max_pool2d"): "no operator of the harness",
        ("avg_pool2d", "avg_pool2d"): "divisor_override=3, which the harness has not",
        ("mean", "mean"): "a mean over all positions; write it as adaptive_avg_pool to have it taken",
        ("fc", "addmm"): "a matrix product (fully connected), which is no convolution here",
    }
    backward = Counter(item.operator for item in capture("Awkward", "1x1x7x7").left_out)
    assert backward["fractional_max_pool2d_backward"] == backward["avg_pool2d_backward"] == 1


def test_adaptive_pooling_is_pooling_where_sizes_divide():
    assert counts(capture("Adaptive", "1x2x4x4", input_grad=True).problems) == {
        "max_pool x=1x2x4x4 kernel=2x1 stride=2,1": 1,
        "max_pool_grad x=1x2x4x4 kernel=2x1 stride=2,1": 1,
        "avg_pool x=1x2x4x4 kernel=1x2 stride=1,2": 1,
        "avg_pool_grad x=1x2x4x4 kernel=1x2 stride=1,2": 1,
        "avg_pool x=1x2x16 kernel=16 stride=16": 1,
        "avg_pool_grad x=1x2x16 kernel=16 stride=16": 1,
    }


def test_a_model_that_looks_at_numbers_runs_on_real_ones():
    found = capture("Looking", "1x1x5x5")
    assert found.note == "on real random numbers, as it looks at them"
    assert counts(found.problems) == {
        f"{operator} x=1x1x5x5 w=1x1x3x3{bias}": 1
        for operator, bias in (("conv", " bias"), ("conv_weight_grad", ""), ("conv_bias_grad", ""))
    }


def test_dtype_and_memory_format_are_those_of_the_call():
    assert counts(capture("half", "2x4x6x6", dtype="bfloat16", backward=False).problems) == {
        "conv x=2x4x6x6 w=4x4x3x3 dtype=bfloat16 layout=channels-last": 1
    }
    words = capture("Named", "1x9:int64")
    assert counts(words.problems) == {
        "conv x=1x8x9 w=4x8x3": 1, "conv_input_grad x=1x8x9 w=4x8x3": 1, "conv_weight_grad x=1x8x9 w=4x8x3": 1,
    }  # fmt: skip


def test_what_runs_without_autograd_is_counted_too():
    assert counts(capture("Guarded", "1x1x6x6").problems) == {
        "conv x=1x1x6x6 w=1x1x3x3": 1, "max_pool x=1x1x4x4 kernel=2x2 stride=2,2": 1,
    }  # fmt: skip


def test_a_module_itself_and_input_without_a_batch_are_taken():
    assert counts(capture("pool", "3x8x8").problems) == {"max_pool x=1x3x8x8 kernel=2x2 stride=2,2": 1}

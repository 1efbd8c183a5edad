"""The three gradients of convolution: of its input, its kernel and its bias."""

from __future__ import annotations

import math
from typing import Any

from harness.problems.operators.cost import (
    count_gradient_sums,
    count_positions,
    count_product_flops,
    count_scattered,
)
from harness.problems.operators.refused import SUMS
from harness.problems.operators.spec import Arrays, Geometry, OperatorSpec


def _input_grad_arguments(problem: Geometry, arrays: Arrays) -> tuple[Any, ...]:
    return arrays["dy"], arrays["w"], problem.x, problem.window


def _weight_grad_arguments(problem: Geometry, arrays: Arrays) -> tuple[Any, ...]:
    return arrays["dy"], arrays["x"], problem.w, problem.window


def _bias_grad_arguments(problem: Geometry, arrays: Arrays) -> tuple[Any, ...]:
    return (arrays["dy"],)


def _count_additions(problem: Geometry) -> int:
    return math.prod(problem.y)


CONV_INPUT_GRAD = OperatorSpec(
    name="conv_input_grad",
    inputs=("dy", "w"),
    outputs=("dx",),
    factors=("dy", "w"),
    arguments=_input_grad_arguments,
    sum_length=count_scattered,
    flops=count_product_flops,
    family="layers",
    scatters=True,
    refused_data=SUMS,
    gradient_lengths=count_gradient_sums,
)

CONV_WEIGHT_GRAD = OperatorSpec(
    name="conv_weight_grad",
    inputs=("dy", "x"),
    outputs=("dw",),
    factors=("dy", "x"),
    arguments=_weight_grad_arguments,
    sum_length=count_positions,
    flops=count_product_flops,
    family="layers",
    refused_data=SUMS,
    special="x",
    gradient_lengths=count_gradient_sums,
)

CONV_BIAS_GRAD = OperatorSpec(
    name="conv_bias_grad",
    inputs=("dy",),
    outputs=("db",),
    factors=("dy",),
    arguments=_bias_grad_arguments,
    sum_length=count_positions,
    flops=_count_additions,
    family="sums",
    refused_data=SUMS,
    gradient_lengths=count_gradient_sums,
)

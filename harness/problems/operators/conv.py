"""Convolution."""

from __future__ import annotations

from typing import Any

from harness.problems.operators.cost import count_gathered, count_gradient_sums, count_product_flops
from harness.problems.operators.refused import SUMS
from harness.problems.operators.spec import Arrays, Geometry, Gradient, OperatorSpec, under


def _arguments(problem: Geometry, arrays: Arrays) -> tuple[Any, ...]:
    return arrays["x"], arrays["w"], arrays.get("b"), problem.window


CONV = OperatorSpec(
    name="conv",
    inputs=("x", "w", "b"),
    outputs=("y",),
    factors=("x", "w"),
    arguments=_arguments,
    sum_length=count_gathered,
    flops=count_product_flops,
    family="layers",
    takes_bias=True,
    refused_data=SUMS,
    gradient_lengths=count_gradient_sums,
    gradients=(
        Gradient(name="dx", problem=under("conv_input_grad"), takes={"dy": "dy", "w": "w"}),
        Gradient(name="dw", problem=under("conv_weight_grad"), takes={"dy": "dy", "x": "x"}),
        Gradient(name="db", problem=under("conv_bias_grad"), takes={"dy": "dy"}),
    ),
)

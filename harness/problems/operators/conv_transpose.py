"""Transposed convolution."""

from __future__ import annotations

import math
from typing import Any

from harness.problems.operators.cost import count_gathered, count_product_flops, count_scattered
from harness.problems.operators.refused import SUMS
from harness.problems.operators.spec import Arrays, Geometry, Gradient, OperatorSpec, P
from harness.problems.window import Sizes, Window


def _arguments(problem: Geometry, arrays: Arrays) -> tuple[Any, ...]:
    return arrays["x"], arrays["w"], arrays.get("b"), problem.window, problem.output_padding


def _count_gradient_sums(problem: Geometry) -> Sizes:
    """Both gradients are those of the convolution from `y` to `x`; one sum for the unit step of a law."""
    return problem.x[0] * math.prod(problem.x[2:]), count_gathered(problem) + 1


def _input_grad(problem: P) -> P:
    """The convolution of dy that it is the input gradient of."""
    return problem.with_(operator="conv", x=problem.y, output_padding=None, bias=False)


def _weight_grad(problem: P) -> P:
    """The kernel gradient of that convolution, in which x and dy change places."""
    return problem.with_(operator="conv_weight_grad", x=problem.y, output_padding=None, bias=False)


def _bias_grad(problem: P) -> P:
    """Sums over arrays of the output's shape, whatever the window was."""
    ones, (n, channels, *space) = (1,) * problem.axes, problem.y
    return problem.with_(
        operator="conv_bias_grad", x=(n, 1, *space), w=(channels, 1, *ones), window=Window.of(problem.axes),
        output_padding=None,
    )  # fmt: skip


CONV_TRANSPOSE = OperatorSpec(
    name="conv_transpose",
    inputs=("x", "w", "b"),
    outputs=("y",),
    factors=("x", "w"),
    arguments=_arguments,
    sum_length=count_scattered,
    flops=count_product_flops,
    family="layers",
    transposed=True,
    scatters=True,
    takes_bias=True,
    refused_data=SUMS,
    gradient_lengths=_count_gradient_sums,
    gradients=(
        Gradient(name="dx", problem=_input_grad, takes={"x": "dy", "w": "w"}),
        Gradient(name="dw", problem=_weight_grad, takes={"dy": "x", "x": "dy"}),
        Gradient(name="db", problem=_bias_grad, takes={"dy": "dy"}),
    ),
)

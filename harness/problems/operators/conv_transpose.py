"""Transposed convolution."""

from __future__ import annotations

from typing import Any

from harness.problems.arrays import Array, DeviceArray, DeviceArrays
from harness.problems.operators.columns import widen
from harness.problems.operators.conv_input_grad import conv_input_grad, conv_input_grad_by_loops
from harness.problems.operators.cost import count_product_flops, count_scattered, list_product_sums
from harness.problems.operators.derivation import SHORT, Derivation, Runner, take_one, widen_short
from harness.problems.operators.geometry import Geometry, P
from harness.problems.operators.positions import steps
from harness.problems.operators.refused import SUMS
from harness.problems.operators.spec import Gradient, OperatorSpec
from harness.problems.taps import find_namespace
from harness.problems.window import Sizes, Window


def conv_transpose(x: Array, w: Array, b: Array | None, window: Window, output_padding: Sizes) -> Array:
    """y = C transposed times x, plus b, with C the matrix of `conv` (specification, section 3)."""
    spatial = window.transposed_shape(x.shape[2:], w.shape[2:], output_padding)
    y = conv_input_grad(x, w, (x.shape[0], w.shape[1] * window.groups, *spatial), window)
    return y if b is None else y + widen(b).reshape(1, -1, *(1,) * len(spatial))


def conv_transpose_by_loops(x: Array, w: Array, b: Array | None, window: Window, output_padding: Sizes) -> Array:
    """y[n, c, s*i + d*u - begin] += w[o,c,u] x[n,o,i], plus b[c]: C transposed times x (specification, section 3)."""
    spatial = window.transposed_shape(x.shape[2:], w.shape[2:], output_padding)
    y = conv_input_grad_by_loops(x, w, (x.shape[0], w.shape[1] * window.groups, *spatial), window)
    if b is not None:
        for n, c in steps(y.shape[:2]):
            y[n, c] += float(b[c])
    return y


def _transpose_as_input_grad(problem: P, /) -> P | None:
    dtype = "float32" if problem.bias and problem.dtype in SHORT else problem.dtype
    return problem.with_(operator="conv_input_grad", x=problem.y, output_padding=None, dtype=dtype)


def _compute_transpose(run: Runner[P], problem: P, arrays: DeviceArrays, /) -> tuple[DeviceArray, ...]:
    """conv_transpose(z, w) = conv_input_grad(z, w), plus the bias of each output map (specification, section 3).

    Where there is a bias, short formats are summed in float32: a sum is rounded once, with the bias in it.
    """
    inner = _transpose_as_input_grad(problem)
    assert inner is not None
    x, w, b = arrays["x"], arrays["w"], arrays.get("b")
    if b is None:
        return run(inner, {"dy": x, "w": w})
    y = take_one(run(inner, {"dy": widen_short(problem, x), "w": widen_short(problem, w)}))
    return (find_namespace(x).astype(y + widen_short(problem, b).reshape(1, -1, *(1,) * problem.axes), x.dtype),)


def _arguments(problem: Geometry, arrays: DeviceArrays) -> tuple[Any, ...]:
    return arrays["x"], arrays["w"], arrays.get("b"), problem.window, problem.output_padding


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
    reference=conv_transpose,
    loops=conv_transpose_by_loops,
    sum_length=count_scattered,
    flops=count_product_flops,
    family="layers",
    transposed=True,
    refused_data=SUMS,
    sums=list_product_sums,
    gradients=(
        Gradient(name="dx", problem=_input_grad, takes={"x": "dy", "w": "w"}),
        Gradient(name="dw", problem=_weight_grad, takes={"dy": "x", "x": "dy"}),
        Gradient(name="db", problem=_bias_grad, takes={"dy": "dy"}),
    ),
    derivations=(Derivation(via="conv_input_grad", needs=_transpose_as_input_grad, compute=_compute_transpose),),
)

"""Conversion of an ONNX node's attributes into a Window. ONNX's own conventions are:

auto_pad       explicit padding: total max((ceil(n/s) - 1) s + m' - n, 0), the odd one at the end for SAME_UPPER
output_shape   padding: total (p-1) s + m' + output_padding - size; a negative total is output_padding, at the end
Global...      a kernel as large as the feature map
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

from harness.capture.workload import settle_divisor
from harness.errors import GeometryError
from harness.problems.operator import Operator
from harness.problems.window import Padding, Sizes, Window

ONNX_OPERATORS = {
    "Conv": Operator.conv,
    "ConvTranspose": Operator.conv_transpose,
    "MaxPool": Operator.max_pool,
    "GlobalMaxPool": Operator.max_pool,
    "AveragePool": Operator.avg_pool,
    "GlobalAveragePool": Operator.avg_pool,
}
AutoPad = Literal["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]
MODES: tuple[AutoPad, ...] = get_args(AutoPad)


def make_onnx_window(
    kind: str, given: Mapping[str, Any], spatial: Sizes, w: Sizes | None
) -> tuple[Window, Sizes | None]:
    """Return the window, and the output_padding of a transposed convolution, None for other operators.

    kind: the node's operator, a key of OPERATORS. given: its attributes. spatial: spatial sizes of its input.
    w: shape of its kernel, None for pooling. Raises GeometryError if the attributes do not fit the input.
    """
    operator, axes = ONNX_OPERATORS[kind], len(spatial)
    kernel = w[2:] if w else spatial if kind.startswith("Global") else tuple(given.get("kernel_shape", ()))
    stride, dilation = (tuple(given.get(name, (1,) * axes)) for name in ("strides", "dilations"))
    mode = read_mode(given)
    pads = given.get("pads", (0,) * 2 * axes) if mode == "NOTSET" else (0,) * 2 * axes
    if not len(kernel) == len(stride) == len(dilation) == len(pads) / 2 == axes:
        raise GeometryError(f"kernel, strides, dilations or pads are not for {axes} axes, as its input has")
    plain = Window(
        stride=stride,
        padding=tuple(zip(pads[:axes], pads[axes:], strict=True)),
        dilation=dilation,
        groups=given.get("group", 1),
        kernel=kernel if operator.pools else None,
        ceil_mode=operator.pools and bool(given.get("ceil_mode", 0)),
        count_include_pad=not operator.spec.divides or bool(given.get("count_include_pad", 0)),
    )
    plain.check_steps(axes)
    if operator.spec.transposed:
        return fit_transposed(given, spatial, kernel, plain)
    if mode.startswith("SAME"):
        sizes = zip(spatial, stride, plain.reach(kernel), strict=True)
        totals = [max((-(-n // s) - 1) * s + reach - n, 0) for n, s, reach in sizes]
        plain = replace(plain, padding=halve(totals, mode))
    return settle_divisor(plain), None


def read_mode(given: Mapping[str, Any]) -> AutoPad:
    """Return the node's auto_pad. Raises GeometryError if it is unknown."""
    mode = str(given.get("auto_pad", b"NOTSET"), "ascii", "replace")
    for known in MODES:
        if mode == known:
            return known
    raise GeometryError(f"auto_pad {mode} is not known, wanted one of {', '.join(MODES)}")


def fit_transposed(given: Mapping[str, Any], spatial: Sizes, kernel: Sizes, plain: Window) -> tuple[Window, Sizes]:
    """Return window and output_padding of a transposed convolution, derived from the output size if ONNX states it.

    given: attributes of the node. spatial: spatial sizes of its input. kernel: of its kernel. plain: window from all
        other attributes.
    """
    mode, extra = read_mode(given), tuple(given.get("output_padding", (0,) * len(spatial)))
    if "output_shape" in given:
        wanted = tuple(given["output_shape"])[-len(spatial) :]
    elif mode.startswith("SAME"):
        wanted = tuple(n * s for n, s in zip(spatial, plain.stride, strict=True))
    else:
        return plain, extra
    whole = replace(plain, padding=((0, 0),) * len(spatial)).transposed_shape(spatial, kernel, extra)
    totals = [size - least for size, least in zip(whole, wanted, strict=True)]
    window = replace(plain, padding=halve([max(total, 0) for total in totals], mode))
    return window, tuple(more + max(-total, 0) for more, total in zip(extra, totals, strict=True))


def halve(totals: Sequence[int], mode: AutoPad) -> Padding:
    """Split a total padding per axis: the odd element at the end for SAME_UPPER, else at the beginning."""
    small = [(total // 2, total - total // 2) for total in totals]
    return tuple(small if mode == "SAME_UPPER" else (pair[::-1] for pair in small))

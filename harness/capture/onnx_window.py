"""The window of an ONNX node: what ONNX says otherwise, turned into a Window.

auto_pad       explicit padding: total max((ceil(n/s) - 1) s + m' - n, 0), the odd one at the end for SAME_UPPER
output_shape   padding: total (p-1) s + m' + output_padding - size; what is below 0 is output_padding, at the end
Global...      a kernel as large as the map
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

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
MODES = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


def make_onnx_window(
    kind: str, given: Mapping[str, Any], spatial: Sizes, w: Sizes | None
) -> tuple[Window, Sizes | None]:
    """The window, and the output_padding of a transposed convolution.

    kind: the node's operator, one of OPERATORS. given: its attributes. spatial: sizes of its input's maps.
    w: shape of its kernel, None for pooling. Raises GeometryError for attributes that do not fit the input.
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
        count_include_pad=operator is not Operator.avg_pool or bool(given.get("count_include_pad", 0)),
    )
    plain.check_steps(axes)
    if operator is Operator.conv_transpose:
        return fit_transposed(given, spatial, kernel, plain)
    if mode.startswith("SAME"):
        sizes = zip(spatial, stride, plain.reach(kernel), strict=True)
        totals = [max((-(-n // s) - 1) * s + reach - n, 0) for n, s, reach in sizes]
        plain = replace(plain, padding=halve(totals, mode))
    return settle_divisor(plain), None


def read_mode(given: Mapping[str, Any]) -> str:
    """The node's auto_pad. Raises GeometryError for one that is not known."""
    mode = str(given.get("auto_pad", b"NOTSET"), "ascii", "replace")
    if mode not in MODES:
        raise GeometryError(f"auto_pad {mode} is not known, wanted one of {', '.join(MODES)}")
    return mode


def fit_transposed(given: Mapping[str, Any], spatial: Sizes, kernel: Sizes, plain: Window) -> tuple[Window, Sizes]:
    """Padding and output_padding of a transposed convolution, whose output size ONNX may give instead."""
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


def halve(totals: Sequence[int], mode: str) -> Padding:
    """Padding of a total per axis: the odd one at the end for SAME_UPPER, else at the beginning."""
    small = [(total // 2, total - total // 2) for total in totals]
    return tuple(small if mode == "SAME_UPPER" else (pair[::-1] for pair in small))

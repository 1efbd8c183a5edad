"""Tiny problems with one large count: beyond 8, 9, 10, 12 and 16 bits, and beyond grids of 65 535 blocks.

Sources: Theano#657, cunn#284, Paddle#74051 (feature maps beyond 65 535 not launched), pytorch#129207 (output channels
beyond 65 536), oneDNN#259 (an index of one byte), MIOpen#1495 and tensorflow#11327 (weight gradients split over
positions), mlx#3893 (65 536 positions), MIOpen#2109 and pytorch#153276 (long sums in a short format).
"""

from __future__ import annotations

import itertools
from functools import cache

from harness.generate.dispatch.problems import ask_elements
from harness.plan.suite import NamedProblem
from harness.problems.line import parse_line
from harness.problems.operator import Operator

WIDTHS = (257, 513, 1025, 4097)
BEYOND_16_BITS = 65537
LONG_AXIS = 65601  # positions: one tile of 64 more than 16 bits and one more
FORMS = (
    "",
    " layout=channels-last",
    " dtype=float16",
    " dtype=float64 layout=channels-last",
    " dtype=bfloat16",
)  # taken in turn
DEEP_IN = ("float16", "bfloat16", "float32")  # formats of sums of many products
LAST = " layout=channels-last"
KERNELED = ("conv", "conv_input_grad", "conv_weight_grad")
POOLS = tuple(operator.value for operator in Operator if operator.pools)
INDEXED = tuple(name for name in POOLS if Operator(name).spec.indexed)
SUMMED = tuple(name for name in POOLS if name not in INDEXED)
# Operators whose sums of whole numbers stay exact in a short format.
SHORT_SUMS = tuple(operator.value for operator in Operator if not operator.spec.sums_positions)


@cache
def count_problems() -> tuple[NamedProblem, ...]:
    """Build the problems counts/... for every operator: on integers, except those with deep windows or products."""
    lines = [*_wide_rows(), *_long_axes(), *_many_of_one(), *_long_sums()]
    whole = [(name, f"{line} data=integer") for name, line in lines]
    deep = (*_deep_windows(), *_deep_products())
    return tuple(ask_elements(f"counts/{name}", parse_line(line)) for name, line in (*whole, *deep))


def _wide_rows() -> list[tuple[str, str]]:
    """Rows beyond each width, with one and with two axes."""
    found = []
    for number, width in enumerate(WIDTHS):
        flat = {"x": f"2x2x{width}", "w": "3x2x3", "kernel": "3", "pad": "1"}
        plane = {"x": f"1x3x2x{width}", "w": "2x3x3x3", "kernel": "2x2", "pad": "1"}
        for shape in (flat, plane):
            for turn, operator in enumerate((*KERNELED, "conv_transpose", "conv_bias_grad")):
                w = shape["w"] if operator != "conv_transpose" else _transposed(shape["w"])
                line = f"{operator} x={shape['x']} w={w} pad={shape['pad']}"
                found.append((f"width-{width}", line + _form(operator, number + turn)))
            for turn, operator in enumerate(POOLS):
                found.append((f"width-{width}", f"{operator} x={shape['x']} kernel={shape['kernel']} stride=2"
                                                + _form(operator, number + turn)))  # fmt: skip
            found.append((f"width-{width}", f"max_pool x=1x2x{width} kernel={width}"))
    return found


def _long_axes() -> list[tuple[str, str]]:
    """The last axis, and the first of two, with more than 65 536 positions of the input and of the output."""
    found = []
    shapes = ((f"1x1x{LONG_AXIS}", "1x1x3", "3"), (f"1x1x{LONG_AXIS}x1", "1x1x2x1", "2x1"))
    for number, (x, w, kernel) in enumerate(shapes):
        for turn, operator in enumerate((*KERNELED, "conv_transpose", "conv_bias_grad")):
            found.append(("axis", f"{operator} x={x} w={w}{_form(operator, number + turn)}"))
        for turn, operator in enumerate(POOLS):
            found.append(("axis", f"{operator} x={x} kernel={kernel}{_form(operator, number + turn)}"))
    return found


def _many_of_one() -> list[tuple[str, str]]:
    """Problems with more than 65 535 images, input channels, output channels, groups and feature maps."""
    many = BEYOND_16_BITS
    found = []
    for operator in (*KERNELED, "conv_bias_grad"):
        found += [
            ("images", f"{operator} x={many}x1x2 w=1x1x2"),
            ("inputs", f"{operator} x=1x{many}x2 w=1x{many}x2"),
            ("outputs", f"{operator} x=1x1x3 w={many}x1x3 pad=1"),
            ("groups", f"{operator} x=1x{many}x2 w={many}x1x2 groups={many}"),
            ("maps", f"{operator} x=300x220x2x1 w=2x220x1x1"),
        ]
    found += [
        ("images", f"conv_transpose x={many}x1x2 w=1x1x2"),
        ("inputs", f"conv_transpose x=1x{many}x2 w={many}x1x2"),
        ("outputs", f"conv_transpose x=1x1x3 w=1x{many}x3 pad=1"),
        ("groups", f"conv_transpose x=1x{many}x2 w={many}x1x2 groups={many}"),
        ("maps", "conv_transpose x=300x220x2x1 w=220x2x1x1"),
    ]
    for number, operator in enumerate(KERNELED):  # on more axes, where an implementation has other code
        for turn, (name, shape) in enumerate(
            (
                ("images", f"x={many}x1x2x1 w=1x1x2x1"), ("inputs", f"x=1x{many}x1x2 w=1x{many}x1x2"),
                ("outputs", f"x=1x1x2x2 w={many}x1x2x2"), ("groups", f"x=1x{many}x1x2 w={many}x1x1x2 groups={many}"),
                ("outputs", f"x=1x1x1x2x1 w={many}x1x1x2x1"),
            )
        ):  # fmt: skip
            found.append((name, f"{operator} {shape}{(LAST, '')[(number + turn) % 2]}"))
    found += [
        ("inputs", f"conv_transpose x=1x{many}x1x2 w={many}x1x1x2"),
        ("outputs", f"conv_transpose x=1x1x1x2 w=1x{many}x1x2{LAST}"),
    ]
    found += [("images", f"{line} dtype=float16") for name, line in found if name == "images" and _is_short(line)]
    for operator in POOLS:
        found += [
            ("images", f"{operator} x={many}x1x2 kernel=2"),
            ("images", f"{operator} x={many}x1x2 kernel=2 dtype=float16"),
            ("channels", f"{operator} x=1x{many}x2x2 kernel=2x2"),
            ("maps", f"{operator} x=300x220x2x2 kernel=2x2"),
            ("maps", f"{operator} x=2x40000x3x2 kernel=2x2 pad=1 layout=channels-last"),
        ]
    return found


def _long_sums() -> list[tuple[str, str]]:
    """Gradients of kernels and biases that sum over more than 2^15 and 2^16 positions of all images."""
    return [
        (f"positions-{power}", f"{operator} {shape}{layout}")
        for operator in ("conv_weight_grad", "conv_bias_grad")
        for power, shape in (
            (15, "x=3x2x105x107 w=3x2x3x3 pad=1"),
            (16, "x=5x1x119x113 w=2x1x3x3 pad=1"),
            (16, "x=33x2x2001 w=2x2x3 pad=1"),
            (16, "x=2x3x259x257 w=2x3x1x1 stride=2"),
            (16, "x=1x4x1x66001 w=4x1x1x3 pad=0,1 groups=4"),
        )
        for layout in ("", " layout=channels-last")
    ]


def _deep_windows() -> list[tuple[str, str]]:
    """Windows of more than 64, 256 and 1 024 taps, on data that reveal each tap.

    Small integers do not reveal them: the first of many equal maxima is near the start of a window, so that an index
    beyond a byte never occurs; and sums are near zero, where 16-bit formats are exact. (MIOpen#2109, candle#3719,
    oneDNN#259)
    """
    found = []
    for taps, kernel, x in ((64, "9x9", "2x3x9x9"), (256, "16x17", "3x5x17x18"), (1024, "33x32", "1x4x33x32")):
        for layout in ("", " layout=channels-last"):
            name, shape = f"taps-{taps}", f"x={x} kernel={kernel}"
            found += [(name, f"{operator} {shape} data=distinct{layout}") for operator in INDEXED]
            found += [
                (name, f"{operator} {shape} dtype={dtype} data=uniform{layout}")
                for operator in SUMMED
                for dtype in ("float16", "bfloat16", "float32")
            ]
    return found


def _deep_products() -> list[tuple[str, str]]:
    """Sums of 4 608 products and more on real data, over channels alone and over taps too.

    Whole numbers with exact sums do not show the format in which a sum is kept. (MIOpen#2109, pytorch#153276)
    """
    found = []
    sums = ((4609, "1x1", "2x1", "64x75"), (512, "3x3", "3x3", "65x73"))
    for number, (dtype, (channels, kernel, space, positions)) in enumerate(itertools.product(DEEP_IN, sums)):
        layout = (" layout=channels-last", "")[number % 2]
        for operator, shape in (
            ("conv", f"x=1x{channels}x{space} w=2x{channels}x{kernel}"),
            ("conv_input_grad", f"x=1x2x{space} w={channels}x2x{kernel}"),
            ("conv_transpose", f"x=1x{channels}x{space} w={channels}x2x{kernel}"),
            ("conv_weight_grad", f"x=1x2x{positions} w=3x2x{kernel}"),
            ("conv_bias_grad", f"x=1x2x{positions} w=3x2x{kernel}"),
        ):
            found.append(("products", f"{operator} {shape} dtype={dtype}{layout}"))
    return found


def _is_short(line: str) -> bool:
    return line.split(" ")[0] in SHORT_SUMS


def _transposed(w: str) -> str:
    rows, columns, kernel = w.split("x", 2)
    return f"{columns}x{rows}x{kernel}"


def _form(operator: str, number: int) -> str:
    form = FORMS[number % len(FORMS)]
    return "" if "float16" in form and operator not in SHORT_SUMS else form

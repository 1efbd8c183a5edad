"""Geometries of the correctness suite: every axis and side different, so that no mix-up hides in a symmetry."""

from __future__ import annotations

from harness import NamedProblem, parse_line

# name: the shape and window of a forward convolution, without operator, dtype and data
CONVOLUTIONS = {
    "row": "x=2x3x17 w=4x3x5 stride=2 pad=1:2 dilation=2",
    "row-even": "x=1x2x13 w=3x2x4 pad=1:2",
    "uneven": "x=2x3x11x14 w=5x3x3x2 stride=2,1 pad=1:0,2:1 dilation=1,2",
    "depthwise": "x=2x6x9x7 w=6x1x3x2 groups=6 stride=1,2 pad=1:0,0:1",
    "grouped": "x=2x4x8x10 w=6x2x2x3 groups=2 pad=0:1,2:0",
    "pointwise": "x=3x5x7x6 w=4x5x1x1 stride=1,2",
    "full": "x=2x3x5x4 w=7x3x5x4",
    "even-kernel": "x=2x2x8x9 w=3x2x4x2 pad=1:2,0:1",
    "tails": "x=1x5x9x17 w=7x5x3x3 pad=1",
    "sparse-windows": "x=2x2x13x11 w=3x2x2x3 stride=3,4",
    "deep": "x=1x160x4x5 w=3x160x3x2 pad=1:0,1",
    "point-padded": "x=3x5x7x6 w=4x5x1x1 pad=1:0,0:1",
    "same-strided": "x=1x2x8x10 w=3x2x3x3 stride=2 pad=1",
    "seams": "x=1x2x131 w=3x2x4",
    "many-images": "x=17x2x6x5 w=3x2x3x2",
    "thin": "x=1x4x1x9 w=6x2x1x3 groups=2",
    "large-kernel": "x=1x2x16x19 w=3x2x7x11 pad=3,5",
    "far-padding": "x=2x2x3x4 w=2x2x2x2 stride=3,2 pad=4:3,3:5",
    "remainder": "x=2x3x10x12 w=2x3x3x2 stride=4,5 dilation=2,1",
    "volume": "x=1x2x6x7x5 w=3x2x3x2x2 stride=1,2,1 pad=1:0,0:1,1 dilation=1,1,2",
    "volume-grouped": "x=2x4x4x5x3 w=2x2x2x3x1 groups=2 pad=0,1,1:0 stride=2,1,1",
}
WIDE = {
    "wide-row": "x=1x1x19 w=1x1x4 pad=3",
    "wide": "x=1x1x12x9 w=1x1x4x3 pad=3,2",
    "wide-volume": "x=1x1x5x6x4 w=1x1x2x3x2 pad=1,2,1",
}
TRANSPOSED = {
    "row": "x=2x4x6 w=4x3x3 stride=2 pad=1:0 output_padding=1",
    "uneven": "x=2x3x5x4 w=3x2x3x2 stride=2,3 pad=1:0,0:1 output_padding=1,2",
    "grouped": "x=1x4x4x5 w=4x3x2x3 groups=2 pad=0,1",
    "dilated": "x=2x2x4x3 w=2x3x3x2 dilation=2,1 stride=1,2",
    "spread": "x=2x3x5x4 w=3x2x3x2 stride=2,3 dilation=3,2 output_padding=1,0",
    "volume": "x=1x2x3x4x2 w=2x3x2x3x2 stride=2,1,2",
}
POOLS = {
    "row": "x=2x3x17 kernel=3 stride=2 pad=1",
    "apart": "x=2x3x8x9 kernel=2x3 stride=2,3",
    "overlapping": "x=2x3x9x11 kernel=3x2 stride=2,1 pad=1:0,0:1",
    "ceil": "x=1x2x8x11 kernel=3x2 stride=2,3 pad=1,0 ceil",
    "ceil-padded": "x=2x2x7x6 kernel=3x4 stride=3,2 pad=0:1,1 ceil",
    "dilated": "x=1x3x10x9 kernel=2x3 dilation=3,2 stride=1,2",
    "exclude": "x=2x2x7x9 kernel=3x3 stride=2,1 pad=1:0,1 exclude_pad",
    "exclude-ceil": "x=1x2x8x7 kernel=2x3 stride=3,2 pad=1 exclude_pad ceil",
    "global": "x=2x4x6x5 kernel=6x5",
    "same": "x=2x3x7x6 kernel=3x3 pad=1",
    "single": "x=2x3x5x4 kernel=1x1",
    "volume": "x=1x2x5x6x7 kernel=2x3x2 stride=2,1,2 pad=1,1:0,0",
}
LARGE = (  # on real data only: many images, and what is verified by maps and random signs when it is timed
    ("beyond-a-grid", "conv x=65537x1x1 w=1x1x1"),
    ("large", "conv x=4x3x65x63 w=17x3x3x5"),
    ("large", "conv_weight_grad x=4x3x65x63 w=17x3x3x5"),
    ("large", "conv_input_grad x=4x3x65x63 w=17x3x3x5"),
)
PICTURES = {"picture": "x=2x1x24x31 w=1x1x3x3 pad=1"}
GRADIENTS = ("conv_input_grad", "conv_weight_grad", "conv_bias_grad")
SHORT = ("float16", "bfloat16")
MIXED = ("uneven", "grouped", "tails", "row")  # geometries that meet every dtype, and true convolution
HARD = ("uneven", "grouped")  # geometries that meet every regime of data
REGIMES = ("wide", "onehot", "constant", "negative", "zeros", "subnormal", "nonfinite")


def correctness_problems() -> tuple[NamedProblem, ...]:
    """Every geometry under every operator it fits, on whole and on real data, in the dtypes and both layouts."""
    lines: dict[str, str] = {}
    for name, shape in CONVOLUTIONS.items():
        _add_convolution(lines, name, shape)
    for name, shape in WIDE.items():
        for flip in ("", " flip"):
            for dtype in ("", " dtype=float64"):
                _add(lines, name, f"conv {shape}{flip}{dtype} data=integer")
    for name, shape in TRANSPOSED.items():
        _add_transposed(lines, name, shape)
    for name, shape in POOLS.items():
        _add_pool(lines, name, shape)
    for name, shape in PICTURES.items():
        for dtype in ("", " dtype=float64"):
            _add(lines, name, f"conv {shape}{dtype} data=uniform")
    for name, line in LARGE:
        _add(lines, name, line)
    return tuple(NamedProblem(name=name, problem=parse_line(line)) for line, name in lines.items())


def _add(lines: dict[str, str], name: str, line: str) -> None:
    lines[line] = name


def _add_convolution(lines: dict[str, str], name: str, shape: str) -> None:
    """Every operator on whole and on real numbers; chosen geometries in every dtype, turned, and in every regime."""
    _add(lines, name, f"conv {shape} bias data=integer")
    _add(lines, name, f"conv {shape} dtype=float64 layout=channels-last data=integer")
    for operator in ("conv", *GRADIENTS):
        _add(lines, name, f"{operator} {shape}")
        _add(lines, name, f"{operator} {shape} dtype=float64 layout=channels-last data=uniform")
    for operator in GRADIENTS:
        _add(lines, name, f"{operator} {shape} data=integer")
    if name in MIXED:
        _add(lines, name, f"conv {shape} bias flip")
        _add(lines, name, f"conv {shape} flip data=integer")
        _add(lines, name, f"conv_weight_grad {shape} flip data=integer")
        for dtype, layout in zip(SHORT, ("channels-last", "channels-first"), strict=True):
            _add(lines, name, f"conv {shape} dtype={dtype} layout={layout} data=integer")
            for operator in ("conv", *GRADIENTS):
                _add(lines, name, f"{operator} {shape} dtype={dtype} layout=channels-last")
            for operator in GRADIENTS:
                _add(lines, name, f"{operator} {shape} dtype={dtype} layout={layout} data=integer")
    if name in HARD:
        for data in REGIMES:
            _add(lines, name, f"conv {shape} bias data={data}")
            for operator in GRADIENTS:
                _add(lines, name, f"{operator} {shape} data={data}")
        for operator in ("conv", *GRADIENTS):
            _add(lines, name, f"{operator} {shape} dtype=float64")
        for dtype in SHORT:
            _add(lines, name, f"conv {shape} dtype={dtype} data=wide")
            for operator in ("conv", *GRADIENTS):
                _add(lines, name, f"{operator} {shape} dtype={dtype} data=subnormal")


def _add_transposed(lines: dict[str, str], name: str, shape: str) -> None:
    _add(lines, name, f"conv_transpose {shape} bias data=integer")
    _add(lines, name, f"conv_transpose {shape}")
    _add(lines, name, f"conv_transpose {shape} dtype=float64 layout=channels-last")
    for dtype in SHORT:
        _add(lines, name, f"conv_transpose {shape} dtype={dtype} layout=channels-last data=integer")
    if name in HARD:
        for data in REGIMES:
            _add(lines, name, f"conv_transpose {shape} data={data}")
        for dtype in SHORT:
            _add(lines, name, f"conv_transpose {shape} dtype={dtype} data=subnormal")


def _add_pool(lines: dict[str, str], name: str, shape: str) -> None:
    """Maxima, which are exact on any data, and means with both divisors."""
    plain = " ".join(word for word in shape.split() if word != "exclude_pad")
    for data in ("integer", "distinct", "normal", "negative", "nonfinite"):
        _add(lines, name, f"max_pool {plain} data={data}")
    _add(lines, name, f"max_pool {plain} dtype=float64 layout=channels-last data=integer")
    _add(lines, name, f"max_pool_grad {plain}")
    _add(lines, name, f"max_pool_grad {plain} dtype=float16 layout=channels-last")
    for operator in ("max_pool_grad", "avg_pool", "avg_pool_grad"):
        _add(lines, name, f"{operator} {plain if operator == 'max_pool_grad' else shape} data=integer")
    for operator in ("avg_pool", "avg_pool_grad"):
        _add(lines, name, f"{operator} {shape}")
        _add(lines, name, f"{operator} {shape} dtype=float64 layout=channels-last")
        _add(lines, name, f"{operator} {shape} dtype=float16 data=uniform")
    if name in ("overlapping", "exclude-ceil"):
        for dtype in SHORT:
            _add(lines, name, f"max_pool {plain} dtype={dtype} layout=channels-last data=integer")
        for data in ("wide", "constant", "zeros", "subnormal"):
            _add(lines, name, f"max_pool {plain} data={data}")
            _add(lines, name, f"max_pool_grad {plain} data={data}")
        for data in ("wide", "onehot", "constant", "negative", "nonfinite"):
            for operator in ("avg_pool", "avg_pool_grad"):
                _add(lines, name, f"{operator} {shape} data={data}")

"""The values from which problems on specialised code paths are made: plain data.

Each class of a column stands for one or several conditions of `conditions.py`. Outputs are small, so that a problem
costs little; what is asked is the path, not the size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.generate.domains import Pair, Value
from harness.spec.window import Sizes

Padding = Literal["none", "same", "half", "wide", "causal", "end", "beyond"]
Groups = Literal["one", "grouped", "depthwise", "multiplier"]
FULL = "input"  # a kernel as large as its input


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowClass:
    """A window as layers have it. `half` pads half of the kernel on both sides, `end` one less than it at the end."""

    kernel: Sizes
    stride: Sizes | None = None
    padding: Padding = "none"
    dilation: int = 1
    groups: Groups = "one"
    ceil: bool = False
    full: bool = False


OFF = "off"
CHANNELS: Mapping[Value, Sizes] = {  # the counts of a class are scattered over its rows
    "few": (1, 3), 4: (4,), 8: (8,), 16: (16,), "many": (64, 32, 128),
    OFF: (5, 15, 65, 7, 33, 127, 9, 17, 63, 2, 31, 129),
}  # fmt: skip
INPUTS: tuple[Value, ...] = ("few", 4, 8, 16, "many", OFF)
OUTPUTS: tuple[Value, ...] = ("few", 8, 16, "many", OFF)
MULTIPLIERS: Sizes = (3, 4)  # outputs of each channel of a depthwise convolution, taken in turn
GROUPS_OF_MANY: Sizes = (2, 3)  # numbers of groups with several channels each, taken in turn
BATCHES: Sizes = (2, 1, 5, 8, 16, 33)

# Output sizes per axis; a problem takes the last as many as it has axes.
SPACES: Mapping[Value, Sizes] = {
    "narrow": (2, 2, 3), "one": (1, 1, 1), "even": (2, 2, 4), "odd": (1, 3, 5), "tile": (1, 2, 16), "wide": (1, 1, 33),
}  # fmt: skip

# What the other columns of a dear row become, and which of them are kept in each of its cheap rows.
LIGHT: Mapping[str, Value] = {"batch": 2, "space": "one", "c": 8, "o": 8, "channels": "8:8"}
DEAR_TOGETHER: tuple[tuple[str, ...], ...] = (("batch",), ("space",), ("c", "o", "channels"))

# --- convolutions ------------------------------------------------------------------------------------------------

WINDOWS: Mapping[Value, WindowClass] = {
    "3x3": WindowClass(kernel=(3, 3), padding="same"),
    "3x3 stride 2": WindowClass(kernel=(3, 3), stride=(2, 2), padding="half"),
    "3x3 dilation 2": WindowClass(kernel=(3, 3), padding="same", dilation=2),
    "3x3 dilation 12": WindowClass(kernel=(3, 3), padding="same", dilation=12),
    "1x1": WindowClass(kernel=(1, 1)),
    "1x1 stride 2": WindowClass(kernel=(1, 1), stride=(2, 2)),
    "1x1 unequal stride": WindowClass(kernel=(1, 1), stride=(1, 2)),
    "2x2 stride 2": WindowClass(kernel=(2, 2), stride=(2, 2)),
    "4x4 stride 2": WindowClass(kernel=(4, 4), stride=(2, 2), padding="half"),
    "5x5": WindowClass(kernel=(5, 5), padding="same"),
    "5x5 stride 2": WindowClass(kernel=(5, 5), stride=(2, 2), padding="half"),
    "7x7 stride 2": WindowClass(kernel=(7, 7), stride=(2, 2), padding="half"),
    "11x11 stride 4": WindowClass(kernel=(11, 11), stride=(4, 4), padding="half"),
    "1x7": WindowClass(kernel=(1, 7), padding="same"),
    "7x1": WindowClass(kernel=(7, 1), padding="same"),
    "input": WindowClass(kernel=(3, 4), full=True),
    "1-D 3": WindowClass(kernel=(3,), padding="same"),
    "1-D 1": WindowClass(kernel=(1,)),
    "3x3x3": WindowClass(kernel=(3, 3, 3), padding="same"),
    "depthwise 3x3": WindowClass(kernel=(3, 3), padding="same", groups="depthwise"),
    "depthwise 3x3 stride 2": WindowClass(kernel=(3, 3), stride=(2, 2), padding="half", groups="depthwise"),
    "depthwise 5x5": WindowClass(kernel=(5, 5), padding="same", groups="depthwise"),
    "multiplier 3x3": WindowClass(kernel=(3, 3), padding="same", groups="multiplier"),
    "grouped 3x3": WindowClass(kernel=(3, 3), padding="same", groups="grouped"),
}
_FORMS: Mapping[str, tuple[Value, ...]] = {
    "batch": BATCHES,
    "space": tuple(SPACES),
    "layout": ("channels-first", "channels-last"),
    "dtype": ("float32", "float16", "bfloat16", "float64"),
}
_BIAS: Mapping[str, tuple[Value, ...]] = {"bias": ("none", "bias")}
LAYERS: Mapping[str, tuple[Value, ...]] = {"window": tuple(WINDOWS), "c": INPUTS, "o": OUTPUTS, **_FORMS, **_BIAS}
LAYERS_FORBIDDEN: tuple[Pair, ...] = (
    *(
        (("window", name), ("o", o))
        for name, window in WINDOWS.items()
        if window.groups in ("depthwise", "multiplier")
        for o in OUTPUTS
        if o != "few"
    ),
    *(
        (("window", name), ("c", "few"))
        for name, window in WINDOWS.items()
        if window.groups in ("depthwise", "multiplier")
    ),
    (("window", "grouped 3x3"), ("c", "few")),
    *((("window", "input"), ("space", space)) for space in SPACES if space != "one"),
)

KERNELS: Mapping[Value, Sizes] = {
    "3x3": (3, 3), "1x1": (1, 1), "5x5": (5, 5), "7x7": (7, 7), "11x11": (11, 11), "1x7": (1, 7), "7x1": (7, 1),
    "2x2": (2, 2), "4x4": (4, 4), "1-D 3": (3,), "1-D 16": (16,), "1x1x1": (1, 1, 1),
    "3x3x3": (3, 3, 3), FULL: (2, 3),
}  # fmt: skip
STRIDES: tuple[Value, ...] = (1, 2, 4, "unequal", "kernel", "beyond")
UNEQUAL: Sizes = (1, 1, 2)
PADDINGS: tuple[Value, ...] = ("none", "same", "wide", "causal", "end", "beyond")
DILATIONS: Sizes = (1, 2, 4, 12)
GROUPS: tuple[Value, ...] = ("one", "grouped", "depthwise", "multiplier")
CHANNEL_PAIRS: Mapping[Value, tuple[Value, Value]] = {
    f"{c}:{o}": (c, o)
    for c, o in (
        (8, 8), (16, 16), ("few", "many"), ("few", 4), ("many", 16), (8, "many"), (4, "few"), (OFF, 16), (16, OFF),
    )
}  # fmt: skip
PATHS: Mapping[str, tuple[Value, ...]] = {
    "kernel": tuple(KERNELS), "stride": STRIDES, "padding": PADDINGS, "dilation": DILATIONS, "groups": GROUPS,
    "channels": tuple(CHANNEL_PAIRS), **_FORMS, **_BIAS,
}  # fmt: skip
_POINTS = ("1x1", "1-D 1", "1x1x1")
PATHS_FORBIDDEN: tuple[Pair, ...] = (
    *((("kernel", name), ("dilation", d)) for name in _POINTS for d in DILATIONS[1:]),  # says nothing
    *((("kernel", name), ("padding", p)) for name in _POINTS for p in ("same", "wide", "causal", "end")),
    *((("kernel", name), ("stride", "kernel")) for name in _POINTS),  # is stride 1
    *((("kernel", name), ("stride", "unequal")) for name in ("1-D 1", "1-D 3", "1-D 16")),  # has one axis
    *((("kernel", FULL), ("padding", p)) for p in PADDINGS[1:]),
    *((("kernel", FULL), ("space", space)) for space in SPACES if space != "one"),
    *((("kernel", FULL), ("dilation", d)) for d in DILATIONS[1:]),
    # Large kernels are not dilated far, nor padded beyond: their inputs would have thousands of positions.
    *((("kernel", "11x11"), ("dilation", d)) for d in DILATIONS[1:]),
    *((("kernel", name), ("dilation", d)) for name in ("7x7", "3x3x3") for d in DILATIONS[2:]),
    *((("kernel", name), ("padding", p)) for name in ("7x7", "11x11") for p in ("wide", "beyond")),
    *((("groups", g), ("channels", pair)) for g in GROUPS[1:] for pair in ("few:many", "few:4")),
)

SUMS: Mapping[str, tuple[Value, ...]] = {"axes": (2, 1, 3), "o": INPUTS, **_FORMS}  # conv_bias_grad takes dy alone

# --- pooling -----------------------------------------------------------------------------------------------------

POOLS: Mapping[Value, WindowClass] = {
    "2x2 stride 2": WindowClass(kernel=(2, 2), stride=(2, 2)),
    "3x3 stride 2": WindowClass(kernel=(3, 3), stride=(2, 2)),
    "3x3 stride 2 half": WindowClass(kernel=(3, 3), stride=(2, 2), padding="half"),
    "3x3 same": WindowClass(kernel=(3, 3), padding="same"),
    "5x5 same": WindowClass(kernel=(5, 5), padding="same"),
    "2x2": WindowClass(kernel=(2, 2)),
    "2x2 stride 3": WindowClass(kernel=(2, 2), stride=(3, 3)),
    "3x2": WindowClass(kernel=(3, 2), stride=(1, 2), padding="end"),
    "1x1 stride 2": WindowClass(kernel=(1, 1), stride=(2, 2)),
    "global 7x7": WindowClass(kernel=(7, 7), full=True),
    "global 20x20": WindowClass(kernel=(20, 20), full=True),
    "9x8": WindowClass(kernel=(9, 8), stride=(4, 4), padding="half"),
    "16x17": WindowClass(kernel=(16, 17), full=True),
    "33x32": WindowClass(kernel=(33, 32), full=True),
    "1x18": WindowClass(kernel=(1, 18), stride=(1, 2), padding="half"),
    "18x1": WindowClass(kernel=(18, 1), stride=(2, 1), padding="half"),
    "3x3 wide": WindowClass(kernel=(3, 3), padding="wide"),
    "1-D 2 stride 2": WindowClass(kernel=(2,), stride=(2,)),
    "1-D 3 causal": WindowClass(kernel=(3,), padding="causal"),
    "2x2x2 stride 2": WindowClass(kernel=(2, 2, 2), stride=(2, 2, 2)),
    "3x3x3 stride 2": WindowClass(kernel=(3, 3, 3), stride=(2, 2, 2), padding="half"),
}
PADDED_POOLS: Mapping[Value, WindowClass] = {  # of means only: a maximum over padding alone has no index
    "2x2 beyond": WindowClass(kernel=(2, 2), padding="beyond"),
}
DILATED_POOLS: Mapping[Value, WindowClass] = {  # few libraries dilate means
    "3x3 dilation 2": WindowClass(kernel=(3, 3), padding="same", dilation=2),
    "2x2 dilation 4": WindowClass(kernel=(2, 2), stride=(2, 2), dilation=4),
    "1-D 3 dilation 12": WindowClass(kernel=(3,), dilation=12),
}
_ONE_POSITION = ("global 7x7", "global 20x20", "33x32", "16x17")  # one window is enough, and all that they are about
MAXIMA: Mapping[str, tuple[Value, ...]] = {
    "window": (*POOLS, *DILATED_POOLS), "c": INPUTS, **_FORMS, "rounding": ("floor", "ceil"),
}  # fmt: skip
MEANS: Mapping[str, tuple[Value, ...]] = {
    "window": (*POOLS, *PADDED_POOLS, *DILATED_POOLS), "c": INPUTS, **_FORMS, "rounding": ("floor", "ceil"),
    "divisor": ("include", "exclude"),
}  # fmt: skip
POOLS_FORBIDDEN: tuple[Pair, ...] = tuple(
    (("window", name), ("space", space)) for name in _ONE_POSITION for space in SPACES if space != "one"
)

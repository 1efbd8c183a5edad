"""Values of problems on specialised code paths: data only.

Each class of a column stands for one or several conditions of `conditions.py`. Outputs are small, so that a problem is
cheap: it tests the code path, not the size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, get_args

from harness.generate.dispatch.conditions import EXACT, OFF_BY_ONE
from harness.generate.domains import Pair, Value
from harness.problems.window import Sizes

Padding = Literal["none", "same", "half", "wide", "causal", "end", "beyond", "over"]
Groups = Literal["one", "grouped", "depthwise", "multiplier"]
PADDING_NAMES: tuple[Padding, ...] = get_args(Padding)
GROUP_NAMES: tuple[Groups, ...] = get_args(Groups)
# Kernels as large as their input: long ones have a wide output if they are padded; dilated ones need padding.
FULL, LONG, SPREAD = "input", "input long", "input dilated"
FILLING = (FULL, LONG, SPREAD)


@dataclass(frozen=True, kw_only=True)
class WindowClass:
    """A window of a layer.

    padding: `half` pads half of the kernel on both sides; `end` pads (k-1)d at the end; `beyond` pads more than that on
        both sides; `over` pads more than that at the end, where the stride skips positions whose window would hold
        padding only.
    dilations: alternatives for `dilation`, used in turn; empty if it is constant.
    """

    kernel: Sizes
    stride: Sizes | None = None
    padding: Padding = "none"
    dilation: int = 1
    dilations: Sizes = ()
    groups: Groups = "one"
    ceil: bool = False
    full: bool = False

    @property
    def steps(self) -> Sizes:
        """Stride per axis."""
        return self.stride or (1,) * len(self.kernel)

    @cached_property
    def sides(self) -> tuple[Sizes, Sizes]:
        """Padding at the begin and at the end, per axis."""
        pairs = [_SIDES[self.padding](m, (m - 1) * self.dilation) for m in self.kernel]
        return tuple(begin for begin, _ in pairs), tuple(end for _, end in pairs)

    def fill_strides(self, begin: Sizes, end: Sizes) -> Sizes:
        """Return the positions beyond the last window with which the input is a multiple of the stride, per axis.

        begin, end: padding per axis.
        """
        sides = zip(begin, end, self.kernel, self.steps, strict=True)
        return tuple((b + e - (m - 1) * self.dilation - 1) % s for b, e, m, s in sides)

    def turned(self, turn: int) -> WindowClass:
        """Return the window with the dilation for a turn."""
        return replace(self, dilation=self.dilations[turn % len(self.dilations)]) if self.dilations else self


# Padding at the begin and at the end of an axis, from the kernel size m and r = (m-1) dilation.
_SIDES: Mapping[Padding, Callable[[int, int], tuple[int, int]]] = {
    "none": lambda m, r: (0, 0),
    "same": lambda m, r: (r // 2, r - r // 2),
    "half": lambda m, r: (m // 2, (m - 1) // 2),
    "wide": lambda m, r: (r, r),
    "causal": lambda m, r: (r, 0),
    "end": lambda m, r: (0, max(1, r)),
    "over": lambda m, r: (0, r + 1),
    "beyond": lambda m, r: (r + 1, r + 2),
}


OFF = "off"
CHANNELS: Mapping[Value, Sizes] = {  # a row with a class has one of its counts
    "few": (1, 3), 1: (1,), 3: (3,), 4: (4,), 8: (8,), 16: (16,), "many": (32, 64, 128),
    OFF: (5, 15, 65, 7, 33, 127, 9, 17, 63, 2, 31, 129),
}  # fmt: skip
INPUTS: tuple[Value, ...] = ("few", 4, 8, 16, "many", OFF)
POOLED: tuple[Value, ...] = (1, 3, 4, 8, 16, "many", OFF)
OUTPUTS: tuple[Value, ...] = ("few", 4, 8, 16, "many", OFF)
MULTIPLIERS: Sizes = (3, 4, 2, 5, 7)  # outputs of each channel of a depthwise convolution
GROUPS_OF_MANY: Sizes = (2, 3)  # numbers of groups with several channels each, taken in turn
BATCHES: Sizes = (2, 1, 5, 8, 16, 33)

SQUARE = "square"  # as most layers of networks are: the input is square, too, and a multiple of the stride
# Output sizes per axis; a problem with n axes takes the last n.
SPACES: Mapping[Value, Sizes] = {
    "narrow": (2, 2, 3), "one": (1, 1, 1), "even": (2, 2, 4), "odd": (1, 3, 5), "tile": (1, 2, 16), "wide": (1, 2, 33),
    SQUARE: (4, 4, 4),
}  # fmt: skip

# With those of sums alone, which cost little: planes that are square and wide.
ALL_SPACES: Mapping[Value, Sizes] = {**SPACES, "broad": (2, 32, 32)}

# Values for the columns of an expensive row, except one of them.
LIGHT: Mapping[str, Value] = {"batch": 1, "space": "one", "c": 4, "o": 4}

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
    "3x12": WindowClass(kernel=(3, 12), stride=(1, 2), padding="half"),
    "input": WindowClass(kernel=(3, 4), full=True),
    "1-D 3": WindowClass(kernel=(3,), padding="same"),
    "1-D 1": WindowClass(kernel=(1,)),
    "1-D 3 causal": WindowClass(kernel=(3,), padding="causal", dilations=(1, 2, 4, 8)),
    # From wav2vec 2.0, without its padding: on such a small space, half of the taps would always read padding.
    "1-D 128 grouped": WindowClass(kernel=(128,), groups="grouped"),
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
        if window.groups == "depthwise"
        for o in OUTPUTS
        if o != "few"
    ),
    *(
        (("window", name), ("c", "few"))
        for name, window in WINDOWS.items()
        if window.groups in ("depthwise", "multiplier")
    ),
    *((("window", name), ("c", "few")) for name, window in WINDOWS.items() if window.groups == "grouped"),
    *((("window", "input"), ("space", space)) for space in SPACES if space != "one"),
)

KERNELS: Mapping[Value, Sizes] = {
    "3x3": (3, 3), "1x1": (1, 1), "5x5": (5, 5), "7x7": (7, 7), "11x11": (11, 11), "1x7": (1, 7), "7x1": (7, 1),
    "2x2": (2, 2), "4x4": (4, 4), "1-D 1": (1,), "1-D 3": (3,), "1-D 16": (16,), "1x1x1": (1, 1, 1),
    "3x3x3": (3, 3, 3), FULL: (3, 3), LONG: (1, 17), SPREAD: (2, 3),
}  # fmt: skip
STRIDES: tuple[Value, ...] = (1, 2, 4, "unequal", "kernel", "beyond")
UNEQUAL: Sizes = (1, 1, 2)


def stride_of(name: Value, kernel: Sizes) -> Sizes:
    """Return the stride per axis for a value of STRIDES and a kernel."""
    if name == "unequal":
        return UNEQUAL[-len(kernel) :]
    if name == "kernel":
        return kernel
    return tuple(m + 1 for m in kernel) if name == "beyond" else (int(name),) * len(kernel)


PADDINGS: tuple[Value, ...] = ("none", "same", "wide", "causal", "end", "beyond")
DILATIONS: Sizes = (1, 2, 4, 12)
GROUPS: tuple[Value, ...] = ("one", "grouped", "depthwise", "multiplier")
SINGLE: tuple[Sizes, ...] = (*((count,) for count in EXACT), *OFF_BY_ONE)  # classes that conditions distinguish
PATHS: Mapping[str, tuple[Value, ...]] = {
    "kernel": tuple(KERNELS), "stride": STRIDES, "padding": PADDINGS, "dilation": DILATIONS, "groups": GROUPS,
    "space": tuple(SPACES),
}  # fmt: skip
_PATH_FORMS: Mapping[str, tuple[Value, ...]] = {name: some for name, some in _FORMS.items() if name != "space"}
PATH_FORMS: Mapping[str, tuple[Value, ...]] = {**_PATH_FORMS, **_BIAS}


def _impossible(kernels: Mapping[Value, Sizes]) -> Iterator[Pair]:
    """Yield the pairs of a kernel and a value that has no effect on it, or is impossible with it."""
    for name, sizes in kernels.items():
        if max(sizes) == 1:
            yield from ((("kernel", name), ("dilation", d)) for d in DILATIONS[1:])
            yield from ((("kernel", name), ("padding", p)) for p in ("same", "wide", "causal"))
            yield (("kernel", name), ("stride", "kernel"))  # would be stride 1
        if len(sizes) == 1:
            yield (("kernel", name), ("stride", "unequal"))
        if name in (FULL, LONG):
            yield from ((("kernel", name), ("dilation", d)) for d in DILATIONS[1:])
        if name == SPREAD:  # only padding makes room for a dilation
            yield (("kernel", name), ("dilation", 1))
            yield (("kernel", name), ("padding", "none"))
        if name in FILLING:  # its space follows from its padding
            yield from ((("kernel", name), ("space", space)) for space in SPACES if space != "one")


PATHS_FORBIDDEN: tuple[Pair, ...] = tuple(_impossible(KERNELS))

SUMS: Mapping[str, tuple[Value, ...]] = {  # conv_bias_grad takes dy alone
    "axes": (2, 1, 3), "o": tuple(sorted({count for counts in CHANNELS.values() for count in counts})), **_FORMS,
    "space": tuple(ALL_SPACES),
}  # fmt: skip

# --- pooling -----------------------------------------------------------------------------------------------------

POOLS: Mapping[Value, WindowClass] = {
    "2x2 stride 2": WindowClass(kernel=(2, 2), stride=(2, 2)),
    "3x3 stride 2": WindowClass(kernel=(3, 3), stride=(2, 2)),
    "3x3 stride 2 half": WindowClass(kernel=(3, 3), stride=(2, 2), padding="half"),
    "3x3 same": WindowClass(kernel=(3, 3), padding="same"),
    "5x5 same": WindowClass(kernel=(5, 5), padding="same"),
    "global 7x7": WindowClass(kernel=(7, 7), full=True),
    "global 20x20": WindowClass(kernel=(20, 20), full=True),
    "global 33x32": WindowClass(kernel=(33, 32), full=True),
    "1-D 2 stride 2": WindowClass(kernel=(2,), stride=(2,)),
    "2x2x2 stride 2": WindowClass(kernel=(2, 2, 2), stride=(2, 2, 2)),
    "3x3x3 stride 2": WindowClass(kernel=(3, 3, 3), stride=(2, 2, 2), padding="half"),
}
_EDGES: Mapping[str, tuple[Value, ...]] = {"rounding": ("floor", "ceil")}
_DIVISORS: Mapping[str, tuple[Value, ...]] = {"divisor": ("include", "exclude")}
MAXIMA: Mapping[str, tuple[Value, ...]] = {"window": tuple(POOLS), "c": POOLED, **_FORMS, **_EDGES}
MEANS: Mapping[str, tuple[Value, ...]] = {**MAXIMA, **_DIVISORS}
POOLS_FORBIDDEN: tuple[Pair, ...] = tuple(
    (("window", name), ("space", space)) for name, window in POOLS.items() if window.full
    for space in SPACES if space != "one"  # a single window is their purpose
)  # fmt: skip

POOL_KERNELS: Mapping[Value, Sizes] = {
    "3x3": (3, 3), "2x2": (2, 2), "5x5": (5, 5), "1x1": (1, 1), "3x2": (3, 2), "9x8": (9, 8), "1x18": (1, 18),
    "16x17": (16, 17), "1-D 2": (2,), "1-D 3": (3,), "1-D 1025": (1025,), "2x2x2": (2, 2, 2), "3x3x3": (3, 3, 3),
    FULL: (3, 4), LONG: (2, 18), SPREAD: (3, 2),
}  # fmt: skip
MAXIMA_PADDINGS: tuple[Value, ...] = (*PADDINGS[:-1], "over")  # a maximum over padding only has no index
MAXIMA_PATHS: Mapping[str, tuple[Value, ...]] = {
    "kernel": tuple(POOL_KERNELS), "stride": STRIDES, "padding": MAXIMA_PADDINGS, "dilation": DILATIONS,
    "space": tuple(SPACES),
}  # fmt: skip
MEANS_PATHS: Mapping[str, tuple[Value, ...]] = {**MAXIMA_PATHS, "padding": PADDINGS}
MAXIMA_PATH_FORMS: Mapping[str, tuple[Value, ...]] = {**_PATH_FORMS, **_EDGES}
MEANS_PATH_FORMS: Mapping[str, tuple[Value, ...]] = {**MAXIMA_PATH_FORMS, **_DIVISORS}
POOL_PATHS_FORBIDDEN: tuple[Pair, ...] = (
    *_impossible(POOL_KERNELS),
    *((("padding", "over"), ("stride", s)) for s in (1, "unequal")),  # the stride skips nothing
    *((("padding", "over"), ("kernel", name)) for name in (*FILLING, "1x18")),
)

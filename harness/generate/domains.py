"""Domains of the values of generated problems, smallest first: data only.

Sizes lie on both sides of the widths of SIMD registers and tiles (4, 8, 16, 32, 64), where loops have remainders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

from harness.problems.operator import Operator
from harness.problems.window import Sizes

Value = str | int
Pair = tuple[tuple[str, Value], tuple[str, Value]]

TAILS: Sizes = (7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65)
CHANNEL_TAILS: Sizes = (7, 8, 9, 15, 16, 17, 31, 32, 33)
MANY_GROUPS: Sizes = (4, 8, 16, 24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """The domain of each quantity of a random problem.

    size: output size of an axis. width: output size of the last axis.
    """

    batch: Sizes
    channels: Sizes
    outputs: Sizes
    groups: Sizes
    size: Sizes
    width: Sizes
    kernel: Sizes
    stride: Sizes
    dilation: Sizes
    padding: Sizes

    def plain(self, quantity: str) -> Tier:
        """Return the domains with one quantity restricted to its smallest value."""
        names = ("batch", "channels", "outputs") if quantity == "counts" else (quantity,)
        return replace(self, **{name: getattr(self, name)[:1] for name in names})

    def limited(self, largest: int) -> Tier:
        """Return the domains without values above `largest`; each keeps its smallest value."""
        kept = {f.name: getattr(self, f.name) for f in fields(self)}
        return Tier(**{name: tuple(v for v in domain if v <= largest) or domain[:1] for name, domain in kept.items()})


TINY = Tier(
    batch=(1, 2, 3),
    channels=(1, 2, 3, 4, 5),
    outputs=(1, 2, 3, 4, 5),
    groups=(1, 2, 3),
    size=(1, 2, 3, 4, 5),
    width=(1, 2, 3, 4, 5, 7, 8, 9),
    kernel=(1, 2, 3, 4, 5),
    stride=(1, 2, 3, 4),
    dilation=(1, 2, 3),
    padding=(0, 1, 2, 3, 4, 5),
)
VOLUME = Tier(  # the sizes of three axes multiply, so each is smaller
    batch=(1, 2),
    channels=(1, 2, 3, 4, 5),
    outputs=(1, 2, 3, 4, 5),
    groups=(1, 2, 3),
    size=(1, 2, 3),
    width=(1, 2, 3, 4, 5),
    kernel=(1, 2, 3),
    stride=(1, 2, 3),
    dilation=(1, 2, 3),
    padding=(0, 1, 2, 3, 4, 5),
)
# The quantities of a problem, and the modes of each: smallest value on every axis (plain), unrestricted (free), or
# distinct values (apart); paddings also m'-1 on every side (wide) or output as wide as the input (equal); sizes also
# with a kernel as large as the input (full). Frequent modes are repeated.
QUANTITIES = ("padding", "dilation", "stride", "counts", "kernel", "size")
Freedom = Literal["plain", "free", "apart", "wide", "equal", "full"]
MODES: Mapping[str, tuple[Freedom, ...]] = {
    "padding": ("plain", "free", "apart", "apart", "apart", "wide", "equal"),
    "dilation": ("plain", "free", "apart"),
    "stride": ("plain", "free", "apart"),
    "counts": ("plain", "free", "apart", "apart"),
    "kernel": ("plain", "free", "apart", "apart"),
    "size": ("free", "free", "apart", "apart", "apart", "full"),
}
# Quantities that may be large in a random problem, one at a time, with their large values.
LARGE: Mapping[str, Sizes] = {"width": TAILS, "channels": CHANNEL_TAILS, "outputs": CHANNEL_TAILS,
                              "groups": MANY_GROUPS}  # fmt: skip

# --- the covering array -------------------------------------------------------------------------------------------
# A class of windows is named by its value on the last axis. A problem with n axes takes the last n of three values, so
# that its axes differ.

KERNELS: Mapping[Value, Sizes] = {"point": (1, 1, 1), "odd": (1, 5, 3), "even": (3, 2, 4), "long": (2, 3, 7)}
STRIDES: Mapping[Value, Sizes] = {1: (1, 1, 1), 2: (3, 1, 2), 3: (1, 2, 3)}
DILATIONS: Mapping[Value, Sizes] = {1: (1, 1, 1), 2: (1, 3, 2)}
BEGINS: Mapping[Value, Sizes] = {0: (0, 0, 0), 1: (0, 3, 1), 2: (1, 0, 2)}
ENDS: Mapping[Value, Sizes] = {0: (0, 0, 0), 1: (2, 0, 1), 2: (0, 1, 2)}
WIDTHS: Sizes = (5, 8, 17, 32)
OTHER_SIZES: Sizes = (2, 3)

_COMMON: Mapping[str, tuple[Value, ...]] = {
    "axes": (2, 1, 3),
    "kernel": tuple(KERNELS),
    "stride": tuple(STRIDES),
    "dilation": tuple(DILATIONS),
    "begin": tuple(BEGINS),
    "end": tuple(ENDS),
    "width": WIDTHS,
    "channels": (3, 1, 16, 17, 33),
    "layout": ("channels-first", "channels-last"),
    "dtype": ("float32", "float64", "float16", "bfloat16"),
    "data": ("integer", "normal", "other"),
}
# channels: per group, or of the whole input if the convolution is depthwise; outputs: per group.
COVERED_CONVOLUTIONS: Mapping[str, tuple[Value, ...]] = {
    "operator": tuple(operator.value for operator in Operator if not operator.pools),
    **_COMMON,
    "groups": ("one", "two", "depthwise"),
    "outputs": (5, 1, 16, 17),
    "extra": ("plain", "bias", "flip"),
}
COVERED_POOLS: Mapping[str, tuple[Value, ...]] = {
    "operator": tuple(operator.value for operator in Operator if operator.pools),
    **_COMMON,
    "channels": (3, 16, 17),
    "rounding": ("floor", "ceil"),
    "divisor": ("include", "exclude"),
}
# Forbidden pairs: values that do not apply to an operator, and values that would duplicate another one.
FORBIDDEN: tuple[Pair, ...] = (
    *((("operator", operator.value), ("extra", "bias")) for operator in Operator if not operator.spec.takes_bias),
    (("groups", "two"), ("channels", 1)),  # is depthwise with two channels
    (("groups", "depthwise"), ("channels", 1)),  # is one group
    (("groups", "depthwise"), ("outputs", 16)),  # depthwise convolutions have few outputs of each channel
    (("groups", "depthwise"), ("outputs", 17)),
    (("channels", 33), ("width", 32)),  # large in one dimension only, so that each problem is cheap
    (("outputs", 16), ("width", 32)),
    (("outputs", 17), ("width", 32)),
)
FORBIDDEN_POOLS: tuple[Pair, ...] = (
    *((("operator", operator.value), ("divisor", "exclude")) for operator in Operator if not operator.spec.divides),
    (("kernel", "point"), ("begin", 1)),  # windows that hold padding only, which have no maximum
    (("kernel", "point"), ("begin", 2)),
    (("kernel", "point"), ("end", 1)),
    (("kernel", "point"), ("end", 2)),
)

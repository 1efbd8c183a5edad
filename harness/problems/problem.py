"""The problem: one operator on one shape, window, dtype, layout and data; the join key of everything."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from harness.errors import GeometryError
from harness.problems.numerics import DTYPES, MATHS, Dtype, Math
from harness.problems.operator import Operator
from harness.problems.window import Sizes, Window

Layout = Literal["channels-first", "channels-last"]
Regime = Literal[
    "integer", "normal", "uniform", "distinct", "wide", "onehot", "constant", "negative", "zeros", "subnormal",
    "nonfinite", "long",
]  # fmt: skip
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
REGIMES: tuple[Regime, ...] = get_args(Regime)
TEXTS = {  # fields of a line that are words, with their defaults
    "dtype": "float32", "math": "ieee", "layout": "channels-first", "data": "normal",
}  # fmt: skip
WORDS: dict[str, tuple[str, ...]] = {"dtype": DTYPES, "layout": LAYOUTS, "data": REGIMES, "math": MATHS}
ITEM_BYTES: dict[Dtype, int] = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An operator with everything that determines its answer.

    x: shape (N, C, *S) of the input of the forward operator; for conv_transpose, of its own input. N, C
    and O may be 0: the output of an empty batch is empty, and a sum over no channels is the bias.
    w: kernel shape (O, C/groups, *K), None for pooling. Gradients are described by their forward problem.
    flip: True for true convolution, with the kernel rotated by 180 degrees (specification, section 1).
    layout: order in memory; the shapes stay N, C, *S.
    math: "ieee", or "tf32" if the problem permits inputs rounded to TF32.
    y: shape of the forward operator's output.
    forward_spatial: spatial size of the side that the window moves over: of x, or of the output of conv_transpose.
    The name of an operator is converted, and so are lists of sizes. Raises UsageError for values of a wrong type, and
    GeometryError if the geometry is impossible (specification, section 2).
    """

    operator: Operator
    x: Sizes
    window: Window
    w: Sizes | None = None
    bias: bool = False
    output_padding: Sizes | None = None
    flip: bool = False
    dtype: Dtype = "float32"
    math: Math = "ieee"
    layout: Layout = "channels-first"
    data: Regime = "normal"
    seed: int = 0
    y: Sizes = field(init=False, repr=False, compare=False)
    forward_spatial: Sizes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the geometry once, before anything is computed."""
        if not self._has_types:
            self._convert()
        axes = len(self.x) - 2
        if axes not in (1, 2, 3):
            raise GeometryError(
                f"impossible geometry: x has {len(self.x)} sizes, wanted 3, 4 or 5 (N, C and 1 to 3 axes)"
            )
        if self.seed < 0:
            raise GeometryError(f"seed: got {self.seed}, wanted 0 or more")
        if min(self.x) < 0 or min(self.x[2:]) < 1:
            raise GeometryError(
                f"impossible geometry: got x {_by(self.x)}, wanted space of at least 1 and no size below 0"
            )
        if self.dtype not in DTYPES or self.layout not in LAYOUTS or self.data not in REGIMES or self.math not in MATHS:
            self._read_words()
        spec = self.operator.spec
        if self.data in spec.refused_data:
            raise GeometryError(f"{self.operator}: {spec.refused_data[self.data]}")
        if spec.pools:
            self._check_pool()
        else:
            self._check_kernel(axes)
        self._derive()

    @property
    def _has_types(self) -> bool:
        """True if nothing has to be converted; the type of one sum reveals the types of all sizes, which is fast."""
        x, w, extra = self.x, self.w, self.output_padding
        given: Any = self  # its words may have any type here
        try:
            return (
                type(self.operator) is Operator
                and type(self.window) is Window
                and type(x) is tuple
                and type(sum(x)) is int
                and (w is None or (type(w) is tuple and type(sum(w)) is int))
                and (extra is None or (type(extra) is tuple and type(sum(extra)) is int))
                and type(self.seed) is int
                and type(given.dtype) is type(given.math) is type(given.layout) is type(given.data) is str
                and type(self.bias) is bool
                and type(self.flip) is bool
            )
        except TypeError:  # what cannot be added is no size
            return False

    def _read_words(self) -> None:
        """Turn texts of other types into plain ones. Raises GeometryError for a word that is not allowed."""
        from harness.problems.validation import read_word

        for name, words in WORDS.items():
            object.__setattr__(self, name, read_word(name, getattr(self, name), words))

    def _convert(self) -> None:
        """Turn what has one reading into the field's own type, and refuse the rest. Raises UsageError."""
        from harness.problems.validation import check_one_of, check_type, read_sizes

        object.__setattr__(self, "operator", _read_operator(self.operator))
        check_type("window", self.window, Window, "a harness.Window, such as Window.of(2, padding=1)")
        for name in ("bias", "flip"):
            check_type(name, getattr(self, name), bool, "True or False")
        check_type("seed", self.seed, int, "a whole number")
        for name, words in WORDS.items():
            check_one_of(name, getattr(self, name), words)
        self._read_words()
        object.__setattr__(self, "x", read_sizes("x", self.x, "N, C and 1 to 3 sizes, such as (8, 64, 56, 56)"))
        for name, wanted in (("w", "O, C/groups and a size per axis"), ("output_padding", "a number per axis")):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, read_sizes(name, getattr(self, name), wanted))

    def _derive(self) -> None:
        """Compute once what follows from the geometry: everything that asks about a problem asks for it."""
        if self.output_padding is not None:
            assert self.w is not None
            moved_over = self.window.transposed_shape(self.x[2:], self.w[2:], self.output_padding)
            y = (self.x[0], self.w[1] * self.window.groups, *moved_over)
        else:
            moved_over = self.x[2:]
            channels = self.x[1] if self.w is None else self.w[0]
            y = (self.x[0], channels, *self.window.output_shape(moved_over, self.kernel))
        object.__setattr__(self, "forward_spatial", moved_over)
        object.__setattr__(self, "y", y)

    def _check_pool(self) -> None:
        if self.w is not None or self.window.kernel is None:
            raise GeometryError(f"{self.operator} has a kernel size, not a kernel array: got w, wanted kernel=")
        if self.bias or self.flip or self.output_padding is not None or self.window.groups != 1:
            raise GeometryError(f"{self.operator} has no bias, flip, groups or output_padding")
        if not (self.window.count_include_pad or self.operator.spec.divides):
            raise GeometryError(f"{self.operator} has no divisor; leave exclude_pad (count_include_pad=False) out")
        self.window.output_shape(self.x[2:], self.window.kernel)

    def _check_kernel(self, axes: int) -> None:
        w = self.w
        if w is None or self.window.kernel is not None:
            raise GeometryError(f"{self.operator} has a kernel array: got no w, wanted w=OxC/groupsxK")
        if len(w) != axes + 2 or min(w[:2]) < 0 or min(w[2:]) < 1:
            raise GeometryError(
                f"impossible geometry: got w {_by(w)}, wanted {axes + 2} sizes, kernels of at least 1 and none below 0"
            )
        if self.window.ceil_mode or not self.window.count_include_pad:
            raise GeometryError(f"{self.operator} has no ceil mode and no divisor; those belong to pooling")
        spec = self.operator.spec
        if self.bias and not spec.takes_bias:
            raise GeometryError(f"{self.operator} takes no bias; leave the field out")
        if (self.output_padding is not None) != spec.transposed:
            raise GeometryError(f"{self.operator}: output_padding belongs to conv_transpose, and only to it")
        if self.output_padding is not None:
            self.window.check_transposed(self.x, w, self.output_padding)
        else:
            self.window.check_conv(self.x, w)

    @property
    def axes(self) -> int:
        """Number of spatial axes."""
        return len(self.x) - 2

    @property
    def kernel(self) -> Sizes:
        """Kernel sizes K per axis."""
        if self.w is not None:
            return self.w[2:]
        assert self.window.kernel is not None
        return self.window.kernel

    @property
    def shapes(self) -> dict[str, Sizes]:
        """Shape of every input and output array, by name."""
        y = self.y
        known: dict[str, Sizes] = {"x": self.x, "y": y, "dy": y, "dx": self.x, "indices": y}
        if self.w is not None:
            known |= {"w": self.w, "dw": self.w, "b": (y[1],), "db": (y[1],)}
        names = [name for name in self.operator.inputs if name != "b" or self.bias]
        return {name: known[name] for name in (*names, *self.operator.outputs)}

    @property
    def output(self) -> Sizes:
        """Shape of the first output array."""
        return self.shapes[self.operator.outputs[0]]

    @property
    def flops(self) -> int:
        """Floating-point operations of the direct algorithm; taps that fall on padding are not counted."""
        return self.operator.spec.flops(self)

    @property
    def bytes(self) -> int:
        """Compulsory traffic: every array that goes in or out, once (indices as int64)."""
        item = ITEM_BYTES[self.dtype]
        return sum(math.prod(s) * (8 if name == "indices" else item) for name, s in self.shapes.items())

    @property
    def line(self) -> str:
        """The canonical one-line text; `parse_line` returns the same Problem from it."""
        return format_line(self)

    def with_(self, **changes: Any) -> Problem:
        """The same problem with some fields changed; bias, divisor and data follow the operator."""
        operator = changes.get("operator", self.operator)
        if not isinstance(operator, Operator):
            operator = changes["operator"] = _read_operator(operator)
        if not operator.spec.takes_bias:
            changes.setdefault("bias", False)
        if not (operator.spec.divides or self.window.count_include_pad):
            changes.setdefault("window", replace(self.window, count_include_pad=True))
        if self.data in operator.spec.refused_data:
            changes.setdefault("data", "integer")
        return replace(self, **changes)


def _read_operator(name: object) -> Operator:
    """The operator of a name. Raises UsageError where there is none."""
    found = Operator.__members__.get(name) if isinstance(name, str) else None
    if found is None:
        from harness.problems.validation import check_one_of

        check_one_of("operator", name, tuple(Operator))
        raise AssertionError("an operator that is allowed has a name")
    return found


def _by(sizes: Sizes) -> str:
    return "x".join(map(str, sizes))


def format_line(problem: Problem) -> str:
    """Write the canonical line of a problem."""
    window, ones = problem.window, (1,) * problem.axes
    parts = [problem.operator.value, "x=" + "x".join(map(str, problem.x))]
    if problem.w is not None:
        parts.append("w=" + "x".join(map(str, problem.w)))
    if window.kernel is not None:
        parts.append("kernel=" + "x".join(map(str, window.kernel)))
    if problem.bias:
        parts.append("bias")
    if window.stride != ones:
        parts.append("stride=" + ",".join(map(str, window.stride)))
    if any(side for pair in window.padding for side in pair):
        parts.append("pad=" + ",".join(f"{b}" if b == e else f"{b}:{e}" for b, e in window.padding))
    if window.dilation != ones:
        parts.append("dilation=" + ",".join(map(str, window.dilation)))
    if window.groups != 1:
        parts.append(f"groups={window.groups}")
    if problem.output_padding is not None and any(problem.output_padding):
        parts.append("output_padding=" + ",".join(map(str, problem.output_padding)))
    for flag, present in (
        ("ceil", window.ceil_mode), ("exclude_pad", not window.count_include_pad), ("flip", problem.flip),
    ):  # fmt: skip
        if present:
            parts.append(flag)
    for name, default in TEXTS.items():
        value = getattr(problem, name)
        if value != default:
            parts.append(f"{name}={value}")
    if problem.seed:
        parts.append(f"seed={problem.seed}")
    return " ".join(parts)

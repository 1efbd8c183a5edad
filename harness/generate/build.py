"""Build problems that are valid by construction: the output size is chosen, and the input size follows from it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

from harness.errors import GeometryError
from harness.generate.domains import QUANTITIES, Tier
from harness.problems.numerics import Dtype, Math
from harness.problems.operator import Operator
from harness.problems.problem import REGIMES, Layout, Problem, Regime
from harness.problems.window import Padding, Sizes, Window

REMEMBERED = 4096  # windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """All free parameters of a problem; parameters that an operator does not have (a bias, groups, ceil) are ignored.

    out, kernel, stride, dilation, begin, end: one value per axis; paddings are at least 0, all others positive.
    remainder: input positions per axis beyond the last window, modulo the stride; output_padding of conv_transpose.
    channels, outputs: per group. conv_transpose reads `outputs` channels per group and writes `channels`.
    hollow: permits windows of max pooling that hold padding only; their maximum is minus infinity and has no index.
    """

    operator: Operator
    out: Sizes
    kernel: Sizes
    stride: Sizes
    dilation: Sizes
    begin: Sizes
    end: Sizes
    remainder: Sizes
    batch: int = 1
    channels: int = 1
    groups: int = 1
    outputs: int = 1
    bias: bool = False
    flip: bool = False
    ceil: bool = False
    exclude_pad: bool = False
    dtype: Dtype = "float32"
    math: Math = "ieee"
    layout: Layout = "channels-first"
    data: Regime = "normal"
    seed: int = 0
    hollow: bool = False

    @property
    def axes(self) -> int:
        """Number of spatial axes."""
        return len(self.out)

    @property
    def padding(self) -> Padding:
        """Begin and end per axis; for max pooling at most (k-1)d, so that the first and last window fit."""
        pairs = tuple(zip(self.begin, self.end, strict=True))
        if not self._dense:
            return pairs
        most = [(k - 1) * d for k, d in zip(self.kernel, self.dilation, strict=True)]
        return tuple((min(b, limit), min(e, limit)) for (b, e), limit in zip(pairs, most, strict=True))

    @property
    def _dense(self) -> bool:
        return self.operator.spec.indexed and not self.hollow

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Input size of the window and number of windows, per axis: S = (o-1)s + d(k-1)+1 + r-b-e.

        For conv_transpose, S is the output size. If S would be below 1, both grow by whole strides; for max pooling if
        it would be below d, so that no window steps over the whole input.
        """
        return self._sizes_in(self.padding)

    def _sizes_in(self, padding: Padding) -> tuple[tuple[int, int], ...]:
        dense = self._dense
        found = []
        for o, k, s, d, (b, e), r in zip(
            self.out, self.kernel, self.stride, self.dilation, padding, self.remainder, strict=True
        ):
            n, least = (o - 1) * s + (k - 1) * d + 1 + r % s - b - e, d if dense else 1
            steps = max(0, -((n - least) // s))
            found.append((n + steps * s, o + steps))
        return tuple(found)


def build_problem(choices: Choices) -> Problem:
    """Build the problem. Raises GeometryError only if a choice lies outside every domain."""
    operator, padding = choices.operator, choices.padding
    sizes, spec = choices._sizes_in(padding), operator.spec
    pools, transposed = spec.pools, spec.transposed
    groups = 1 if pools else choices.groups
    rows, columns = choices.outputs * groups, choices.channels * groups
    spatial = tuple(o if transposed else n for n, o in sizes)
    window = _share_window(
        choices.stride,
        padding,
        choices.dilation,
        groups,
        choices.kernel if pools else None,
        pools and choices.ceil,
        not (spec.divides and choices.exclude_pad),
    )
    return Problem(
        operator=operator,
        x=(choices.batch, rows if transposed else columns, *spatial),
        w=None if pools else (rows, choices.channels, *choices.kernel),
        window=window,
        bias=spec.takes_bias and choices.bias,
        output_padding=_remainders(choices) if transposed else None,
        flip=not pools and choices.flip,
        dtype=choices.dtype,
        math=choices.math,
        layout=choices.layout,
        data=choices.data,
        seed=choices.seed,
    )


@lru_cache(maxsize=REMEMBERED)
def _share_window(
    stride: Sizes, padding: Padding, dilation: Sizes, groups: int, kernel: Sizes | None, ceil: bool, count_pad: bool
) -> Window:
    """Return the window of these fields; thousands of problems share some hundreds."""
    return Window(
        stride=stride, padding=padding, dilation=dilation, groups=groups, kernel=kernel, ceil_mode=ceil,
        count_include_pad=count_pad,
    )  # fmt: skip


def _remainders(choices: Choices) -> Sizes:
    return tuple(r % s for r, s in zip(choices.remainder, choices.stride, strict=True))


def differ(values: Sequence[int], domain: Sequence[int]) -> Sizes:
    """Make the values distinct: replace each duplicate by the next larger unused domain value, else any unused one."""
    taken: list[int] = []
    for value in values:
        if value in taken:
            free = [other for other in domain if other not in taken]
            value = next((other for other in free if other > value), free[0] if free else value)
        taken.append(value)
    return tuple(taken)


def spread_choices(choices: Choices, tier: Tier, quantities: Collection[str] = QUANTITIES) -> Choices:
    """Make the values of each quantity pairwise distinct, as far as its domain permits, so that mix-ups become visible.

    choices: start values. tier: domains of the values. quantities: names from QUANTITIES. kernel, stride and dilation
        become distinct over the axes; padding over the axes and sides; counts between batch, channels and outputs; size
        between outputs and inputs of all axes.
    """
    changes: dict[str, Any] = {}
    for name in ("kernel", "stride", "dilation"):
        if name in quantities:
            changes[name] = differ(getattr(choices, name), getattr(tier, name))
    if "padding" in quantities:
        pads = differ((*choices.begin, *choices.end), tier.padding)
        changes |= {"begin": pads[: choices.axes], "end": pads[choices.axes :]}
    if "counts" in quantities:
        names = ("batch", "channels") if choices.operator.pools else ("batch", "channels", "outputs")
        changes |= dict(zip(names, differ([getattr(choices, name) for name in names], tier.channels), strict=True))
    apart = replace(choices, **changes)
    return _differ_sizes(apart, tier) if "size" in quantities else apart


def _differ_sizes(choices: Choices, tier: Tier) -> Choices:
    """For each axis, take the first output size, from its own upwards, that makes its output and its input unique."""
    for axis in range(1, choices.axes):
        out, known = choices.out, choices.sizes[:axis]
        for o in (out[axis], *(larger for larger in tier.width if larger > out[axis])):
            tried = replace(choices, out=(*out[:axis], o, *out[axis + 1 :]))
            if all(new != old for pair in known for new, old in zip(tried.sizes[axis], pair, strict=True)):
                choices = tried
                break
    return choices


@cache
def fitting_regimes(operator: Operator, dtype: Dtype) -> tuple[Regime, ...]:
    """Return the data regimes of an operator in a dtype: those in which its smallest problem is valid."""
    one = Choices(
        operator=operator, out=(1,), kernel=(1,), stride=(1,), dilation=(1,), begin=(0,), end=(0,), remainder=(0,),
        dtype=dtype,
    )  # fmt: skip
    found = []
    for data in REGIMES:
        try:
            build_problem(replace(one, data=data))
        except GeometryError:
            continue
        found.append(data)
    return tuple(found)

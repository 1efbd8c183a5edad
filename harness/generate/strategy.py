"""Hypothesis strategy for problems that are valid by construction and shrink to the smallest shapes.

Every value is drawn from a domain that begins with its smallest value; no draw is rejected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from hypothesis import strategies as st

from harness.generate import domains
from harness.generate.build import Choices, build_problem, fitting_regimes, spread_choices
from harness.generate.domains import TINY, VOLUME, Freedom, Tier
from harness.problems.numerics import DTYPES, Dtype, Math
from harness.problems.operator import Operator
from harness.problems.problem import LAYOUTS, REGIMES, Problem, Regime
from harness.problems.window import Sizes

SHARE_CONV, SHARE_WHOLE = 3, 2  # one in 3 problems is a convolution, one in 2 holds integers: most laws apply to them
FLAG = st.booleans()
SEEDS = (0, 1, 2)  # more seeds for one shape find little; small seeds give short lines


@st.composite
def problems(
    draw: st.DrawFn,
    *,
    operators: Sequence[Operator] = tuple(Operator),
    dtypes: Sequence[Dtype] = DTYPES,
    axes: Sequence[int] = (1, 2, 3),
    regimes: Sequence[Regime] = REGIMES,
    maths: Sequence[Math] = ("ieee",),
    largest: int | None = None,
    tails: bool = True,
    hollow: bool = False,
) -> Problem:
    """Draw a problem.

    operators, dtypes, axes, regimes, maths: values to draw from; `axes` are numbers of spatial axes.
    largest: largest size, kernel, stride, channel count and padding; None for those of the domains.
    tails: True if one quantity may be large, to cross the widths of registers and tiles.
    hollow: True if windows of max pooling may hold padding only.
    """
    operator = draw(_pick(_repeat(Operator.conv, operators, SHARE_CONV)))
    dtype = draw(_pick(_repeat("float32", dtypes, len(dtypes))))
    space = draw(_pick(tuple(axes)))
    fitting = [regime for regime in regimes if regime in fitting_regimes(operator, dtype)]
    outside: dict[str, Any] = {
        "dtype": dtype,
        "math": draw(_pick(tuple(maths))),
        "layout": draw(_pick(LAYOUTS)),
        "data": draw(_pick(_repeat("integer", fitting, SHARE_WHOLE))),
        "seed": draw(_pick(SEEDS)),
        "hollow": hollow,
    }
    modes = {name: draw(_pick(domains.MODES[name])) for name in domains.QUANTITIES}
    large = draw(_pick(("", "", "", *domains.LARGE))) if tails else ""
    tier = VOLUME if space == 3 else TINY
    if largest is not None:
        tier = tier.limited(largest)
    narrow = _widen(tier, large)
    for name, mode in modes.items():
        narrow = narrow.plain(name) if mode == "plain" else narrow
    choices = replace(_draw_window(draw, operator, space, narrow), **outside)
    choices = spread_choices(choices, tier, [name for name, mode in modes.items() if mode == "apart"])
    return build_problem(_fill(choices) if modes["size"] == "full" else _pad(choices, modes["padding"]))


def _fill(choices: Choices) -> Choices:
    """Make the kernel as large as the input: a fully connected layer, or global pooling."""
    ones, zeros = (1,) * choices.axes, (0,) * choices.axes
    return replace(choices, out=ones, dilation=ones, begin=zeros, end=zeros, remainder=zeros)


def _pad(choices: Choices, mode: Freedom) -> Choices:
    """Apply a padding mode: wide, m'-1 on every side; equal width, m'-1 in total, the odd element at the end.

    (specification, section 2)
    """
    if mode not in ("wide", "equal"):
        return choices
    all_but_one = tuple((k - 1) * d for k, d in zip(choices.kernel, choices.dilation, strict=True))
    if mode == "wide":
        return replace(choices, begin=all_but_one, end=all_but_one)
    return replace(choices, begin=tuple(m // 2 for m in all_but_one), end=tuple(m - m // 2 for m in all_but_one))


@cache
def _pick(values: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    """Strategy for one of the values, shrinking towards the first; cached, because building it dominates a draw."""
    return st.sampled_from(values)


def _draw_window(draw: st.DrawFn, operator: Operator, space: int, tier: Tier) -> Choices:
    """Draw shapes, window and flags.

    The number of draws is constant, so that the rest of an example keeps its meaning when its operator or number of
    axes shrinks. Values that should become simple come first, because early draws shrink first.
    """

    def each(domain: Sizes) -> Sizes:
        return tuple(draw(_pick(domain)) for _ in range(3))[3 - space :]

    return Choices(
        operator=operator,
        bias=draw(FLAG),
        flip=draw(FLAG),
        ceil=draw(FLAG),
        exclude_pad=draw(FLAG),
        groups=draw(_pick(tier.groups)),
        begin=each(tier.padding),
        end=each(tier.padding),
        dilation=each(tier.dilation),
        stride=each(tier.stride),
        remainder=each(tuple(range(max(tier.stride)))),
        batch=draw(_pick(tier.batch)),
        channels=draw(_pick(tier.channels)),
        outputs=draw(_pick(tier.outputs)),
        kernel=each(tier.kernel),
        out=(*each(tier.size)[1:], draw(_pick(tier.width))),
    )


def _widen(tier: Tier, large: str) -> Tier:
    """Tier with one quantity that may be large; many groups have few channels each."""
    if not large:
        return tier
    wider = replace(tier, **{large: (*getattr(tier, large), *domains.LARGE[large])})
    return replace(wider, channels=tier.channels[:2], outputs=tier.outputs[:2]) if large == "groups" else wider


def _repeat(value: Any, values: Sequence[Any], share: int) -> tuple[Any, ...]:
    """Repeat one of the values, if present, at the front, so that it makes up about one in `share`."""
    others = tuple(other for other in values if other != value)
    return (value,) * (max(1, len(others) // max(1, share - 1)) if len(others) < len(values) else 0) + others

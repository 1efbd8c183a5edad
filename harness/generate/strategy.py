"""Drawing problems with Hypothesis: valid by construction, and shrinking to the smallest shapes.

Every value is drawn from a domain that begins with its smallest value, and nothing is drawn and thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from hypothesis import strategies as st

from harness.generate import domains
from harness.generate.build import Choices, build_problem, fitting_regimes, spread_choices
from harness.generate.domains import TINY, VOLUME, Tier
from harness.problems.numerics import DTYPES
from harness.problems.operator import Operator
from harness.problems.problem import LAYOUTS, REGIMES, Problem
from harness.problems.window import Sizes

SHARE_CONV, SHARE_WHOLE = 3, 2  # one problem in so many is a convolution, or of whole numbers: most laws speak of them
FLAG = st.booleans()
SEEDS = (0, 1, 2)  # different data on the same shape finds little; small seeds make short lines


@st.composite
def problems(
    draw: st.DrawFn,
    *,
    operators: Sequence[Operator] = tuple(Operator),
    dtypes: Sequence[str] = DTYPES,
    axes: Sequence[int] = (1, 2, 3),
    regimes: Sequence[str] = REGIMES,
    maths: Sequence[str] = ("ieee",),
    largest: int | None = None,
    tails: bool = True,
    hollow: bool = False,
) -> Problem:
    """Draw a problem from the given operators, dtypes, numbers of axes, data regimes and maths.

    largest: the largest size, kernel, stride, count of channels and padding (None: as the domains have it).
    tails: whether one quantity of a problem may be large, to cross the widths of registers and tiles.
    hollow: whether windows of max pooling may hold padding only.
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
    """Make the kernel the whole input: a fully connected layer, or global pooling."""
    ones, zeros = (1,) * choices.axes, (0,) * choices.axes
    return replace(choices, out=ones, dilation=ones, begin=zeros, end=zeros, remainder=zeros)


def _pad(choices: Choices, mode: str) -> Choices:
    """Paddings by name: wide, m'-1 on every side; equal width, m'-1 in all, the odd one at the end (SPEC section 2)."""
    if mode not in ("wide", "equal"):
        return choices
    all_but_one = tuple((k - 1) * d for k, d in zip(choices.kernel, choices.dilation, strict=True))
    if mode == "wide":
        return replace(choices, begin=all_but_one, end=all_but_one)
    return replace(choices, begin=tuple(m // 2 for m in all_but_one), end=tuple(m - m // 2 for m in all_but_one))


@cache
def _pick(values: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    """One of the values, shrinking towards the first; made once, since most of a draw's time goes into making it."""
    return st.sampled_from(values)


def _draw_window(draw: st.DrawFn, operator: Operator, space: int, tier: Tier) -> Choices:
    """Shapes, window and flags.

    Always as many draws, used or not: what is left of an example then means the same when its operator or its number
    of axes shrinks. What is to be plain comes first, for the first draws become smallest.
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
    """The tier with one quantity that may be large; many groups have few channels each."""
    if not large:
        return tier
    wider = replace(tier, **{large: (*getattr(tier, large), *domains.LARGE[large])})
    return replace(wider, channels=tier.channels[:2], outputs=tier.outputs[:2]) if large == "groups" else wider


def _repeat(value: Any, values: Sequence[Any], share: int) -> tuple[Any, ...]:
    """The values with one of them, if it is there, in front and so often that it is about one in `share`."""
    others = tuple(other for other in values if other != value)
    return (value,) * (max(1, len(others) // max(1, share - 1)) if len(others) < len(values) else 0) + others

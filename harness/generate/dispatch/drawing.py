"""Random problems on specialised code paths: layers of real networks, and random combinations of their parts.

A problem is built from a value for every key of `domain`. Values are drawn with `random`, not with Hypothesis: a fault
that needs four conditions at once takes thousands of draws, so that drawing must be cheap compared with testing.
Failures are reduced by `reduction.py`.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from harness.generate.build import Choices, build_problem
from harness.generate.dispatch import values
from harness.generate.dispatch.problems import estimate_cost
from harness.generate.dispatch.values import WindowClass
from harness.problems.numerics import DTYPES, Dtype
from harness.problems.operator import Operator
from harness.problems.problem import LAYOUTS, Problem
from harness.problems.window import Sizes

DEAR = 3e6  # operations: a random problem that costs more is made smaller
DEAR_BEYOND = 2e7  # the same for problems with a very large count
BEFORE_MIXING = 100  # drawn problems: faults that are found at once need no others
DRAWN_PER_CHOSEN = 2
AXES: Sizes = (1, 2, 2, 2, 3)
AXES_BEYOND: Sizes = (1, 2, 3)
COUNTS: Sizes = (1, 2, 4, 8, 16, 32, 64, 128)
OFFS: Sizes = (0, 0, 0, 1, -1, 2)  # difference to the count; 2 stands for an increase by half
HALF_MORE = 2
BATCHES: Sizes = (1, 2, 3, 4, 5, 8, 16, 17, 33)
WIDTHS: Sizes = (1, 1, 1, 2, 3, 4, 5, 7, 8, 14, 15, 16, 17, 31, 32, 33)
OTHERS: Sizes = (1, 2, 3, 4, 5, 8)
# Quantities that may exceed a limit of a byte, a block or a grid, one at a time, with their large values.
BEYOND: Mapping[str, Sizes] = {
    "width": (63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025, 4095, 4096, 4097),
    "channels": (255, 256, 257, 511, 512, 513, 1025, 4097), "outputs": (255, 256, 257, 511, 512, 513, 1025, 4097),
    "batch": (64, 65, 129, 257, 513, 1025, 4097),
    "many images": (65537,), "many channels": (65537,), "many outputs": (65537,),
}  # fmt: skip
BEYOND_OR_NOT = ("",) * 25 + tuple(BEYOND)
KERNELS: Mapping[int, tuple[Sizes, ...]] = {
    1: ((1,), (2,), (3,), (4,), (5,), (7,), (11,), (16,), (25,), (128,)),
    2: ((1, 1), (1, 1), (2, 2), (1, 3), (3, 1), (3, 2), (3, 3), (3, 3), (3, 3), (3, 3), (1, 7), (7, 1), (4, 4), (5, 5),
        (7, 7), (11, 11)),
    3: ((1, 1, 1), (2, 2, 2), (1, 3, 3), (3, 1, 1), (3, 3, 3), (3, 3, 3)),
}  # fmt: skip
POOLED_KERNELS: Mapping[int, tuple[Sizes, ...]] = {
    1: ((1,), (2,), (3,), (4,), (5,), (18,), (65,), (257,), (1025,)),
    2: ((1, 1), (2, 2), (2, 3), (3, 2), (3, 3), (5, 5), (7, 7), (9, 8), (1, 18), (18, 1), (14, 14), (17, 17), (20, 20),
        (33, 32)),
    3: ((1, 1, 1), (2, 2, 2), (3, 3, 3), (5, 4, 4)),
}  # fmt: skip
STRIDES: tuple[Any, ...] = (1, 1, 1, 2, 2, 3, 4, "unequal", "kernel", "beyond")
DILATIONS: Sizes = (1, 1, 1, 2, 2, 3, 4, 12)
FREE = "free"  # any padding on each side
PADDINGS = ("none", "none", "same", "same", "half", "wide", "causal", "end", "beyond", FREE)
GROUPS: tuple[values.Groups, ...] = ("one", "one", "one", "one", "depthwise", "depthwise", "grouped", "multiplier")
MULTIPLES: Sizes = (2, 3, 4)  # numbers of groups with many channels, or of outputs per channel
# Repetitions of frequent windows of `values.py`; as many windows are free.
COMMON: Mapping[str, int] = {"3x3": 4, "1x1": 3, "depthwise 3x3": 2, "2x2 stride 2": 2, "3x3 stride 2 half": 2}
ALTERED = ("", "", "", "", "stride", "padding", "dilation", "groups")  # part of a named window that is free
DATA = ("integer", "integer", "integer", "normal")
SIDES: tuple[Sizes, ...] = tuple(itertools.product((0, 1, 2), repeat=3))


def draw_layers(
    operators: Sequence[Operator] = tuple(Operator), dtypes: Sequence[Dtype] = DTYPES, seed: int = 0
) -> Iterator[Problem]:
    """Yield layers without end, cycling through the operators; deterministic for a seed.

    operators: in this order. dtypes: values to draw from.
    """
    draw = random.Random(seed)
    while True:
        for operator in operators:
            beyond = draw.choice(BEYOND_OR_NOT)
            axes = draw.choice(AXES_BEYOND if beyond else AXES)
            chosen = {key: draw.choice(choices) for key, choices in domain(operator, axes).items()}
            yield layer_of(operator, axes, {**chosen, "dtype": draw.choice(dtypes), "beyond": beyond})


def mix_problems(drawn: Iterator[Problem], choose: Callable[[], Iterable[Problem]], seed: int = 0) -> Iterator[Problem]:
    """Yield problems that are drawn and, as one in three after the first ones, each chosen problem once.

    Drawn problems reach what was not chosen. Chosen ones bring together five to eight conditions at once, which draws
    meet too rarely. They keep their order within each operator, which begins with those of most conditions.
    drawn: without end. choose: makes the chosen problems, which takes seconds, and is called when they are needed.
    seed: of the order of problems of different operators.
    """
    yield from itertools.islice(drawn, BEFORE_MIXING)
    for problem in _interleave(choose(), random.Random(seed)):
        yield problem
        yield from itertools.islice(drawn, DRAWN_PER_CHOSEN)
    yield from drawn


def _interleave(problems: Iterable[Problem], draw: random.Random) -> list[Problem]:
    """Mix problems of different operators, so that equal shares of each are equally far from the start."""
    groups: dict[Operator, list[Problem]] = {}
    for problem in problems:
        groups.setdefault(problem.operator, []).append(problem)
    placed = [
        ((number + draw.random()) / len(group), place, number, problem)
        for place, group in enumerate(groups.values())
        for number, problem in enumerate(group)
    ]
    return [problem for *_, problem in sorted(placed, key=lambda one: one[:3])]


@cache
def domain(operator: Operator, axes: int) -> Mapping[str, tuple[Any, ...]]:
    """Return the possible values of every key of a layer except its dtype; the keys are the same for every operator.

    axes: number of spatial axes.
    """
    kernels = (POOLED_KERNELS if operator.pools else KERNELS)[axes]
    named = tuple(window for window in _windows(operator) if len(window.kernel) == axes)
    return {
        "layout": LAYOUTS,
        "data": DATA,
        "bias": (False, True),
        "ceil": (False, True),
        "exclude_pad": (False, True),
        "window": (*(None,) * max(1, len(named)), *named),
        "altered": ALTERED,
        "full": (False,) * 5 + (True,),
        "stride": STRIDES,
        "dilation": DILATIONS,
        "padding": PADDINGS,
        "begin": SIDES,
        "end": SIDES,
        "groups": GROUPS,
        "multiple": MULTIPLES,
        "beyond": BEYOND_OR_NOT,
        "beyond by": tuple(range(max(map(len, BEYOND.values())))),
        "batch": BATCHES,
        "channels": COUNTS,
        "channels off": OFFS,
        "outputs": COUNTS,
        "outputs off": OFFS,
        "kernel": kernels,
        "depth": OTHERS,
        "height": OTHERS,
        "width": WIDTHS,
        "remainder": SIDES,
        "square": (False, False, True),
        "kept": ("channels", "batch", "space"),
    }


def _windows(operator: Operator) -> tuple[WindowClass, ...]:
    """Windows of `values.py` for an operator, frequent ones repeated."""
    known = values.POOLS if operator.pools else values.WINDOWS
    return tuple(
        window.turned(turn)
        for name, window in known.items()
        for turn in range(len(window.dilations) or COMMON.get(str(name), 1))
    )


def layer_of(operator: Operator, axes: int, chosen: Mapping[str, Any], dear: float = DEAR) -> Problem:
    """Build the problem of a layer.

    operator, axes: as for `domain`. chosen: a value for each of its keys, and a dtype.
    dear: estimated operations above which the problem is made smaller.
    """
    free = _free_window(chosen)
    window = _alter(chosen["window"], free, chosen["altered"]) if chosen["window"] else free
    full = window.full or (chosen["full"] and chosen["window"] is None)
    open_sides = chosen["padding"] == FREE and (chosen["window"] is None or chosen["altered"] == "padding")
    begin, end = (chosen["begin"][-axes:], chosen["end"][-axes:]) if open_sides else window.sides
    channels, outputs, groups = _count(operator, window, chosen)
    zeros = (0,) * axes
    if full:
        out, begin, end, remainder = (1,) * axes, zeros, zeros, zeros
    elif chosen["square"]:
        out, remainder = (chosen["height"],) * axes, window.fill_strides(begin, end)
    else:
        out, remainder = (chosen["depth"], chosen["height"], chosen["width"])[-axes:], chosen["remainder"][-axes:]
    choices = Choices(
        operator=operator,
        out=out,
        kernel=window.kernel,
        stride=window.stride or (1,) * axes,
        dilation=(1 if full else window.dilation,) * axes,
        begin=begin,
        end=end,
        remainder=remainder,
        batch=chosen["batch"],
        channels=channels,
        outputs=outputs,
        groups=groups,
        bias=operator.spec.takes_bias and chosen["bias"],
        ceil=window.ceil or chosen["ceil"],
        exclude_pad=operator.spec.divides and chosen["exclude_pad"],
        dtype=chosen["dtype"],
        layout=chosen["layout"],
        data=chosen["data"],
        hollow=chosen.get("hollow", False),
    )
    if chosen["beyond"].startswith("many"):
        dear = max(dear, DEAR_BEYOND)
    return _lighten(_go_beyond(choices, chosen["beyond"], chosen["beyond by"]), chosen["kept"], dear)


def _alter(window: WindowClass, free: WindowClass, part: str) -> WindowClass:
    """Replace one part of a named window, or none, by that of a free window with the same number of axes."""
    if part == "stride":
        return replace(window, stride=free.stride)
    if part == "padding":
        return replace(window, padding=free.padding)
    if part == "dilation":
        return replace(window, dilation=free.dilation)
    return replace(window, groups=free.groups) if part == "groups" else window


def _free_window(chosen: Mapping[str, Any]) -> WindowClass:
    """Assemble a window from its parts."""
    kernel = chosen["kernel"]
    return WindowClass(
        kernel=kernel,
        stride=values.stride_of(chosen["stride"], kernel),
        padding="none" if chosen["padding"] == FREE else chosen["padding"],
        dilation=chosen["dilation"],
        groups=chosen["groups"],
    )


def _count(operator: Operator, window: WindowClass, chosen: Mapping[str, Any]) -> tuple[int, int, int]:
    """Channels and outputs per group, and the number of groups."""
    channels, outputs, multiple = _read_count(chosen, "channels"), _read_count(chosen, "outputs"), chosen["multiple"]
    if operator.pools or window.groups == "one":
        return channels, outputs, 1
    if window.groups == "grouped":
        return channels, outputs, multiple
    return 1, multiple if window.groups == "multiplier" else 1, channels


def _read_count(chosen: Mapping[str, Any], name: str) -> int:
    """Channel count: a power of two, a neighbour of one, or one and a half times one."""
    count, off = int(chosen[name]), int(chosen[f"{name} off"])
    return count + (count + 1) // 2 if off == HALF_MORE else max(1, count + off)


def _go_beyond(choices: Choices, name: str, place: int) -> Choices:
    """Increase one quantity beyond a limit; for very large counts, reduce all others to the minimum."""
    if not name:
        return choices
    value = BEYOND[name][place % len(BEYOND[name])]
    if name == "width":
        return replace(choices, out=(*(1,) * (choices.axes - 1), value))
    if name.startswith("many"):
        ones, zeros = (1,) * choices.axes, (0,) * choices.axes
        choices = replace(
            choices, batch=1, channels=1, outputs=1, groups=1, out=ones, dilation=ones, begin=zeros, end=zeros,
            kernel=tuple(min(m, 2) for m in choices.kernel), remainder=zeros,
        )  # fmt: skip
    if name in ("batch", "many images"):
        return replace(choices, batch=value)
    if name in ("channels", "many channels"):
        return replace(choices, channels=value)
    return replace(choices, outputs=value)


def _lighten(choices: Choices, kept: str, dear: float) -> Problem:
    """Build a problem within the cost limit.

    A problem above it is reduced in batch, space and channels, except in the one that is `kept`, then in the reach of
    its windows, then in the one that was kept, only as far as needed.
    """
    small: Mapping[str, Mapping[str, Any]] = {
        "batch": {"batch": min(choices.batch, 2)},
        "space": {"out": tuple(min(o, 2) for o in choices.out)},
        "channels": {"channels": min(choices.channels, 8), "outputs": min(choices.outputs, 8),
                     "groups": min(choices.groups, 8)},
        "reach": {"dilation": (1,) * choices.axes, "begin": (0,) * choices.axes, "end": (0,) * choices.axes},
    }  # fmt: skip
    problem = build_problem(choices)
    for name in sorted(small, key=lambda name: (name == "reach") + 2 * (name == kept)):
        if estimate_cost(problem) <= dear:
            break
        choices = replace(choices, **small[name])
        problem = build_problem(choices)
    return problem

"""Problems with less common values than those of `values.py`; each pair of these values occurs in a problem.

Libraries have code for them as well: kernels of one row or column, strides of the first axis only, the padding of
TensorFlow's SAME rule, channel counts that fill some blocks of 4, 8 or 16 and leave a remainder, and outputs that
exceed a tile on both axes. Sources: tt-mlir#9276 and ComputeLibrary#904 (1x3, 5x1 depthwise), oneDNN#5730 (kernel 5x1,
stride 3x1), nnfusion#192 and mlx#2038 (padding 1:2 of 5x5, 0:1 of 3x3x3), pytorch#21597 (6 channels), pytorch#23042
(depthwise with 25 taps and stride 2), ComputeLibrary#490 (40x40), MIOpen#2770 (64 channels, thousands of positions).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from harness.generate.build import Choices, build_problem
from harness.generate.covering import Row
from harness.generate.dispatch.problems import ask_elements, estimate_cost, with_long_numbers
from harness.generate.domains import Value
from harness.plan.suite import NamedProblem
from harness.problems.data import can_be_distinct
from harness.problems.line import parse_line
from harness.problems.numerics import DTYPES
from harness.problems.operator import Operator
from harness.problems.problem import LAYOUTS, Problem
from harness.problems.validation import read_word
from harness.problems.window import Sizes

MOST = 1e7  # operations of a problem: many positions or channels are what is rare of some
KERNELED = tuple(operator for operator in Operator if operator.spec.family == "layers")
POOLS = tuple(operator for operator in Operator if operator.pools)
KERNELS: Mapping[Value, Sizes] = {
    "1x3": (1, 3), "3x1": (3, 1), "5x1": (5, 1), "1x5": (1, 5), "3x3": (3, 3), "5x5": (5, 5), "7x7": (7, 7),
    "6x6": (6, 6), "9x9": (9, 9), "3x5": (3, 5), "1-D 5": (5,), "1-D 25": (25,), "3x3x3": (3, 3, 3), "1x3x3": (1, 3, 3),
}  # fmt: skip
POOLED: Mapping[Value, Sizes] = {
    "3x3": (3, 3), "4x4": (4, 4), "3x1": (3, 1), "1x3": (1, 3), "1-D 4": (4,), "3x3x3": (3, 3, 3),
}  # fmt: skip
BETWEEN: Sizes = (24, 6, 12, 40, 48, 20, 96, 10, 28, 56, 14, 80, 18, 112, 36, 72)  # neither round nor next to one
SPACES: Mapping[Value, tuple[Sizes, Sizes, Sizes]] = {  # numbers of windows on one, two and three axes
    "plane": ((301,), (41, 43), (3, 17, 18)), "square": ((16,), (8, 8), (4, 4, 4)),
    "column": ((7,), (35, 1), (9, 2, 1)), "few": ((3,), (2, 3), (2, 2, 3)),
}  # fmt: skip
_COMMON: Mapping[str, tuple[Value, ...]] = {
    "stride": (1, 2, 3, "first"), "padding": ("none", "half", "least"), "c": ("between", 16, 64, "few"),
    "batch": (2, 1, 3, 4, 32), "space": tuple(SPACES), "layout": ("channels-first", "channels-last"),
    "dtype": ("float32", "float16", "bfloat16", "float64"),
}  # fmt: skip
CONVOLUTIONS: Mapping[str, tuple[Value, ...]] = {
    "kernel": tuple(KERNELS), **_COMMON, "o": ("between", 8, 32, "few"), "bias": ("none", "bias"),
    "groups": ("one", "depthwise", "grouped", "multiplier"),
}  # fmt: skip
WINDOWS: Mapping[str, tuple[Value, ...]] = {
    "kernel": tuple(POOLED), **_COMMON, "rounding": ("floor", "ceil"), "divisor": ("include", "exclude"),
}  # fmt: skip
LAYERS = (  # from networks that no other suite contains: three or more of these values at once
    "x=2x16x9x9 w=16x1x7x7 pad=3 groups=16", "x=2x16x9x9 w=16x1x7x7 stride=2 pad=3 groups=16",
    "x=2x24x10x10 w=24x1x5x5 stride=2 pad=1:2 groups=24", "x=2x24x8x8 w=24x1x3x3 stride=2 pad=0:1 groups=24",
    "x=1x3x16x16 w=16x3x3x3 stride=2 pad=0:1", "x=2x16x8x8 w=32x16x3x3 stride=2 pad=0:1",
    "x=1x8x6x6x6 w=8x8x3x3x3 stride=2 pad=0:1", "x=2x32x1x33 w=32x1x1x3 pad=0,1 groups=32",
    "x=2x16x1x33 w=16x16x1x3 pad=0,1", "x=1x3x41x43 w=8x3x3x3 pad=1", "x=1x64x33x32 w=1x64x3x3 pad=1",
    "x=1x16x20x22 w=16x16x3x3 pad=1", "x=2x16x33x5 w=32x16x5x1 stride=3,1 pad=2,0",
    "x=2x16x99 w=16x1x25 stride=2 pad=12 groups=16",
    # Dense layers as 1x1 on one position; few channels under a large kernel.
    "x=33x64x1x1 w=64x64x1x1", "x=32x128x1x1 w=16x128x1x1", "x=24x256x1x1 w=10x256x1x1",
    "x=5x16x9x9 w=16x1x3x1 stride=2 pad=1,0 groups=16",
    "x=2x3x9x11 w=4x3x7x7 pad=3", "x=1x16x3x5x6 w=16x16x1x3x3 pad=0,1,1", "x=2x16x6x4x3 w=16x16x3x1x1 pad=1,0,0",
    # Planes and lines of a volume apart, as in (2+1)-D networks, on one plane and with many channels.
    "x=1x64x1x5x6 w=64x64x1x3x3 pad=0,1,1", "x=1x64x4x2x3 w=65x64x3x1x1 pad=1,0,0",
    "x=2x64x1x7x6 w=32x64x1x3x3 stride=1,2,2 pad=0,1,1",
)  # fmt: skip
SPANNING = ("x=3x8x12x7 w=16x1x12x1 groups=8", "x=2x1x9x20 w=16x1x3x20")  # kernels of a whole row or column: each form
POOLED_LAYERS = (  # padded windows that do not overlap, and windows that overlap by one
    "x=2x16x6x6 kernel=2x2 stride=2 pad=1", "x=3x8x7x10 kernel=2x2 stride=1 pad=0:1",
    "x=2x12x9x9 kernel=3x3 stride=3 pad=1",
)  # fmt: skip
FORMS = ("", " dtype=float16 layout=channels-last", " dtype=bfloat16")  # taken in turn
# Successive changes to an expensive row, until it is cheap enough.
LIGHTER: tuple[Row, ...] = ({"batch": 1}, {"o": 8}, {"c": 16}, {"space": "square"}, {"space": "few"})


@cache
def rare_problems() -> tuple[NamedProblem, ...]:
    """Build the problems rare/OPERATOR/000 and so on; deterministic in content and order."""
    found: dict[Problem, str] = {}
    for operators, columns in ((KERNELED, CONVOLUTIONS), (POOLS, WINDOWS)):
        rows = cover_pairs(columns)
        for operator in operators:
            for number, row in enumerate(rows):
                found.setdefault(_lighten(operator, row, number), f"rare/{operator}/{number:03d}")
    for turn, operator in enumerate(KERNELED[:3]):
        for number, layer in enumerate(LAYERS):
            line = f"{operator} {layer}{FORMS[(number + turn) % len(FORMS)]} data=integer"
            found.setdefault(with_long_numbers(parse_line(line)), f"rare/{operator}/layer-{number:02d}")
    for operator, layer, form in itertools.product(KERNELED[:3], SPANNING, FORMS):
        name = f"rare/{operator}/spanning-{SPANNING.index(layer):02d}"
        found.setdefault(with_long_numbers(parse_line(f"{operator} {layer}{form} data=integer")), name)
    for operator, layer, form in itertools.product(POOLS, POOLED_LAYERS, FORMS):
        data = "distinct" if Operator(operator).spec.indexed else "integer"
        name = f"rare/{operator}/layer-{POOLED_LAYERS.index(layer):02d}"
        found.setdefault(parse_line(f"{operator} {layer}{form} data={data}"), name)
    return tuple(ask_elements(name, problem) for problem, name in found.items())


def cover_pairs(columns: Mapping[str, Sequence[Value]]) -> tuple[Row, ...]:
    """Rows that contain every two values of different columns: each begins with a missing pair, completed greedily."""
    unmet = dict.fromkeys(
        frozenset(((a, x), (b, y)))
        for (a, xs), (b, ys) in itertools.combinations(columns.items(), 2)
        for x, y in itertools.product(xs, ys)
    )
    rows: list[Row] = []
    while unmet:
        row: Row = dict(next(iter(unmet)))
        for name, choices in columns.items():
            if name not in row:
                shift = len(rows) % len(choices)  # break ties in turn
                turned = (*choices[shift:], *choices[:shift])
                row[name] = max(
                    turned, key=lambda value: sum(frozenset(((name, value), spot)) in unmet for spot in row.items())
                )
        for pair in itertools.combinations(row.items(), 2):
            unmet.pop(frozenset(pair), None)
        rows.append(row)
    return tuple(rows)


def _lighten(operator: Operator, row: Row, number: int) -> Problem:
    """Build the problem of a row; if it is expensive, with fewer images, channels or positions."""
    problem = _problem_of(operator, row, number)
    for lighter in LIGHTER:
        if estimate_cost(problem) <= MOST:
            break
        row = row | {name: value for name, value in lighter.items() if name in row}
        problem = _problem_of(operator, row, number)
    return problem


def _problem_of(operator: Operator, row: Row, number: int) -> Problem:
    kernel = (POOLED if operator.pools else KERNELS)[row["kernel"]]
    axes = len(kernel)
    stride = (2, *(1,) * (axes - 1)) if row["stride"] == "first" else (int(row["stride"]),) * axes
    begin, end = zip(*find_sides(str(row["padding"]), kernel, stride), strict=True)
    c, o = _count(row["c"], number // 4), _count(row.get("o", 8), number // 4 + 5)
    groups = str(row.get("groups", "one"))
    problem = build_problem(
        Choices(
            operator=operator, out=SPACES[row["space"]][axes - 1], kernel=kernel, stride=stride, dilation=(1,) * axes,
            begin=begin, end=end, remainder=(0,) * axes, batch=int(row["batch"]),
            channels=1 if groups in ("depthwise", "multiplier") else c,
            groups={"one": 1, "grouped": 2 + number % 3}.get(groups, c),
            outputs={"depthwise": 1, "multiplier": 2 + number % 2}.get(groups, o),
            bias=row.get("bias") == "bias", ceil=row.get("rounding") == "ceil",
            exclude_pad=row.get("divisor") == "exclude", dtype=read_word("dtype", row["dtype"], DTYPES),
            layout=read_word("layout", row["layout"], LAYOUTS), data="integer",
        )
    )  # fmt: skip
    if operator.spec.indexed and can_be_distinct(problem):
        return problem.with_(data="distinct")
    return with_long_numbers(problem)


def find_sides(padding: str, kernel: Sizes, stride: Sizes) -> Iterator[tuple[int, int]]:
    """Yield the padding at the begin and at the end of each axis.

    least: the minimum for ceil(n / s) windows if s divides n, the odd element at the end (TensorFlow's SAME).
    """
    for m, s in zip(kernel, stride, strict=True):
        total = max(0, m - s)
        yield {"none": (0, 0), "half": (m // 2, m // 2), "least": (total // 2, total - total // 2)}[padding]


def _count(kind: Value, number: int) -> int:
    """Channel count: the members of a class in turn."""
    if kind == "between":
        return BETWEEN[number % len(BETWEEN)]
    return (1, 3, 5)[number % 3] if kind == "few" else int(kind)

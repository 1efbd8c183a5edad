"""The canonical problem line: text that parses back to the same Problem.

    OPERATOR x=NxCxS [w=OxC/gxK | kernel=K] [bias] [stride=] [pad=] [dilation=] [groups=] [output_padding=]
             [ceil] [exclude_pad] [flip] [dtype=] [math=] [layout=] [data=] [seed=]

Fields stand in this order. A field at its default is left out: stride 1, pad 0, dilation 1, groups 1,
output_padding 0, dtype float32, math ieee, layout channels-first, data normal, seed 0. Shapes are joined by `x`,
values per axis by `,`, and the two sides of a padding by `:` where they differ (`pad=1:0,2`).
When a line is read, fields may come in any order and one value per axis may stand for all axes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from harness.errors import GeometryError, LineError, unknown
from harness.problems.numerics import DTYPES, MATHS
from harness.problems.operator import Operator
from harness.problems.problem import LAYOUTS, REGIMES, TEXTS, Problem
from harness.problems.validation import Word, read_word
from harness.problems.window import Padding, Sizes, Window

T = TypeVar("T")

FIELDS = (
    "x", "w", "kernel", "bias", "stride", "pad", "dilation", "groups", "output_padding", "ceil", "exclude_pad", "flip",
    "dtype", "math", "layout", "data", "seed",
)  # fmt: skip
WHOLE = re.compile(r"-?[0-9]{1,18}")
REMEMBERED = 4096  # texts of sizes
FLAGS = ("bias", "ceil", "exclude_pad", "flip")


def parse_line(line: str) -> Problem:
    """Read a problem line; raises LineError with the column, or GeometryError."""
    words = [(m.group(), m.start()) for m in re.finditer(r"\S+", line)]
    if not words:
        raise LineError("empty, wanted an operator and x=", line, 0)
    if words[0][0] not in Operator.__members__:
        error = unknown("operator", words[0][0], Operator.__members__, "python -m harness list operators")
        raise LineError(str(error), line, words[0][1])
    reader = _Reader(line, Operator(words[0][0]), _split(line, words[1:]))
    return reader.build()


def read_text(line: str, name: str) -> str:
    """Read one of the fields in TEXTS from the line of an operator or a network, without parsing all of it."""
    found = (word.partition("=") for word in line.split()[1:])
    return next((value for field, equals, value in found if equals and field == name), TEXTS[name])


def _split(line: str, words: list[tuple[str, int]]) -> dict[str, tuple[str, int]]:
    fields: dict[str, tuple[str, int]] = {}
    for word, column in words:
        name, equals, value = word.partition("=")
        if name not in FIELDS:
            error = unknown("field", name, FIELDS, "docs/problem-line.md")
            raise LineError(str(error), line, column)
        if name in fields:
            raise LineError(f"field '{name}' stands twice", line, column)
        if (name in FLAGS) == bool(equals):
            wanted = f"'{name}' alone" if name in FLAGS else f"'{name}=' and a value"
            raise LineError(f"got '{word}', wanted {wanted}", line, column)
        fields[name] = (value, column + len(name) + 1)
    return fields


@lru_cache(maxsize=REMEMBERED)
def _read_numbers(text: str, mark: str) -> Sizes | None:
    """Read whole numbers that are separated by a mark; None if any part is none."""
    words = text.split(mark)
    return tuple(map(int, words)) if all(map(WHOLE.fullmatch, words)) else None


class _Reader:
    """Turns the fields of one line into a Problem, knowing where each one stands."""

    def __init__(self, line: str, operator: Operator, fields: dict[str, tuple[str, int]]) -> None:
        self.line, self.operator, self.fields = line, operator, fields

    def build(self) -> Problem:
        if "x" not in self.fields:
            raise LineError("x is missing, wanted x=NxCxS", self.line, len(self.line))
        x = self.sizes("x", "x")
        axes = max(1, len(x) - 2)
        groups, seed = self.number("groups", 1), self.number("seed", 0)
        window = Window(
            stride=self.per_axis("stride", 1, axes),
            padding=self.padding(axes),
            dilation=self.per_axis("dilation", 1, axes),
            groups=groups,
            kernel=self.sizes("kernel", "x") if "kernel" in self.fields else None,
            ceil_mode="ceil" in self.fields,
            count_include_pad="exclude_pad" not in self.fields,
        )
        transposed = self.operator.spec.transposed or "output_padding" in self.fields
        try:
            return Problem(
                operator=self.operator,
                x=x,
                w=self.sizes("w", "x") if "w" in self.fields else None,
                window=window,
                bias="bias" in self.fields,
                output_padding=self.per_axis("output_padding", 0, axes) if transposed else None,
                flip="flip" in self.fields,
                dtype=self.word("dtype", DTYPES),
                math=self.word("math", MATHS),
                layout=self.word("layout", LAYOUTS),
                data=self.word("data", REGIMES),
                seed=seed,
            )
        except GeometryError as error:
            raise GeometryError(f"{error}; the line was: {self.line}") from None

    def word(self, name: str, allowed: tuple[Word, ...]) -> Word:
        return read_word(name, self.fields.get(name, (TEXTS[name], 0))[0], allowed)

    def number(self, name: str, default: int) -> int:
        if name not in self.fields:
            return default
        value, column = self.fields[name]
        return self.whole(value, name, column)

    def whole(self, text: str, name: str, column: int) -> int:
        if not WHOLE.fullmatch(text):
            raise LineError(f"{name}: got '{text}', wanted a whole number", self.line, column)
        return int(text)

    def sizes(self, name: str, mark: str) -> Sizes:
        text, column = self.fields[name]
        numbers = _read_numbers(text, mark)
        if numbers is not None:
            return numbers
        return tuple(self.each(text, mark, column, lambda word, at: self.whole(word, name, at)))  # tells the place

    def per_axis(self, name: str, default: int, axes: int) -> Sizes:
        if name not in self.fields:
            return (default,) * axes
        values = self.sizes(name, ",")
        return values * axes if len(values) == 1 else values

    def padding(self, axes: int) -> Padding:
        if "pad" not in self.fields:
            return ((0, 0),) * axes
        text, column = self.fields["pad"]
        sides = [_read_numbers(word, ":") for word in text.split(",")]
        if all(side is not None and len(side) <= 2 for side in sides):
            pairs = tuple((side[0], side[-1]) for side in sides if side is not None)
        else:
            pairs = tuple(self.each(text, ",", column, self.pair))  # tells the place
        return pairs * axes if len(pairs) == 1 else pairs

    def pair(self, text: str, column: int) -> tuple[int, int]:
        sides = self.each(text, ":", column, lambda word, at: self.whole(word, "pad", at))
        if len(sides) > 2:
            raise LineError(f"pad: got '{text}', wanted begin:end", self.line, column)
        return sides[0], sides[-1]

    def each(self, text: str, mark: str, column: int, read: Callable[[str, int], T]) -> list[T]:
        values = []
        for word in text.split(mark):
            values.append(read(word, column))
            column += len(word) + 1
        return values

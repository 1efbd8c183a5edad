"""Rows from which problems are chosen: of covering arrays, and with drawn forms for each of their windows.

A row has a value of every column, whole numbers as the counts of channels, and a `turn`, by which goes round what no
column says. All draws are the same each time, in every version of Python.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.generate.covering import Row, cover
from harness.generate.dispatch.values import CHANNELS, SINGLE
from harness.generate.domains import Pair, Value

COUNTED = ("c", "o")  # columns of classes of counts
FORMS_EACH = 8  # rows of each window
TURNS = 12  # what goes round has 2, 3 or 4 values

Columns = Mapping[str, Sequence[Value]]


def count_classes(columns: Columns, forbidden: Iterable[Pair]) -> Iterator[Row]:
    """Yield rows in which every three values meet without a forbidden pair; a class of counts becomes one of them."""
    draw = random.Random(0)
    for row in cover(columns, forbidden):
        numbers = {name: _pick(draw, CHANNELS.get(row[name], (row[name],))) for name in COUNTED if name in row}
        yield {**row, **numbers, "turn": _pick(draw, range(TURNS))}


def cross(windows: Columns, forms: Columns, counted: Sequence[str], forbidden: Iterable[Pair]) -> Iterator[Row]:
    """Yield rows in which every three values of a window meet, each window in several forms.

    Each class of counts that conditions tell apart is as likely, and each value of a form.

    windows, forms: the values of their columns. counted: the columns of counts. forbidden: pairs that no window has.
    """
    draw = random.Random(0)
    for window in cover(windows, forbidden):
        for _ in range(FORMS_EACH):
            form = {name: _pick(draw, some) for name, some in forms.items()}
            numbers = {name: _pick(draw, _pick(draw, SINGLE)) for name in counted}
            yield {**window, **form, **numbers, "turn": _pick(draw, range(TURNS))}


def _pick(draw: random.Random, values: Sequence[Any]) -> Any:
    """Pick a value by `random`, which alone is promised to stay the same."""
    return values[int(draw.random() * len(values))]

"""Candidate rows for the selection of problems: covering arrays, and each of their windows with random forms.

A row has a value for every column, with channel counts as integers, and `turn`, an integer that selects the values
without a column. All draws are deterministic, in every version of Python.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.generate.covering import Row, cover
from harness.generate.dispatch.values import CHANNELS, SINGLE
from harness.generate.domains import Pair, Value

COUNTED = ("c", "o")  # columns that hold classes of counts
FORMS_EACH = 8  # rows per window
TURNS = 12  # a multiple of 2, 3 and 4, the cycle lengths

Columns = Mapping[str, Sequence[Value]]


def count_classes(columns: Columns, forbidden: Iterable[Pair]) -> Iterator[Row]:
    """Yield rows that contain every three values and no forbidden pair; a member replaces each class of counts."""
    draw = random.Random(0)
    for row in cover(columns, forbidden):
        numbers = {name: _pick(draw, CHANNELS.get(row[name], (row[name],))) for name in COUNTED if name in row}
        yield {**row, **numbers, "turn": _pick(draw, range(TURNS))}


def cross(windows: Columns, forms: Columns, counted: Sequence[str], forbidden: Iterable[Pair]) -> Iterator[Row]:
    """Yield rows that contain every three values of a window, each window in several random forms.

    Classes of counts are equally likely if conditions distinguish them, and so are the values of a form.

    windows, forms: values by column. counted: columns of channel counts. forbidden: pairs that no window has.
    """
    draw = random.Random(0)
    for window in cover(windows, forbidden):
        for _ in range(FORMS_EACH):
            form = {name: _pick(draw, some) for name, some in forms.items()}
            numbers = {name: _pick(draw, _pick(draw, SINGLE)) for name in counted}
            yield {**window, **form, **numbers, "turn": _pick(draw, range(TURNS))}


def _pick(draw: random.Random, values: Sequence[Any]) -> Any:
    """Pick a value with `random.random`, the only method that is guaranteed to stay the same."""
    return values[int(draw.random() * len(values))]

"""Positions and taps of plain loops over the formulas of the specification: slow, and checked by eye."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from harness.problems.window import Sizes, Window


def steps(sizes: Sizes) -> Iterator[Sizes]:
    """Iterate over every index of an array of these sizes, in row-major order."""
    return itertools.product(*map(range, sizes))


def find_source(position: Sizes, tap: Sizes, window: Window) -> Sizes:
    """Return the input position s*i + d*u - begin of tap u at output position i (specification, section 5).

    position: i, one index per axis. tap: u, one index per axis. window: stride s, dilation d, padding.
    """
    return tuple(
        i * s + u * d - begin
        for i, u, s, d, (begin, _) in zip(position, tap, window.stride, window.dilation, window.padding, strict=True)
    )


def is_inside(place: Sizes, spatial: Sizes) -> bool:
    """Return True if a place lies in the input rather than in its padding."""
    return all(0 <= at < n for at, n in zip(place, spatial, strict=True))

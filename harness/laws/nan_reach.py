"""Outputs that NaN and infinities of the inputs may reach where a backend declares that they do not stay local.

What an algorithm transforms as a whole is an image and a channel of an input (fft, running sums), or a tile (winograd).
An output whose transforms hold finite numbers alone stays finite, whatever other images and channels hold.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.problems import reference
from harness.problems.arrays import Array
from harness.problems.numerics import Numerics
from harness.problems.problem import Problem


def find_nan_reach(problem: Problem, numerics: Numerics, arrays: Mapping[str, Array], wanted: Array) -> Array:
    """Return which elements of the first output may be NaN or infinite, besides those of the reference.

    problem: the problem. numerics: as declared by the backend. arrays: inputs by name.
    wanted: the output in float64.
    """
    spec, found = problem.operator.spec, np.zeros(wanted.shape, dtype=bool)
    for name in spec.factors:
        spoiled = _spread_over_space(~np.isfinite(arrays[name].astype(np.float64)))
        if not spoiled.any():
            continue
        flags = {other: np.ones(a.shape) for other, a in arrays.items() if other in spec.factors}
        flags[name] = spoiled.astype(np.float64)
        if arrays.get("b") is not None:
            flags["b"] = np.zeros(arrays["b"].shape)
        others = {other: a for other, a in arrays.items() if other not in flags}
        reached = _spread_over_space(reference.compute(problem, {**others, **flags})[spec.outputs[0]] > 0)
        if numerics.algorithm == "winograd" and not spec.sums_positions and name != "w":
            reached = reached & _widen(~np.isfinite(wanted), numerics.tile)
        found |= reached
    return found


def _spread_over_space(held: Array) -> Array:
    """Return whether any position of an image and channel holds it, for each position."""
    return np.broadcast_to(held.any(axis=tuple(range(2, held.ndim)), keepdims=True), held.shape)


def _widen(held: Array, tile: int) -> Array:
    """Return which positions are less than a tile away from one that is held, on every axis of space."""
    for axis in range(2, held.ndim):
        wide, size = held.copy(), held.shape[axis]
        for step in range(1, min(tile, size)):
            front, back = [slice(None)] * held.ndim, [slice(None)] * held.ndim
            front[axis], back[axis] = slice(None, size - step), slice(step, None)
            wide[tuple(back)] |= held[tuple(front)]
            wide[tuple(front)] |= held[tuple(back)]
        held = wide
    return held

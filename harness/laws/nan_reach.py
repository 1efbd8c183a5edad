"""Outputs that NaN and infinities of the inputs may reach where a backend declares that they do not stay local.

What an algorithm transforms as a whole, or in tiles of a size that it chooses, is an image and a channel of an input
(fft, winograd, running sums). An output whose transforms hold finite numbers alone stays finite, whatever other images
and channels hold.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.problems import reference
from harness.problems.arrays import Array
from harness.problems.problem import Problem
from harness.problems.window import Window


def find_nan_reach(problem: Problem, arrays: Mapping[str, Array]) -> Array:
    """Return which elements of the first output may be NaN or infinite: they read an image and channel that holds one.

    problem: the problem. arrays: inputs by name.
    Which positions of space an output reads makes no difference, as a transform has positions that no window reads.
    """
    spec, point = problem.operator.spec, _shrink_to_points(problem)
    reached = np.zeros(point.output, dtype=bool)
    for name in spec.factors:
        held = _holds(arrays[name])
        if spec.pools:
            reached |= held
        elif held.any():
            flags = {other: np.zeros(shape) for other, shape in point.shapes.items()}
            flags |= {other: np.ones(point.shapes[other]) for other in spec.factors} | {name: held.astype(np.float64)}
            reached |= reference.compute(point, flags)[spec.outputs[0]] > 0
    return np.broadcast_to(reached, problem.output)


def _holds(a: Array) -> Array:
    """Return for each image and channel whether it holds a number that is not finite, on one position."""
    found = ~np.isfinite(a.astype(np.float64))
    return np.asarray(found.any(axis=tuple(range(2, a.ndim)), keepdims=True))


def _shrink_to_points(problem: Problem) -> Problem:
    """Return the same images, channels and groups with one position and one tap."""
    axes = problem.axes
    ones, pools = (1,) * axes, problem.operator.spec.pools
    window = Window(
        stride=ones, padding=((0, 0),) * axes, dilation=ones, groups=problem.window.groups,
        kernel=ones if pools else None,
    )  # fmt: skip
    return problem.with_(
        x=(*problem.x[:2], *ones), w=None if problem.w is None else (*problem.w[:2], *ones), window=window,
        output_padding=None if problem.output_padding is None else (0,) * axes, bias=False, data="normal",
    )  # fmt: skip

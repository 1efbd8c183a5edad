"""Derivations of any operator: its own, then one axis from two, and groups by splitting."""

from __future__ import annotations

from dataclasses import replace

from harness.problems.arrays import DeviceArray, DeviceArrays
from harness.problems.operator import Operator
from harness.problems.operators.derivation import Derivation, Runner, take_one
from harness.problems.operators.geometry import P
from harness.problems.taps import find_namespace
from harness.problems.window import Window


def _lifted(problem: P, /) -> P | None:
    if problem.axes != 1:
        return None
    window = problem.window
    return problem.with_(
        x=(*problem.x[:2], 1, *problem.x[2:]),
        w=None if problem.w is None else (*problem.w[:2], 1, *problem.w[2:]),
        output_padding=None if problem.output_padding is None else (0, *problem.output_padding),
        window=Window(
            stride=(1, *window.stride), padding=((0, 0), *window.padding), dilation=(1, *window.dilation),
            groups=window.groups, kernel=None if window.kernel is None else (1, *window.kernel),
            ceil_mode=window.ceil_mode, count_include_pad=window.count_include_pad,
        ),
    )  # fmt: skip


def _compute_lifted(run: Runner[P], problem: P, arrays: DeviceArrays, /) -> tuple[DeviceArray, ...]:
    """A 1-D operator is the 2-D one on a row: indices flat over (1, n) are those over n."""
    lifted = _lifted(problem)
    assert lifted is not None
    tall = {k: a if a.ndim < 3 else a.reshape(*a.shape[:2], 1, *a.shape[2:]) for k, a in arrays.items()}
    return tuple(a if a.ndim < 4 else a.reshape(*a.shape[:2], *a.shape[3:]) for a in run(lifted, tall))


def _one_group(problem: P, /) -> P | None:
    groups = problem.window.groups
    if problem.w is None or groups == 1:
        return None
    assert problem.w is not None
    return problem.with_(
        x=(problem.x[0], problem.x[1] // groups, *problem.x[2:]),
        w=(problem.w[0] // groups, *problem.w[1:]),
        window=replace(problem.window, groups=1),
    )


def _compute_split(run: Runner[P], problem: P, arrays: DeviceArrays, /) -> tuple[DeviceArray, ...]:
    """groups = block diagonal: each group is a problem of its own."""
    part, groups = _one_group(problem), problem.window.groups
    assert part is not None
    axis = 0 if Operator(problem.operator).spec.sums_positions else 1
    outputs = []
    for g in range(groups):
        inputs = {name: _slice_group(name, a, g, groups) for name, a in arrays.items() if a is not None}
        outputs.append(take_one(run(part, inputs)))
    return (find_namespace(outputs[0]).concat(outputs, axis=axis),)


def _slice_group(name: str, a: DeviceArray, g: int, groups: int) -> DeviceArray:
    axis = 0 if name in ("w", "b") else 1
    size = a.shape[axis] // groups
    return a[(slice(None),) * axis + (slice(g * size, (g + 1) * size),)]


LIFT = Derivation(via="the 2-D operator on one row", needs=_lifted, compute=_compute_lifted)
SPLIT = Derivation(via="one call per group", needs=_one_group, compute=_compute_split)


def derivations(operator: Operator) -> tuple[Derivation, ...]:
    """Derivations of an operator, the cheapest first."""
    return (*operator.spec.derivations, LIFT, SPLIT)
